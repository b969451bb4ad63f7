"""Bands: the promise on rows that were not fitted, small examples by hand, and rows from which nothing follows."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from farebox.components.errors import InputError
from farebox.components.tflite.bands import Bands, NoBandsError, fit, odds, rows_needed

TWO = Bands(coverage=0.9, edges=(10.0,), lower=(-1.0, -4.0), upper=(2.0, 8.0), rows=(100, 100), floor=2.5)


def trips(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions, and labels whose spread grows with them and is skewed."""
    predictions = rng.gamma(2.0, 5.0, n) + 3
    return predictions, predictions * (0.9 + 0.1 * rng.exponential(1.0, n))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    coverage=st.sampled_from([0.5, 0.8, 0.9, 0.95]),
    n_bands=st.integers(1, 9),
    n_rows=st.integers(60, 900),
)
def test_held_out_coverage_follows_its_exact_distribution(seed, coverage, n_bands, n_rows):
    """In each band, given its n rows, the share of new rows that a range covers is Beta(n + 1 - k, k).

    Vovk 2012, "Conditional validity of inductive conformal predictors". 20,000 new rows stand for all; 1e-7 in both
    tails over some hundred bands. Edges and the share below come from the same rows, which matters little.
    """
    rng = np.random.default_rng(seed)
    bands = fit(*trips(rng, n_rows), coverage=coverage, n_bands=n_bands, min_rows=20)
    predictions, labels = trips(rng, 20_000)
    covered, band = bands.covers(predictions, labels), np.searchsorted(bands.edges, predictions, side="right")
    for i, n in enumerate(bands.rows):
        k = int((n + 1) * (1 - coverage) + 1e-9)
        n_new = int((band == i).sum())
        exact = stats.betabinom(n_new, n + 1 - k, k)
        seen = int(covered[band == i].sum())
        # from below exactly; from above the outward rounding and an end that is moved to 0 may cover more
        assert exact.cdf(seen) > 1e-7 and (coverage < 0.8 or exact.sf(seen - 0.02 * n_new) > 1e-7)


