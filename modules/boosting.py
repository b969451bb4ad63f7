"""LightGBM: the teacher that the network learns from, and the yardstick that it must beat. Neither ever ships.

Ke et al. 2017, "LightGBM: A Highly Efficient Gradient Boosting Decision Tree".
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from farebox.components.networks.errors import rmse
from farebox.components.networks.rows import Columns, Rows
from farebox.modules import columns

FOLDS, MIN_FOLD_ROWS = 5, 20
MAX_TREES, ROWS_PER_THREAD = 2000, 50_000
MANY_ROWS, TREE_ROWS = 100_000, 2e8  # many rows get fewer trees that learn faster: the work stays the same
LEARNING_RATE, MANY_ROWS_LEARNING_RATE = 0.05, 0.1
COMMON = {"verbosity": -1, "deterministic": True, "force_row_wise": True}
TEACHER = {
    **COMMON, "objective": "huber", "num_leaves": 15, "min_data_in_leaf": 20, "feature_fraction": 0.6,
    "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 1.0,
}  # fmt: skip
YARDSTICK = {**COMMON, "objective": "regression"}
SEARCHED = {"num_leaves": (7, 15, 31), "min_data_in_leaf": (10, 30)}

InputsAndFares = tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]


def inputs_of(features: Columns) -> npt.NDArray[np.float32]:
    """The trees' inputs: the raw and the engineered columns, float32 of shape (n, n_raw + n_numeric)."""
    return np.concatenate([features[name] for name in columns.BOOSTER_INPUTS], axis=1)


def _fit(
    parameters: dict[str, Any],
    train: InputsAndFares,
    held_out: InputsAndFares,
    patience: int,
) -> lightgbm.Booster:
    """Adds trees until the error on the held-out rows has not fallen for `patience` trees.

    Threads follow the rows: on few rows OpenMP's waiting costs more than the work, above all on a busy machine.
    """
    n_rows = len(train[0])
    threads = min(1 + n_rows // ROWS_PER_THREAD, os.cpu_count() or 1)
    rate = LEARNING_RATE if n_rows <= MANY_ROWS else MANY_ROWS_LEARNING_RATE
    parameters = {**parameters, "learning_rate": rate, "num_threads": threads}
    data = lightgbm.Dataset(train[0], train[1], params={"verbosity": -1, "num_threads": threads})
    stop = lightgbm.early_stopping(patience, verbose=False)
    valid = [lightgbm.Dataset(held_out[0], held_out[1], reference=data)]
    return lightgbm.train(parameters, data, max_trees(n_rows), valid_sets=valid, callbacks=[stop])


def max_trees(n_rows: int) -> int:
    """The largest number of trees for this number of rows; early stopping may end earlier."""
    return min(MAX_TREES, int(TREE_ROWS // n_rows))


@dataclasses.dataclass(frozen=True)
class Teacher:
    """out_of_fold: the fare of each row of train as the models that never saw the row predict it, shape (n,)."""

    boosters: tuple[lightgbm.Booster, ...]
    out_of_fold: npt.NDArray[np.float64]
    mean: float
    scale: float

    def predict(self, features: Columns) -> npt.NDArray[np.float64]:
        """Mean prediction of the folds' models, in the city's currency, shape (n,): for trips that are in no fold."""
        inputs = inputs_of(features)
        predictions = [np.asarray(booster.predict(inputs, num_threads=1)) for booster in self.boosters]
        return np.asarray(self.mean + self.scale * np.mean(predictions, axis=0))


def fit_teacher(train: Rows, huber_delta: float, seed: int) -> Teacher | None:
    """One model per fold, fitted on the other folds and stopped early by it; None if a fold would be too small.

    Out-of-fold targets keep the network from learning what the teacher only remembers. huber_delta: in standard
    deviations of the fares.
    """
    if len(train) < FOLDS * MIN_FOLD_ROWS:
        return None
    mean, scale = float(train.labels.mean()), float(train.labels.std()) or 1.0
    inputs, targets = inputs_of(train.columns), (train.labels - mean) / scale
    fold = np.random.default_rng(seed).permutation(len(train)) % FOLDS
    predicted, boosters = np.zeros(len(train)), []
    for number in range(FOLDS):
        in_fold = fold == number
        parameters = {**TEACHER, "alpha": huber_delta, "seed": seed + number}
        fitted, held_out = ((inputs[rows], targets[rows]) for rows in (~in_fold, in_fold))
        booster = _fit(parameters, fitted, held_out, patience=40)
        predicted[in_fold] = booster.predict(inputs[in_fold], num_threads=1)
        boosters.append(booster)
    return Teacher(tuple(boosters), mean + scale * predicted, mean, scale)


def fit_yardstick(train: Rows, evaluation: Rows, seed: int) -> tuple[lightgbm.Booster, dict[str, Any]]:
    """The best on eval of a small search by mean squared error, each stopped early on eval; and its figures."""
    fitted, judged = ((inputs_of(split.columns), split.labels) for split in (train, evaluation))
    trials = []
    for values in itertools.product(*SEARCHED.values()):
        chosen = dict(zip(SEARCHED, values, strict=True))
        booster = _fit({**YARDSTICK, **chosen, "seed": seed}, fitted, judged, patience=60)
        error = rmse(np.asarray(booster.predict(judged[0], num_threads=1)), judged[1])
        trials.append((error, booster, {**chosen, "trees": booster.best_iteration, "eval_rmse": error}))
    _, best, figures = min(trials, key=lambda trial: trial[0])
    return best, figures
