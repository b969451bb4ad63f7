"""Two models on the same trips: Evaluator's metrics, slices and intervals, without Beam."""

from __future__ import annotations

import math

import numpy as np
import pytest

from farebox.components.evaluator.metrics import CONFIDENCE, RMSE, Estimate, t_quantile
from farebox.components.tflite.bands import Bands
from farebox.modules import slicing
from farebox.modules.columns import MODEL_INPUTS
from farebox.modules.comparison import Comparison

CITY = {"box": [-88.0, -87.0, 41.0, 42.0], "airports": {}, "features": {}}
BANDS = Bands.from_json({"coverage": 0.9, "edges": [], "lower": [-1.0], "upper": [1.0], "floor": 0.0})


def trips(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Columns of shape (n,): pickups in the box, hours 8 and 9 in turn, all on Monday, a few kilometres long."""
    rng = np.random.default_rng(seed)
    west, south = rng.uniform(-87.9, -87.1, n), rng.uniform(41.1, 41.9, n)
    values = (west, south, west + 0.03, south, np.ones(n, int), np.arange(n) % 2 + 8, np.zeros(n, int))
    return dict(zip(MODEL_INPUTS, values, strict=True))


def compared(bands=(None, None), n=2000, worse_at=9, parts=1, noise=0.0):
    """B equals A except at an hour, where it is half as much farther off; the two hours have 1,000 trips each.

    noise: standard deviation of A's error around 2 and -2.
    """
    columns, rng = trips(n), np.random.default_rng(1)
    labels = rng.uniform(5, 30, n)
    a = labels + rng.choice([-2.0, 2.0], n) + rng.normal(0, noise, n)
    b = np.where(columns["pickup_hour"] == worse_at, labels + 1.5 * (a - labels), a)
    comparison = Comparison(CITY, bands)
    for rows in np.array_split(np.arange(n), parts):
        comparison.update({name: each[rows] for name, each in columns.items()}, labels[rows], (a[rows], b[rows]))
    return comparison, labels, a, b


def test_errors_by_slice_are_those_of_numpy():
    """A is off by 2 everywhere; B by 3 at nine: RMSE over all is the root of (4 + 9) / 2."""
    comparison, *_ = compared()
    by_name = {each.slice: each for each in comparison.slices(min_rows=1)}
    everything, eight, nine = by_name["all trips"], by_name["pickup_hour=8"], by_name["pickup_hour=9"]
    assert (everything.rows, eight.rows, nine.rows) == (2000, 1000, 1000)
    assert everything.a["rmse"] == pytest.approx(2) and everything.b["rmse"] == pytest.approx(math.sqrt(6.5))
    assert (nine.a["mae"], nine.b["mae"]) == (pytest.approx(2), pytest.approx(3))
    assert (everything.better, eight.better, nine.better) == ("A", "", "A")
    assert eight.difference == Estimate(0.0, 0.0, 0.0)
    assert nine.difference.value == pytest.approx(1) and nine.difference.lower > 0.9
    assert math.isnan(everything.a["coverage"])


def test_the_better_model_is_named_whichever_side_it_is_on():
    comparison, labels, a, b = compared()
    other = Comparison(CITY, (None, None))
    other.update(trips(2000), labels, (b, a))
    sides = {each.slice: each.better for each in other.slices(1)}
    assert (sides["all trips"], sides["pickup_hour=8"]) == ("B", "")
    assert {each.slice for each in comparison.slices(1)} == set(sides)


def test_batches_add_up():
    whole, parts = (compared(parts=number)[0].slices(1) for number in (1, 7))
    assert [each.slice for each in whole] == [each.slice for each in parts]
    for one, other in zip(whole, parts, strict=True):
        assert one.difference.value == pytest.approx(other.difference.value)
        assert one.difference.lower == pytest.approx(other.difference.lower)


def test_slices_are_evaluators_in_order_and_small_ones_are_left_out():
    comparison, *_ = compared()
    names = [each.slice for each in comparison.slices(min_rows=100)]
    assert names[:5] == ["all trips", "pickup_hour=8", "pickup_hour=9", "pickup_weekday=0", "distance_band=2-5 km"]
    small = [each for each in comparison.slices(1) if each.slice.startswith("pickup_area")]
    kept = [each for each in comparison.slices(80) if each.slice.startswith("pickup_area")]
    assert [each.rows for each in kept] == [each.rows for each in small if each.rows >= 80]
    assert 0 < len(kept) < len(small) == 25


def test_intervals_of_slices_hold_for_all_of_them_together():
    """Bonferroni, as ModelGate's; with one slice left, its interval is the plain one."""
    comparison, *_ = compared(noise=1.0)
    many = {each.slice: each for each in comparison.slices(1)}["pickup_hour=9"].difference
    few = {each.slice: each for each in comparison.slices(1000)}
    n_many, n_few = len(comparison.slices(1)) - 1, len(few) - 1
    wide, narrow = (t_quantile(1 - (1 - CONFIDENCE) / n) for n in (n_many, n_few))
    ratio = (many.upper - many.value) / (few["pickup_hour=9"].difference.upper - many.value)
    assert n_few < n_many and ratio == pytest.approx(wide / narrow)


def test_coverage_is_each_models_own():
    """Fares off by 2 lie outside of ranges of 1, those that hit lie inside."""
    comparison, *_ = compared(bands=(BANDS, None))
    (everything, *_others) = comparison.slices(1)
    assert everything.a["coverage"] == 0.0 and math.isnan(everything.b["coverage"])


def test_no_trips_are_no_slices():
    comparison = Comparison(CITY, (None, None))
    comparison.update({name: each[:0] for name, each in trips(1).items()}, np.zeros(0), (np.zeros(0), np.zeros(0)))
    assert comparison.slices(1) == []


@pytest.mark.slow
def test_an_interval_is_the_one_that_tfma_computes():
    """TFMA's own function, on the value that Evaluator's metric hands it."""
    from tensorflow_model_analysis.utils import math_util

    from farebox.components.evaluator.group_sums import Sums
    from farebox.components.evaluator.regression_errors import jackknifed

    sums, rng = Sums(), np.random.default_rng(3)
    sums.add(rng.uniform(5, 30, 500), rng.uniform(5, 30, 500), np.arange(500) % 20)
    metric = sums.metrics()[RMSE]
    _, low, high = math_util.calculate_confidence_interval(jackknifed(metric))
    estimate = Estimate.from_jackknife(metric)
    assert (estimate.lower, estimate.upper) == (pytest.approx(low), pytest.approx(high))


def test_a_metric_without_a_standard_error_has_no_interval():
    metric = np.array([2.0, *[np.nan] * 20])
    assert Estimate.from_jackknife(metric) == Estimate(2.0, 2.0, 2.0)


def test_groups_are_evaluators():
    """The hash that Evaluator's extractor takes, so that both draw the same intervals from the same trips."""
    columns = trips(50)
    shaped = {name: values[:, None] for name, values in columns.items()}
    comparison = Comparison(CITY, (None, None))
    comparison.update(columns, np.ones(50), (np.ones(50), np.ones(50)))
    (sums, _) = comparison._sums[()]
    expected = np.bincount((slicing.row_hashes(shaped, MODEL_INPUTS) % 20).astype(int), minlength=20)
    assert sums.sums[0].tolist() == expected.tolist()
