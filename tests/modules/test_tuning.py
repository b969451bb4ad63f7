"""Tuning by TFX's own executors on the toy trips: what is tried, what is chosen, and that Trainer takes it."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from farebox.components.networks.rows import Rows
from farebox.modules import columns, training
from farebox.modules.settings import ModelSettings, TrainingSettings, TunerSettings

pytestmark = pytest.mark.usefixtures("few_trees")
SETTINGS = TrainingSettings(epochs=3, batch_size=64, learning_rate=0.0031)  # the space goes up to 0.03
MODEL = ModelSettings(hidden=(8, 4))
GIVEN = {"training.learning_rate": 0.0031, "training.weight_decay": 0.01, "model.hidden": "[8, 4]"}


class Executors:
    """Tuner's and Trainer's own, on train and eval of a transformed `toy`: test is out of their reach."""

    def __init__(self, toy, folder: Path, settings: TrainingSettings = SETTINGS) -> None:
        from tfx.types import artifact_utils, standard_artifacts

        self.folder = folder
        examples, graph = standard_artifacts.Examples(), standard_artifacts.TransformGraph()
        examples.uri, graph.uri = str(toy.folder / "transformed"), toy.transform_graph
        examples.split_names = artifact_utils.encode_split_names(["train", "eval"])
        self.inputs = {"examples": [examples], "transform_graph": [graph]}
        sections = {"model": dataclasses.asdict(MODEL), "training": dataclasses.asdict(settings)}
        self.config = {**toy.custom_config, **sections}

    def _do(self, executor, outputs: dict, inputs: dict, config: dict, **function: str) -> None:
        for key, artifact in outputs.items():
            artifact.uri = str(self.folder / key)
        properties = {"train_args": "{}", "eval_args": "{}", "custom_config": json.dumps(config)}
        context = executor.Context(tmp_dir=str(self.folder / "tmp"), unique_id="1")
        executor(context).Do(inputs, {key: [artifact] for key, artifact in outputs.items()}, properties | function)

    def tune(self, trials: int) -> list[dict]:
        """TFX's tuner_results.json, the best trial first."""
        from tfx.components.tuner.executor import Executor
        from tfx.types import standard_artifacts

        self.best = standard_artifacts.HyperParameters()
        outputs = {"best_hyperparameters": self.best, "tuner_results": standard_artifacts.TunerResults()}
        config = self.config | {"tuner": dataclasses.asdict(TunerSettings(trials))}
        self._do(Executor, outputs, self.inputs, config, tuner_fn="farebox.modules.tuning.tuner_fn")
        return json.loads((self.folder / "tuner_results/tuner_results.json").read_text())

    def train(self, *hyperparameters) -> dict:
        """training.json, fitted with what `tune` chose, if that is given."""
        from tfx.components.trainer.executor import GenericExecutor
        from tfx.types import standard_artifacts

        outputs = {"model": standard_artifacts.Model(), "model_run": standard_artifacts.ModelRun()}
        inputs = self.inputs | ({"hyperparameters": [*hyperparameters]} if hyperparameters else {})
        self._do(GenericExecutor, outputs, inputs, self.config, run_fn="farebox.modules.training.run_fn")
        return json.loads((self.folder / "model_run/training.json").read_text())


def _values(trial: dict) -> dict:
    return {name: value for name, value in trial.items() if "." in name}


def _read(trial: dict) -> dict:
    """Its values as settings, where lists are no text."""
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in _values(trial).items()}


@pytest.fixture(scope="module")
def tuned(full_trips, tmp_path_factory) -> tuple[Executors, list[dict]]:
    """Four trials on the full feature set."""
    executors = Executors(full_trips, tmp_path_factory.mktemp("tuned"))
    return executors, executors.tune(4)


@pytest.fixture(scope="module")
def trained(tuned) -> dict:
    """training.json of Trainer on the best values."""
    return tuned[0].train(tuned[0].best)


def test_the_first_trial_is_the_settings_as_given(tuned):
    """640 trips have more than 30 rows in each of few places, and fewer in an hour of the week that has any."""
    first = next(trial for trial in tuned[1] if trial["trial_id"] == "0")
    scales = json.dumps({columns.PICKUP_CELL: 1, columns.DROPOFF_CELL: 1})
    assert _values(first) == GIVEN | {"training.teacher_weight": 0.7, "model.embeddings": scales}


def test_the_best_is_first_and_beats_what_was_given(tuned):
    """At a third of the default rate three epochs do not suffice; some of three random rates are higher."""
    scores = [trial["score"] for trial in tuned[1]]
    assert scores == sorted(scores) and len(set(scores)) == 4
    assert tuned[1][0]["trial_id"] != "0"
    assert {trial["trial_id"] for trial in tuned[1]} == {"0", "1", "2", "3"}


