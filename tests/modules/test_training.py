"""Trainer's run_fn on the toy trips: its files, that it repeats itself, and its pseudo-trips."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from farebox.components.networks.rows import Rows
from farebox.modules import columns, preprocessing, training
from farebox.modules.settings import ModelSettings, TrainingSettings

pytestmark = pytest.mark.usefixtures("few_trees")
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


def test_eval_has_at_most_a_fifth_of_the_rows_of_train(toy_trips, tmp_path, monkeypatch):
    """At max_rows 200, 200 of train's 640 rows and 40 of eval's 320; at least one."""
    n_rows = []

    class StopError(Exception):
        pass

    def record(task):
        n_rows.append((len(task.train), len(task.evaluation)))
        raise StopError

    monkeypatch.setattr(training, "fit_yardsticks", record)
    for max_rows in (200, 3):
        with pytest.raises(StopError):
            _run(toy_trips, tmp_path, settings=dataclasses.replace(SETTINGS, max_rows=max_rows))
    assert n_rows == [(200, 40), (3, 1)]


def test_everything_a_run_needs_is_written(full):
    folder, figures = full
    assert {path.name for path in (folder / "run").iterdir()} == {
        "raw_dnn.keras", "no_embedding_dnn.keras", "lightgbm.txt", "training.json",
    }  # fmt: skip
    assert set(figures) == {"network", "chosen", "tried", "tuned", "teacher", "raw_dnn", "no_embedding_dnn", "lightgbm"}
    assert figures["teacher"]["out_of_fold_rmse"] < 3
    assert set(figures["tried"]) == {"network", "no_embedding_dnn"}
    chosen = figures["tried"][figures["chosen"]]
    assert figures["network"]["eval_rmse"] == pytest.approx(chosen, rel=1e-5)


def test_the_network_learns_the_era_of_the_tariff(full, full_trips):
    """A trip costs 5 more after the change: a model that ignores it has an RMSE of 2.5, its standard deviation."""
    import tf_keras as keras

    from farebox.components.networks import examples_io

    network = keras.models.load_model(full[0] / "model/network.keras", compile=False)
    assert examples_io.network_error(network, full_trips.batches("test")).rmse < 1.5


def test_the_same_seed_gives_the_same_figures(full, full_trips, tmp_path):
    again = _run(full_trips, tmp_path)
    for name, figures in full[1].items():
        once, twice = ({"curve": (), **each} if isinstance(each, dict) else {"curve": (), "": each}
                       for each in (figures, again[name]))  # fmt: skip
        assert twice.pop("curve") == pytest.approx(once.pop("curve"), abs=1e-6), name
        assert twice == pytest.approx(once, abs=1e-6), name


def test_the_course_features_give_the_course_network_without_a_teacher(toy_trips, tmp_path):
    """18 numbers and 100 dimensions of 81 pairs into [64, 32]."""
    figures = _run(toy_trips, tmp_path, settings=dataclasses.replace(SETTINGS, epochs=2))
    parameters = 81 * 100 + (118 * 64 + 64) + (64 * 32 + 32) + 33
    assert (figures["network"]["parameters"], figures["teacher"]) == (parameters, {})


def test_the_raw_features_give_the_raw_column_network(toy_trips, tmp_path):
    import tf_keras as keras

    figures = _run(toy_trips, tmp_path, settings=dataclasses.replace(SETTINGS, epochs=2), features="raw")
    assert figures["network"]["parameters"] == figures["raw_dnn"]["parameters"] == (7 * 32 + 32) + (32 * 8 + 8) + 9
    assert keras.models.load_model(tmp_path / "model/network.keras", compile=False).input_names == [columns.RAW]


@pytest.mark.parametrize(("rival", "chosen"), [(2.98, "rival"), (2.99, "network"), (3.2, "network")])
def test_a_rival_must_be_clearly_better_on_eval(rival, chosen):
    squared = {"network": np.full(100, 9.0), "rival": np.full(100, rival**2)}
    assert training.best_on_eval(squared) == (chosen, pytest.approx({"network": 3.0, "rival": rival}))


@pytest.mark.parametrize(("rows", "chosen"), [(1, "network"), (3, "network"), (5, "rival")])
def test_a_few_rows_do_not_make_a_rival_better(rows, chosen):
    """The rival is better by 50 in some of 1,000 rows: their mean is sqrt(rows) standard errors, nearly."""
    network = np.ones(1000)
    network[:rows] = 51.0
    assert training.best_on_eval({"network": network, "rival": np.ones(1000)})[0] == chosen


RAW = np.arange(8 * 200, dtype=np.float32).reshape(200, 8)  # the number is 8 * row + column


def test_pseudo_trips_consist_of_parts_of_real_trips():
    trips = training.pseudo_trips(RAW, 2000, seed=1)
    assert trips.shape == (2000, 8)
    swapped = trips[:, 0] % 8 == 2
    trips[swapped, :4] = trips[swapped][:, [2, 3, 0, 1]]
    np.testing.assert_array_equal(trips % 8, np.tile(np.arange(8), (2000, 1)))
    row = trips // 8
    for together in ([0, 1, 4, 7], [2, 3], [5, 6]):
        assert (row[:, together] == row[:, together[:1]]).all()
    assert np.mean(row[:, 2] != row[:, 0]) == pytest.approx(0.3, abs=0.04)
    assert np.mean(row[:, 5] != row[:, 0]) == pytest.approx(0.5, abs=0.04)
    assert np.mean(swapped) == pytest.approx(0.15, abs=0.03)


def test_pseudo_trips_are_transformed_by_transforms_graph(full_trips):
    """Real trips give the features that Transform wrote."""
    import tensorflow_transform as tft

    layer = tft.TFTransformOutput(full_trips.transform_graph).transform_features_layer()
    geography = preprocessing.geography_of(full_trips.custom_config)
    written = next(iter(full_trips.batches("train", 640)))[0]
    raw = written[columns.RAW].numpy()
    transformed = training.transform(raw, layer, geography, [columns.NUMERIC, *columns.CROSSES])
    for name, values in transformed.items():
        np.testing.assert_allclose(values, written[name], atol=1e-5)


def test_a_tenth_of_distinct_pickups_are_many_places():
    def rows(distinct: int) -> Rows:
        raw = np.repeat(np.arange(distinct), 100 // distinct)[:, None] * np.ones((1, 7))
        return Rows({columns.RAW: raw}, np.zeros(len(raw)), len(raw))

    assert not training.has_many_places(rows(5))
    assert training.has_many_places(rows(20))
