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

from farebox.modules import columns
from farebox.modules.rows import Rows, rmse

FOLDS, MIN_FOLD_ROWS = 5, 20
MAX_TREES, ROWS_PER_THREAD = 2000, 50_000
MANY_ROWS, TREE_ROWS = 100_000, 2e8  # of many rows fewer trees, that learn faster: the work stays the same
LEARNING_RATE, OF_MANY_ROWS = 0.05, 0.1
COMMON = {"verbosity": -1, "deterministic": True, "force_row_wise": True}
TEACHER = {
    **COMMON, "objective": "huber", "num_leaves": 15, "min_data_in_leaf": 20, "feature_fraction": 0.6,
    "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 1.0,
}  # fmt: skip
YARDSTICK = {**COMMON, "objective": "regression"}
SEARCHED = {"num_leaves": (7, 15, 31), "min_data_in_leaf": (10, 30)}


def inputs_of(features: dict[str, np.ndarray]) -> np.ndarray:
    """What the trees see: the raw and the engineered columns, float32 of shape (n, n_raw + n_numeric)."""
    return np.concatenate([features[name] for name in columns.BOOSTER_INPUTS], axis=1)


def _fit(
    parameters: dict[str, Any],
    train: tuple[np.ndarray, np.ndarray],
    held_out: tuple[np.ndarray, np.ndarray],
    patience: int,
) -> lightgbm.Booster:
    """Adds trees until the error on the held-out rows has not fallen for `patience` trees.

    Threads follow the rows: on few of them OpenMP's waiting costs more than the work, above all on a busy machine.
    """
    n_rows = len(train[0])
    threads = min(1 + n_rows // ROWS_PER_THREAD, os.cpu_count() or 1)
    rate = LEARNING_RATE if n_rows <= MANY_ROWS else OF_MANY_ROWS
    parameters = {**parameters, "learning_rate": rate, "num_threads": threads}
    data = lightgbm.Dataset(train[0], train[1], params={"verbosity": -1, "num_threads": threads})
    stop = lightgbm.early_stopping(patience, verbose=False)
    valid = [lightgbm.Dataset(held_out[0], held_out[1], reference=data)]
    return lightgbm.train(parameters, data, max_trees(n_rows), valid_sets=valid, callbacks=[stop])


def max_trees(n_rows: int) -> int:
    """At most so many, where early stopping does not end it before."""
    return min(MAX_TREES, int(TREE_ROWS // n_rows))


@dataclasses.dataclass(frozen=True)
class Teacher:
    """out_of_fold: for every row of train the fare that the models which never saw it predict, shape (n,)."""

    boosters: tuple[lightgbm.Booster, ...]
    out_of_fold: np.ndarray
    mean: float
    scale: float

    def predict(self, features: dict[str, np.ndarray]) -> np.ndarray:
        """Mean of the folds' models, in the city's currency, shape (n,): for trips that are in no fold."""
        inputs = inputs_of(features)
        return self.mean + self.scale * np.mean(
            [booster.predict(inputs, num_threads=1) for booster in self.boosters], axis=0
        )


def fit_teacher(train: Rows, huber_delta: float, seed: int) -> Teacher | None:
    """One model per fold, fitted on the other folds and stopped early by it; None where a fold would be too small.

    Out-of-fold targets keep the network from learning what the teacher merely remembers. huber_delta: in standard
    deviations of the fares.
    """
    if len(train) < FOLDS * MIN_FOLD_ROWS:
        return None
    mean, scale = float(train.fares.mean()), float(train.fares.std()) or 1.0
    inputs, targets = inputs_of(train.columns), (train.fares - mean) / scale
    fold = np.random.default_rng(seed).permutation(len(train)) % FOLDS
    predicted, boosters = np.zeros(len(train)), []
    for number in range(FOLDS):
        held = fold == number
        parameters = {**TEACHER, "alpha": huber_delta, "seed": seed + number}
        booster = _fit(parameters, (inputs[~held], targets[~held]), (inputs[held], targets[held]), patience=40)
        predicted[held] = booster.predict(inputs[held], num_threads=1)
        boosters.append(booster)
    return Teacher(tuple(boosters), mean + scale * predicted, mean, scale)


def fit_yardstick(train: Rows, evaluation: Rows, seed: int) -> tuple[lightgbm.Booster, dict[str, Any]]:
    """The best on eval of a small search, each stopped early on eval, by mean squared error; and its figures."""
    rows = [(inputs_of(split.columns), split.fares) for split in (train, evaluation)]
    tried = []
    for values in itertools.product(*SEARCHED.values()):
        chosen = dict(zip(SEARCHED, values, strict=True))
        booster = _fit({**YARDSTICK, **chosen, "seed": seed}, rows[0], rows[1], patience=60)
        reached = rmse(np.asarray(booster.predict(rows[1][0], num_threads=1)), rows[1][1])
        tried.append((reached, booster, {**chosen, "trees": booster.best_iteration, "eval_rmse": reached}))
    _, best, figures = min(tried, key=lambda one: one[0])
    return best, figures
