"""LightGBM as teacher and as yardstick, on trips whose fares follow from a number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from farebox.components.networks.rows import Rows
from farebox.modules import boosting, columns


def _rows(n: int, seed: int, noise: float = 1.0) -> Rows:
    """fare = 10 + 5 sign(first number) + noise; the raw column says nothing."""
    random = np.random.default_rng(seed)
    numeric = random.normal(size=(n, 2)).astype(np.float32)
    raw = random.normal(size=(n, 1)).astype(np.float32)
    fares = 10 + 5 * np.sign(numeric[:, 0]) + noise * random.normal(size=n)
    return Rows({columns.NUMERIC: numeric, columns.RAW: raw}, fares, n)


def _rmse(predicted: np.ndarray, rows: Rows) -> float:
    return float(np.sqrt(np.mean((predicted - rows.labels) ** 2)))


def test_the_teacher_learns_the_fare_and_not_the_noise_of_the_rows():
    """Out of fold its error is the noise's 1.0 or more; a teacher that had seen the row would be below."""
    train, unseen = _rows(500, 1), _rows(500, 2)
    teacher = boosting.fit_teacher(train, 1.6, seed=7)
    assert 0.95 * train.labels.std() > _rmse(teacher.out_of_fold, train) > 0.97
    assert _rmse(teacher.predict(unseen.columns), unseen) == pytest.approx(1.0, abs=0.15)
    in_fold = _rmse(teacher.predict(train.columns), train)
    assert in_fold < _rmse(teacher.out_of_fold, train)


def test_equal_seeds_give_equal_teachers():
    train = _rows(300, 1)
    once, again, other = (boosting.fit_teacher(train, 1.6, seed).out_of_fold for seed in (7, 7, 8))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


def test_too_few_rows_have_no_teacher():
    assert boosting.fit_teacher(_rows(99, 1), 1.6, 7) is None
    assert boosting.fit_teacher(_rows(100, 1), 1.6, 7) is not None


def test_the_yardstick_is_the_best_on_eval_with_its_figures():
    train, evaluation = _rows(500, 1), _rows(500, 2)
    booster, figures = boosting.fit_yardstick(train, evaluation, seed=7)
    assert set(figures) == {"num_leaves", "min_data_in_leaf", "trees", "eval_rmse"}
    assert _rmse(booster.predict(boosting.inputs_of(evaluation.columns)), evaluation) == pytest.approx(
        figures["eval_rmse"]
    )
    assert figures["eval_rmse"] == pytest.approx(1.0, abs=0.15)
    assert figures["trees"] < boosting.MAX_TREES


def test_the_search_keeps_the_least_eval_error(monkeypatch):
    """No searched value does better by itself; some do worse."""
    train, evaluation = _rows(300, 1), _rows(300, 2)
    _, best = boosting.fit_yardstick(train, evaluation, seed=7)
    errors = []
    for leaves, rows in itertools.product(*boosting.SEARCHED.values()):
        monkeypatch.setattr(boosting, "SEARCHED", {"num_leaves": (leaves,), "min_data_in_leaf": (rows,)})
        errors.append(boosting.fit_yardstick(train, evaluation, seed=7)[1]["eval_rmse"])
    assert best["eval_rmse"] == min(errors) < max(errors)


def test_inputs_are_raw_then_engineered():
    rows = _rows(5, 1)
    inputs = boosting.inputs_of(rows.columns)
    np.testing.assert_array_equal(inputs, np.hstack([rows.columns[columns.RAW], rows.columns[columns.NUMERIC]]))


def test_many_rows_get_fewer_trees():
    """2,000 trees up to 100,000 rows; beyond, trees times rows stay constant."""
    assert [boosting.max_trees(rows) for rows in (1, 100_000, 200_000, 500_000)] == [2000, 2000, 1000, 400]