def test_values_stay_in_their_space(tuned):
    for trial in tuned[1]:
        assert 3e-3 <= trial["training.learning_rate"] <= 3e-2
        assert 1e-3 <= trial["training.weight_decay"] <= 1e-1
        assert 0 <= trial["training.teacher_weight"] <= 1
        assert trial["model.hidden"] in ("[8, 4]", "[16, 8]", "[8, 8, 4]")
        assert json.loads(trial["model.embeddings"])[columns.PICKUP_CELL] in (1, 2)


@pytest.mark.slow
def test_trainer_fits_the_best_trials_network_again(tuned, trained):
    """The same eval RMSE to the last digits: every value has arrived."""
    assert trained["tuned"] == _read(tuned[1][0])
    assert trained["tried"]["network"] == pytest.approx(tuned[1][0]["score"], abs=1e-6)


@pytest.mark.slow
def test_the_layers_have_the_chosen_shapes(toy_trips, tmp_path):
    """In the course's set, where no rival can take the network's place."""
    import tf_keras as keras

    executors = Executors(toy_trips, tmp_path, dataclasses.replace(SETTINGS, epochs=1))
    chosen = _read(executors.tune(3)[0])
    executors.train(executors.best)
    network = keras.models.load_model(tmp_path / "model/Format-Serving/network.keras", compile=False)
    widths = [layer.units for layer in network.layers if layer.name.startswith("hidden")]
    dimensions = network.get_layer("pair_cell_embedding").output_dim
    assert (widths, dimensions) == (chosen["model.hidden"], chosen["model.embeddings"]["pair_cell"]) != ([8, 4], 100)


@pytest.mark.slow
def test_what_is_to_be_beaten_does_not_move_with_the_tuning(full_trips, trained, tmp_path):
    untuned = Executors(full_trips, tmp_path).train()
    for name in ("raw_dnn", "no_embedding_dnn", "lightgbm"):
        tuned, plain = ({"curve": (), **result[name]} for result in (trained, untuned))
        assert tuned.pop("curve") == pytest.approx(plain.pop("curve"), abs=1e-6), name
        assert tuned == pytest.approx(plain, abs=1e-6), name
    assert untuned["tuned"] is None and trained["tried"]["network"] < untuned["tried"]["network"]


@pytest.fixture(scope="module")
def searches(toy_trips, tmp_path_factory) -> dict[int, list[list[dict]]]:
    """Two searches of two trials for each of two seeds; 0 too, which keras_tuner takes for none."""

    def search(seed: int) -> list[dict]:
        settings = dataclasses.replace(SETTINGS, epochs=1, seed=seed)
        return Executors(toy_trips, tmp_path_factory.mktemp("search"), settings).tune(2)

    return {seed: [search(seed), search(seed)] for seed in (0, 17)}


@pytest.mark.parametrize("seed", [0, 17])
def test_the_same_seed_tries_the_same_and_finds_the_same(searches, seed):
    once, again = searches[seed]
    assert [_values(trial) for trial in once] == [_values(trial) for trial in again]
    assert [trial["score"] for trial in once] == pytest.approx([trial["score"] for trial in again], abs=1e-6)


def test_another_seed_tries_others(searches):
    by_id = [{trial["trial_id"]: _values(trial) for trial in once} for once, _ in searches.values()]
    assert by_id[0]["0"] == by_id[1]["0"] and by_id[0]["1"] != by_id[1]["1"]


def test_without_a_teacher_its_weight_is_not_searched(toy_trips, tmp_path):
    """The course's set has none; `training.teacher_weight` would change nothing."""
    (trial,) = Executors(toy_trips, tmp_path, dataclasses.replace(SETTINGS, epochs=1)).tune(1)
    assert _values(trial) == GIVEN | {"model.embeddings": '{"pair_cell": 100}'}


def test_a_trial_that_fails_ends_the_search(toy_trips, tmp_path, monkeypatch):
    """keras_tuner by itself would count it, go on, and in the end call a failed trial the best."""
    monkeypatch.setattr(training, "fit_network", lambda *_: 1 / 0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero"):
        Executors(toy_trips, tmp_path).tune(2)


def test_a_teachers_weight_needs_no_second_lesson():
    train, predicted = Rows({"x": np.zeros((2, 1))}, np.array([10.0, 20.0]), 2), np.array([14.0, 16.0])
    taught = training.Lesson({"x": np.zeros((3, 1))}, predicted, np.array([7.0]))
    for weight, targets in ((0.0, [10, 20, 7]), (0.25, [11, 19, 7]), (1.0, [14, 16, 7])):
        task = SimpleNamespace(train=train, training=TrainingSettings(teacher_weight=weight))
        np.testing.assert_allclose(training.soft_targets(task, taught).labels, targets)


def test_fewer_trials_than_none_are_refused():
    with pytest.raises(ValueError, match=f"^{re.escape('tuner.trials=-1 must be at least 0')}$"):
        TunerSettings(-1)
