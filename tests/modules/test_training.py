"""Trainer's run_fn on the toy trips: what it writes, that it repeats itself, and what pseudo-trips are made of."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from farebox.modules import columns, preprocessing, training
from farebox.modules.settings import ModelSettings, TrainingSettings

SETTINGS = TrainingSettings(epochs=6, batch_size=64)


def _run(
    toy, folder: Path, model: ModelSettings | None = None, settings: TrainingSettings = SETTINGS, **config
) -> dict:
    """training.json of a run_fn call, through TFX's own data accessor."""
    from tfx.components.trainer.fn_args_utils import DataAccessor
    from tfx_bsl.public import tfxio

    def dataset(files, options, schema):
        return tfxio.TFExampleRecord(files, schema=schema, telemetry_descriptors=["test"]).TensorFlowDataset(options)

    files = {split: [str(toy.folder / f"transformed/Split-{split}/*")] for split in ("train", "eval")}
    fn_args = SimpleNamespace(
        base_model=None,
        custom_config={
            **toy.custom_config,
            "model": dataclasses.asdict(model or ModelSettings()),
            "training": dataclasses.asdict(settings),
            **config,
        },
        transform_graph_path=toy.transform_graph,
        train_files=files["train"],
        eval_files=files["eval"],
        data_accessor=DataAccessor(dataset, None, None),
        serving_model_dir=str(folder / "model"),
        model_run_dir=str(folder / "run"),
        hyperparameters=None,
    )
    training.run_fn(fn_args)
    return json.loads((folder / "run/training.json").read_text())


@pytest.fixture(scope="module")
def full(full_trips, tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("full")
    return folder, _run(full_trips, folder)


def test_eval_is_held_to_a_fifth_of_the_rows_of_train(toy_trips, tmp_path, monkeypatch):
    """Of 640 rows of train 200, of 320 of eval 40; but at least one."""
    held = []

    class SeenError(Exception):
        pass

    def seen(task):
        held.append((len(task.train), len(task.evaluation)))
        raise SeenError

    monkeypatch.setattr(training, "fit_yardsticks", seen)
    for max_rows in (200, 3):
        with pytest.raises(SeenError):
            _run(toy_trips, tmp_path, settings=dataclasses.replace(SETTINGS, max_rows=max_rows))
    assert held == [(200, 40), (3, 1)]


def test_everything_a_run_needs_is_written(full):
    folder, figures = full
    assert {path.name for path in (folder / "run").iterdir()} == {
        "raw_dnn.keras", "no_embedding_dnn.keras", "lightgbm.txt", "training.json",
    }  # fmt: skip
    assert set(figures) == {"network", "chosen", "tried", "tuned", "teacher", "raw_dnn", "no_embedding_dnn", "lightgbm"}
    assert figures["teacher"]["out_of_fold_rmse"] < 3
    assert set(figures["tried"]) == {"network", "no_embedding_dnn"}
    assert figures["network"]["eval_rmse"] == figures["tried"][figures["chosen"]]


def test_the_network_learns_the_tariffs_era(full, full_trips):
    """5 a trip after the change, 2.5 of standard deviation: who does not see it errs by that."""
    import tf_keras as keras

    from farebox.components.networks import examples_io

    network = keras.models.load_model(full[0] / "model/network.keras", compile=False)
    assert examples_io.network_error(network, full_trips.batches("test")).rmse < 1.5


def test_the_same_seed_gives_the_same_figures(full, full_trips, tmp_path):
    again = _run(full_trips, tmp_path)
    for name, figures in full[1].items():
        assert again[name] == pytest.approx(figures, abs=1e-6), name


def test_the_course_set_is_the_courses_network_without_a_teacher(toy_trips, tmp_path):
    """18 numbers and 100 dimensions of 81 pairs into [64, 32]."""
    figures = _run(toy_trips, tmp_path, settings=dataclasses.replace(SETTINGS, epochs=2))
    parameters = 81 * 100 + (118 * 64 + 64) + (64 * 32 + 32) + 33
    assert (figures["network"]["parameters"], figures["teacher"]) == (parameters, {})


def test_the_raw_set_is_the_raw_column_network(toy_trips, tmp_path):
    import tf_keras as keras

    figures = _run(toy_trips, tmp_path, settings=dataclasses.replace(SETTINGS, epochs=2), features="raw")
    assert figures["network"]["parameters"] == figures["raw_dnn"]["parameters"] == (7 * 32 + 32) + (32 * 8 + 8) + 9
    assert keras.models.load_model(tmp_path / "model/network.keras", compile=False).input_names == [columns.RAW]


@pytest.mark.parametrize(("rival", "chosen"), [(2.98, "rival"), (2.99, "network"), (3.2, "network")])
def test_a_rival_must_be_clearly_better_on_eval(rival, chosen):
    candidates = {name: (None, {"eval_rmse": rmse}) for name, rmse in (("network", 3.0), ("rival", rival))}
    assert training.best_on_eval(candidates) == (chosen, {"network": 3.0, "rival": rival})


RAW = np.arange(8 * 200, dtype=np.float32).reshape(200, 8)  # every number names its row and column


def test_pseudo_trips_are_made_of_real_parts():
    made = training.pseudo_trips(RAW, 2000, seed=1)
    assert made.shape == (2000, 8)
    back = made[:, 0] % 8 == 2
    made[back, :4] = made[back][:, [2, 3, 0, 1]]
    np.testing.assert_array_equal(made % 8, np.tile(np.arange(8), (2000, 1)))
    row = made // 8
    for together in ([0, 1, 4, 7], [2, 3], [5, 6]):
        assert (row[:, together] == row[:, together[:1]]).all()
    assert np.mean(row[:, 2] != row[:, 0]) == pytest.approx(0.3, abs=0.04)
    assert np.mean(row[:, 5] != row[:, 0]) == pytest.approx(0.5, abs=0.04)
    assert np.mean(back) == pytest.approx(0.15, abs=0.03)


def test_pseudo_trips_pass_transforms_own_graph(full_trips):
    """Real trips through it are what Transform wrote."""
    import tensorflow_transform as tft

    layer = tft.TFTransformOutput(full_trips.transform_graph).transform_features_layer()
    geography = preprocessing.geography_of(full_trips.custom_config)
    written = next(iter(full_trips.batches("train", 640)))[0]
    raw = written[columns.RAW].numpy()
    made = training.transformed(raw, layer, geography, [columns.NUMERIC, *columns.CROSSES])
    for name, values in made.items():
        np.testing.assert_allclose(values, written[name], atol=1e-5)


def test_few_places_are_told_from_many(full_trips):
    from farebox.modules.rows import Rows

    def rows(distinct: int) -> Rows:
        raw = np.repeat(np.arange(distinct), 100 // distinct)[:, None] * np.ones((1, 7))
        return Rows({columns.RAW: raw}, np.zeros(len(raw)))

    assert not training.has_many_places(rows(5))
    assert training.has_many_places(rows(20))
