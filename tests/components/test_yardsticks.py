"""The yardsticks' arithmetic by hand and by numpy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.model_gate import yardsticks


def test_line_through_known_points():
    """y = 2 + 3x exactly, in two batches; mean of 2, 5, 8, 11, 14 is 8."""
    x = np.arange(5.0)
    mean, slope, intercept = yardsticks.fit_line([(x[:2], 2 + 3 * x[:2]), (x[2:, None], 2 + 3 * x[2:, None])])
    assert (mean, slope, intercept) == pytest.approx((8.0, 3.0, 2.0))


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 100))
def test_the_line_is_numpys_however_the_rows_are_cut(seed, cut):
    random = np.random.default_rng(seed)
    x, y = random.gamma(2, 3, 100), random.normal(10, 4, 100)
    line = yardsticks.fit_line([(x[:cut], y[:cut]), (x[cut:], y[cut:])])
    assert line == pytest.approx((y.mean(), *np.polyfit(x, y, 1)), rel=1e-6, abs=1e-6)


def test_where_the_distance_never_varies_the_line_is_the_mean():
    """0.1 has no exact square: for most row counts the spread is rounding, at times 0, and a slope from it nonsense."""
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
    found = yardsticks.errors(predictors, iter(batches))
    assert found == {"five": pytest.approx(3**0.5), "line": pytest.approx(2**0.5)}


def test_the_bound_itself_holds():
    """3.3 over 3 is 1.1 in decimal; 3.0 over 3.0 is exactly 1."""
    assert yardsticks.judge(3.0, 3.0, 1.0).ok
    check = yardsticks.judge(3.3, 3.0, 1.0)
    assert (check.name, check.value, check.bound) == ("max_ratio_to_yardstick", pytest.approx(1.1), 1.0)
    assert not check.ok
    assert check.detail == "RMSE of the shipped file, 3.3000, over the no-embedding DNN's 3.0000 on the test split"


def test_without_a_bound_it_holds_and_says_the_ratio():
    check = yardsticks.judge(30.0, 3.0, None)
    assert (check.value, check.bound, check.ok) == (pytest.approx(10.0), None, True)


def test_a_yardstick_without_error():
    """Whatever has an error loses to it, what has none does not; and the ratio is a number that JSON has."""
    worse = yardsticks.judge(0.01, 0.0, 1.02)
    assert not worse.ok and json.loads(json.dumps(worse.value, allow_nan=False)) > 1.02
    assert yardsticks.judge(0.0, 0.0, 1.02).ok
