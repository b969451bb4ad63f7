"""The yardsticks' arithmetic by hand and by numpy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.components.model_gate import yardsticks


def test_line_through_known_points():
    """y = 2 + 3x exactly, in two batches; mean of 2, 5, 8, 11, 14 is 8."""
    x = np.arange(5.0)
    mean, slope, intercept = yardsticks.fit_line([(x[:2], 2 + 3 * x[:2]), (x[2:, None], 2 + 3 * x[2:, None])])
    assert (mean, slope, intercept) == pytest.approx((8.0, 3.0, 2.0))


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 100))
def test_the_line_equals_numpys_for_any_batches(seed, cut):
    random = np.random.default_rng(seed)
    x, y = random.gamma(2, 3, 100), random.normal(10, 4, 100)
    line = yardsticks.fit_line([(x[:cut], y[:cut]), (x[cut:], y[cut:])])
    assert line == pytest.approx((y.mean(), *np.polyfit(x, y, 1)), rel=1e-6, abs=1e-6)


def test_a_constant_distance_gives_the_mean():
    """0.1 has no exact square: for most row counts the spread is a rounding error, its slope meaningless."""
    for n in range(3, 60):
        line = yardsticks.fit_line([(np.full(n, 0.1), np.arange(n) % 7 / 3)])
        assert line == pytest.approx((line[0], 0.0, line[0]))


def test_errors_over_batches_of_any_size():
    """Off by 1, 1, -1 and 3: RMSE sqrt(12 / 4). Off by -2, 0, 0 and 2: sqrt(8 / 4)."""
    batches = [
        ({"km": np.array([[1.0], [2.0], [3.0]])}, np.array([4.0, 4.0, 6.0])),
        ({"km": np.array([[2.0]])}, np.array([2.0])),
    ]
    predictors = {"five": lambda columns: np.full(len(columns["km"]), 5.0), "line": lambda columns: 2 * columns["km"]}
    errors = yardsticks.grouped_errors(predictors, iter(batches))
    assert (errors.rmse("five"), errors.rmse("line"), errors.rows) == (pytest.approx(3**0.5), pytest.approx(2**0.5), 4)
    assert errors.squared["five"][:5].tolist() == [1, 1, 1, 9, 0]  # the fourth row is in the fourth group


def grouped(shipped, yardstick) -> yardsticks.GroupedErrors:
    """Squared errors of both, one row in each group."""
    squared = {yardsticks.SHIPPED: shipped, yardsticks.NO_EMBEDDING_DNN: yardstick}
    return yardsticks.GroupedErrors({name: np.asarray(values, float) for name, values in squared.items()}, 20)


def test_a_ratio_without_spread_is_compared_exactly():
    """Every error 1.1 times the yardstick's."""
    errors = grouped(np.full(20, 1.21), np.ones(20))
    assert yardsticks.judge(errors, 1.1 + 1e-9).ok and not yardsticks.judge(errors, 1.09).ok
    check = yardsticks.judge(errors, 1.0)
    assert (check.name, check.value, check.bound) == ("max_ratio_to_yardstick", pytest.approx(1.1), 1.0)
    assert check.detail == (
        "RMSE of the shipped file, 1.1000, over the no-embedding DNN's 1.0000 on the test split, 1.1 to 1.1"
    )


def test_the_interval_covers_the_true_ratio_in_95_percent_of_samples():
    """Two networks' errors on the same trips are correlated: pairing makes the interval narrow."""
    random = np.random.default_rng(3)
    covered, widths = 0, []
    for _ in range(300):
        common = random.normal(0, 1, 400)
        shipped, yardstick = common + random.normal(0, 0.3, 400), common + random.normal(0, 0.2, 400)
        labels = np.zeros(400)
        predictors = {"a": lambda _, values=shipped: values, "b": lambda _, values=yardstick: values}
        ratio = yardsticks.grouped_errors(predictors, [({}, labels)]).ratio("a", "b")
        covered += ratio.lower <= np.sqrt(1.09 / 1.04) <= ratio.upper
        widths.append(ratio.upper - ratio.lower)
    assert 0.91 <= covered / 300 <= 0.98
    assert np.mean(widths) < 0.08  # 0.14 for either RMSE alone


def test_a_higher_confidence_needs_more_evidence():
    """The ratio is 1.1 within 0.06 at 95 %, within 0.1 at 99.9 %."""
    shipped = np.full(20, 1.21) + np.tile([0.3, -0.3], 10)
    errors = grouped(shipped, np.ones(20))
    assert 1.02 < errors.ratio(yardsticks.SHIPPED, yardsticks.NO_EMBEDDING_DNN).lower < 1.05
    assert not yardsticks.judge(errors, 1.02, 0.95).ok and yardsticks.judge(errors, 1.02, 0.999).ok


def test_without_a_bound_the_check_holds_and_reports_the_ratio():
    check = yardsticks.judge(grouped(np.full(20, 100.0), np.ones(20)), None)
    assert (check.value, check.bound, check.ok) == (pytest.approx(10.0), None, True)


def test_a_yardstick_without_error():
    """A file with an error fails, a file without one passes, and JSON can hold the ratio."""
    worse = yardsticks.judge(grouped(np.full(20, 1e-4), np.zeros(20)), 1.02)
    assert not worse.ok and json.loads(json.dumps(worse.value, allow_nan=False)) > 1.02
    assert yardsticks.judge(grouped(np.zeros(20), np.zeros(20)), 1.02).ok


def test_a_file_that_returns_nan_is_refused():
    assert not yardsticks.judge(grouped(np.full(20, np.nan), np.ones(20)), 1.02).ok
