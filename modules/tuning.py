"""The tuner_fn of Tuner: a seeded random search over a few of Trainer's settings, judged on eval; test is never read.

Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization".
"""

from __future__ import annotations

import json
from typing import Any

import keras_tuner
from absl import logging
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial, TrialStatus
from tfx.components.tuner.component import TunerFnResult

from farebox.components.files import progress
from farebox.modules import preprocessing, training

OBJECTIVE = "eval_rmse"
LEARNING_RATE, WEIGHT_DECAY = (3e-3, 3e-2), (1e-3, 1e-1)
EMBEDDING_SCALES = (1.0, 0.5, 2.0)


class SettingsFirst(keras_tuner.oracles.RandomSearchOracle):
    """Random search whose first trial is the user's settings, so that its best is never worse than they are."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The settings, then random values that were not tried yet."""
        if self.start_order:
            return dict(super().populate_space(trial_id))
        defaults = {parameter.name: parameter.default for parameter in self.hyperparameters.space}
        return {"status": TrialStatus.RUNNING, "values": defaults}


class FareTuner(BaseTuner):
    """Fits the network that may ship as Trainer does, once per trial."""

    def run_trial(self, trial: Trial, task: training.Task, lesson: training.Lesson | None) -> dict[str, float]:
        """The eval RMSE of a trial's values."""
        values = training.tuned_values(trial.hyperparameters.get_config())
        tried = training.with_values(task, values)
        _, figures = training.fit_network(tried, training.soft_targets(tried, lesson))
        logging.info("Tuner: trial %s, eval RMSE %.4f with %s", trial.trial_id, figures["eval_rmse"], values)
        progress.step("trial", len(self.oracle.trials), self.oracle.max_trials)
        return {OBJECTIVE: figures["eval_rmse"]}


def search_space(task: training.Task, has_teacher: bool) -> keras_tuner.HyperParameters:
    """Settings to search, by `section.key`, around their present values; lists and mappings as JSON text.

    The first hidden layer never gets narrower: `reducer.n_components` may depend on its width.
    """
    settings, hidden, embeddings = task.training, list(task.model.hidden), task.model.embeddings
    shapes = hidden, [2 * units for units in hidden], [*hidden[:1], *hidden]
    space = keras_tuner.HyperParameters()
    space.Float("training.learning_rate", *LEARNING_RATE, sampling="log", default=settings.learning_rate)
    space.Float("training.weight_decay", *WEIGHT_DECAY, sampling="log", default=settings.weight_decay)
    if has_teacher:
        space.Float("training.teacher_weight", 0.0, 1.0, default=settings.teacher_weight)
    space.Choice("model.hidden", [json.dumps(shape) for shape in shapes])
    if embeddings:
        scaled = [{cross: max(1, round(scale * n)) for cross, n in embeddings.items()} for scale in EMBEDDING_SCALES]
        space.Choice("model.embeddings", list(dict.fromkeys(json.dumps(dimensions) for dimensions in scaled)))
    return space


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """A search of `tuner.trials` trials; both splits are read, and the teacher is fitted, once for all of them."""
    config = fn_args.custom_config
    task = training.read_task(fn_args, config)
    lesson = training.fit_lesson(task, fn_args.transform_graph_path, preprocessing.geography_of(config))
    oracle = SettingsFirst(
        objective=keras_tuner.Objective(OBJECTIVE, "min"),
        max_trials=config["tuner"]["trials"],
        seed=task.training.seed + 1,  # 0 is no seed to keras_tuner: it would draw one
        hyperparameters=search_space(task, lesson is not None),
        max_consecutive_failed_trials=1,  # else an exception in a trial would be swallowed
    )
    oracle.verbose = 0
    tuner = FareTuner(oracle, directory=fn_args.working_dir, project_name="tuner", overwrite=True)
    return TunerFnResult(tuner, {"task": task, "lesson": lesson})
