"""RegressionErrors: sums that give numpy's figures, in whatever parts they are merged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.evaluation import BIAS, MAE, MEAN_LABEL, P95, RMSE
from components.evaluator.regression_errors import Sums

numbers = st.floats(-1e4, 1e4)


def sums_of(rows) -> Sums:
    found = Sums()
    for label, prediction in rows:
        found.add(label, prediction)
    return found


@given(rows=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40), cut=st.integers(0, 40))
def test_two_parts_give_what_numpy_does(rows, cut):
    merged = sums_of(rows[:cut])
    merged.merge(sums_of(rows[cut:]))
    labels, predictions = np.array(rows).T
    error = predictions - labels
    figures = merged.figures()
    assert figures[RMSE] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-6, abs=1e-6)
    assert figures[MAE] == pytest.approx(np.abs(error).mean(), rel=1e-6, abs=1e-6)
    assert figures[BIAS] == pytest.approx(error.mean(), rel=1e-6, abs=1e-6)
    assert figures[MEAN_LABEL] == pytest.approx(labels.mean(), rel=1e-6, abs=1e-6)
    exact = np.quantile(np.abs(error), 0.95, method="inverted_cdf")
    assert figures[P95] == pytest.approx(exact, rel=0.0051, abs=1.1e-6)


def test_merging_leaves_the_other_part_as_it_was():
    """TFMA's jackknife merges each part into many wholes."""
    part, whole = sums_of([(1.0, 2.0)]), sums_of([(5.0, 1.0)])
    whole.merge(part)
    assert part == sums_of([(1.0, 2.0)]) and whole.rows == 2


def test_what_is_not_finite_is_not_hidden():
    figures = sums_of([(1.0, 1.0), (2.0, float("nan"))]).figures()
    assert np.isnan(figures[RMSE]) and np.isnan(figures[BIAS]) and figures[P95] == np.inf
    assert all(np.isnan(value) for value in Sums().figures().values())
