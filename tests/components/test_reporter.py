"""Reporter's own arithmetic; the whole of it runs in test_end_to_end.py."""

from __future__ import annotations

import numpy as np
import pytest

from components.reporter import yardsticks


def test_line_through_known_points():
    """y = 2 + 3x exactly, in two batches; mean of 2, 5, 8, 11, 14 is 8."""
    x = np.arange(5.0)
    mean, slope, intercept = yardsticks.fit_line([(x[:2], 2 + 3 * x[:2]), (x[2:, None], 2 + 3 * x[2:, None])])
    assert (mean, slope, intercept) == pytest.approx((8.0, 3.0, 2.0))


def test_line_equals_numpy_and_a_constant_has_no_slope():
    random = np.random.default_rng(3)
    x, y = random.gamma(2, 3, 500), random.normal(10, 4, 500)
    assert yardsticks.fit_line([(x, y)])[1:] == pytest.approx(np.polyfit(x, y, 1), rel=1e-9)
    assert yardsticks.fit_line([(np.full(9, 4.2), np.arange(9.0))]) == pytest.approx((4.0, 0.0, 4.0))