def test_the_promise_holds_on_average_over_fits():
    """300 fits of 150 rows: new rows are covered as the ranks say, as promised and at most 1 / (n + 1) more."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        bands = fit(*trips(rng, 150), coverage=0.9, n_bands=3, min_rows=40)
        covered.append(bands.covers(*trips(rng, 500)).mean())
    assert len(bands) == 3 and 0.89 < np.mean(covered) < 0.9 + 1 / 51 + 0.01


def test_one_width_misses_large_fares_and_bands_do_not():
    rng = np.random.default_rng(1)
    held_out, new = trips(rng, 5_000), trips(rng, 50_000)
    large = new[0] > 20
    one, seven = (fit(*held_out, coverage=0.9, n_bands=n) for n in (1, 7))
    assert one.covers(*new)[large].mean() < 0.75 and seven.covers(*new)[large].mean() > 0.87
    low, high = seven.ranges(new[0])
    low_one, high_one = one.ranges(new[0])
    assert (high - low)[~large].mean() < (high_one - low_one)[~large].mean()


def test_ends_by_hand():
    """19 residuals of -9 to 9: the smallest and the largest. With 39, the second of each side."""
    p = np.full(19, 20.0)
    assert fit(p, p + np.arange(-9, 10), coverage=0.9, n_bands=3) == Bands(0.9, (), (-9.0,), (9.0,), (19,))
    p = np.full(39, 20.0)
    assert fit(p, p + np.arange(-19, 20), coverage=0.9, n_bands=1) == Bands(0.9, (), (-18.0,), (18.0,), (39,))


def test_a_skewed_residual_is_missed_more_often_above():
    """Labels far above are rare and widen an upper end more than a lower end gains: 1 of 1,000 is missed below."""
    rng = np.random.default_rng(2)
    p = np.full(999, 20.0)
    labels = p + rng.exponential(3.0, 999) - 1
    bands = fit(p, labels, coverage=0.9, n_bands=1)
    below, above = (labels < 20 + bands.lower[0]).mean(), (labels > 20 + bands.upper[0]).mean()
    assert below == pytest.approx(0.01, abs=0.0015) and above == pytest.approx(0.09, abs=0.0015)


def test_stored_ends_are_rounded_outwards():
    p = np.full(19, 20.0)
    bands = fit(p, p + np.linspace(-1.23441, 123.41, 19), coverage=0.9, n_bands=1)
    assert (bands.lower, bands.upper) == ((-1.235,), (123.5,))


def test_a_range_always_holds_its_prediction_and_begins_at_the_floor():
    """A model that is 5 too low in all rows: the lower end stays at the prediction."""
    p = np.arange(10.0, 50.0)
    biased = fit(p, p + 5, coverage=0.9, n_bands=1)
    assert (biased.lower, biased.upper) == ((0.0,), (5.0,))
    low, high = TWO.ranges([3.0, 2.0, 10.0])
    assert low.tolist() == [2.5, 2.0, 6.0] and high.tolist() == [5.0, 4.0, 18.0]


@settings(deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=40, max_size=200),
    st.integers(1, 9),
    st.sampled_from([None, 0.0, 2.5]),
)
def test_any_predictions_give_whole_bands(predictions, n_bands, floor):
    """Ties, constants and numbers of any size: every band has its rows, and every prediction has a range around it."""
    p = np.array(predictions)
    bands = fit(p, p + np.sin(np.arange(len(p))), coverage=0.9, n_bands=n_bands, min_rows=20, floor=floor)
    assert sum(bands.rows) == len(p) and min(bands.rows) >= 20 and len(bands) <= n_bands
    low, high = bands.ranges(p)
    assert (low <= p).all() and (p <= high).all()
    assert Bands.from_json(json.loads(json.dumps(bands.to_json()))) == dataclasses.replace(bands, rows=())


def test_a_prediction_on_an_edge_belongs_to_the_band_above():
    low, high = TWO.ranges(np.array([np.nextafter(10, 0), 10.0], np.float64))
    assert low == pytest.approx([9, 6]) and high == pytest.approx([12, 18])


def test_constant_predictions_are_one_band_and_ties_are_not_divided():
    labels = np.random.default_rng(0).normal(9, 1, 700)
    assert fit(np.full(700, 9.0), labels, coverage=0.9, n_bands=7, min_rows=20).edges == ()
    tied = fit(np.repeat([5.0, 9.0], [100, 600]), labels, coverage=0.9, n_bands=7, min_rows=20)
    assert tied.edges == (9.0,) and tied.rows == (100, 600)
    long = fit(np.repeat([5.0, 10.0067], [300, 400]), labels, coverage=0.9, n_bands=2, min_rows=100)
    assert long.edges == (10.0,) and long.rows == (300, 400)  # 10.01 would leave no row above


def test_fewer_rows_give_fewer_bands():
    rng = np.random.default_rng(0)
    assert [len(fit(*trips(rng, n), coverage=0.9, n_bands=7, min_rows=100)) for n in (100, 250, 480, 5000)] == [
        1, 2, 4, 7,
    ]  # fmt: skip


@pytest.mark.parametrize(("coverage", "rows"), [(0.9, 19), (0.95, 39), (0.5, 3), (0.99, 199)])
def test_too_few_rows_promise_nothing(coverage, rows):
    p = np.linspace(3, 30, rows)
    assert rows_needed(coverage) == rows and len(fit(p, p + 1, coverage=coverage, n_bands=7)) == 1
    with pytest.raises(NoBandsError, match=f"^{rows - 1} held-out rows must be at least {rows} for a coverage of"):
        fit(p[1:], p[1:], coverage=coverage, n_bands=7)
    with pytest.raises(NoBandsError, match=f"^{rows} held-out rows must be at least 300"):
        fit(p, p, coverage=coverage, n_bands=7, min_rows=300)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite(value):
    """No promise from them; and a prediction that is NaN has no range and covers nothing."""
    p = np.linspace(3, 30, 100)
    with pytest.raises(NoBandsError, match="^1 of 100 held-out predictions or labels are not finite"):
        fit(np.where(p > 29.9, value, p), p, coverage=0.9, n_bands=1)
    low, high = TWO.ranges([np.nan, 5.0])
    assert np.isnan(low[0]) and np.isnan(high[0]) and TWO.covers([np.nan, 5.0], [5.0, 5.0]).tolist() == [False, True]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"coverage": 1.0}, "bands.coverage=1.0 must be above 0 and below 1"),
        ({"edges": ()}, "bands.edges=() must be 1 ascending numbers"),
        ({"lower": (1.0, -4.0)}, "bands.lower=(1.0, -4.0) must be numbers of at most 0, one or more"),
        ({"upper": (2.0,)}, "bands.upper=(2.0,) must be 2 numbers of at least 0"),
        ({"rows": (5,)}, "bands.rows=(5,) must be 2 numbers, or none"),
        ({"upper": (2.0, float("inf"))}, "bands: edges, lower, upper and floor must be finite"),
    ],
)
def test_parts_that_do_not_fit_are_named(changes, line):
    with pytest.raises(InputError) as error:
        dataclasses.replace(TWO, **changes)
    assert str(error.value).startswith(line)


@pytest.mark.parametrize("content", [{}, [], "x", {**TWO.to_json(), "width": 1}, {**TWO.to_json(), "edges": ["a"]}])
def test_json_of_something_else_is_bad_input(content):
    with pytest.raises(InputError, match="^bands"):
        Bands.from_json(content)


def test_odds():
    assert [odds(each) for each in (0.9, 0.95, 0.8, 0.99, 0.5)] == [
        "9 of 10", "19 of 20", "4 of 5", "99 of 100", "1 of 2",
    ]  # fmt: skip
