"""LightGBM as teacher and as yardstick, on trips whose fares follow from a number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from farebox.modules import boosting, columns
from farebox.modules.rows import Rows


def _rows(n: int, seed: int, noise: float = 1.0) -> Rows:
    """fare = 10 + 5 sign(first number) + noise; the raw column says nothing."""
    random = np.random.default_rng(seed)
    numeric = random.normal(size=(n, 2)).astype(np.float32)
    raw = random.normal(size=(n, 1)).astype(np.float32)
    fares = 10 + 5 * np.sign(numeric[:, 0]) + noise * random.normal(size=n)
    return Rows({columns.NUMERIC: numeric, columns.RAW: raw}, fares)


def _rmse(predicted: np.ndarray, rows: Rows) -> float:
    return float(np.sqrt(np.mean((predicted - rows.fares) ** 2)))


def test_the_teacher_knows_the_fare_but_not_the_rows_noise():
    """Out of fold its error is the noise's 1.0 or more; a teacher that had seen the row would be below."""
    train, other = _rows(500, 1), _rows(500, 2)
    teacher = boosting.fit_teacher(train, 1.6, seed=7)
    assert 0.95 * train.fares.std() > _rmse(teacher.out_of_fold, train) > 0.97
    assert _rmse(teacher.predict(other.columns), other) == pytest.approx(1.0, abs=0.15)
    seen = _rmse(teacher.predict(train.columns), train)
    assert seen < _rmse(teacher.out_of_fold, train)


def test_equal_seeds_give_equal_teachers():
    train = _rows(300, 1)
    once, again, other = (boosting.fit_teacher(train, 1.6, seed).out_of_fold for seed in (7, 7, 8))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


def test_too_few_rows_have_no_teacher():
    assert boosting.fit_teacher(_rows(99, 1), 1.6, 7) is None
    assert boosting.fit_teacher(_rows(100, 1), 1.6, 7) is not None


def test_the_yardstick_is_the_best_on_eval_and_says_how(tmp_path):
    train, held = _rows(500, 1), _rows(500, 2)
    booster, figures = boosting.fit_yardstick(train, held, seed=7)
    assert set(figures) == {"num_leaves", "min_data_in_leaf", "trees", "eval_rmse"}
    assert _rmse(booster.predict(boosting.inputs_of(held.columns)), held) == pytest.approx(figures["eval_rmse"])
    assert figures["eval_rmse"] == pytest.approx(1.0, abs=0.15)
    assert figures["trees"] < boosting.MAX_TREES


def test_the_search_keeps_what_eval_likes_best(monkeypatch):
    """Searched alone, no value does better; some do worse."""
    train, held = _rows(300, 1), _rows(300, 2)
    _, best = boosting.fit_yardstick(train, held, seed=7)
    alone = []
    for leaves, rows in itertools.product(*boosting.SEARCHED.values()):
        monkeypatch.setattr(boosting, "SEARCHED", {"num_leaves": (leaves,), "min_data_in_leaf": (rows,)})
        alone.append(boosting.fit_yardstick(train, held, seed=7)[1]["eval_rmse"])
    assert best["eval_rmse"] == min(alone) < max(alone)


def test_inputs_are_raw_then_engineered():
    rows = _rows(5, 1)
    found = boosting.inputs_of(rows.columns)
    np.testing.assert_array_equal(found, np.hstack([rows.columns[columns.RAW], rows.columns[columns.NUMERIC]]))


def test_many_rows_get_fewer_trees():
    """2,000 up to 100,000 rows, then so many that trees times rows stay."""
    from farebox.modules import boosting

    assert [boosting.max_trees(rows) for rows in (1, 100_000, 200_000, 500_000)] == [2000, 2000, 1000, 400]
