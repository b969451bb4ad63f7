"""The checks of metrics against bounds; the intervals are by hand."""

from __future__ import annotations

import math

import pytest

from farebox.components.evaluator.metrics import (
    BIAS,
    COUNT,
    COVERAGE,
    MAE,
    MEAN_LABEL,
    OVERALL,
    P95,
    RANGE_WIDTH,
    RMSE,
    Estimate,
)
from farebox.components.model_gate.model_checks import Evidence, judge
from farebox.components.model_gate.settings import ModelBounds, SliceBounds

HOUR = (("pickup_hour", 8),)
QUIET = SliceBounds(max_bias=None, max_rmse_increase=None)


def about(value: float, half: float = 0.0) -> Estimate:
    return Estimate(value, value - half, value + half)


def metrics_of(*, rmse=3.0, bias=0.0, half=0.1, rows=1000, change=None, mean=10.0):
    metrics = {
        RMSE: about(rmse, half), MAE: about(rmse / 2, half), BIAS: about(bias, half), P95: about(2 * rmse, half),
        MEAN_LABEL: about(mean), COUNT: about(rows),
    }  # fmt: skip
    return metrics | ({f"{RMSE}_diff": about(*change)} if change else {})


def checks(bounds: ModelBounds, overall=None, slices=None, baseline=None, promised=None) -> dict:
    candidate = {OVERALL: overall or metrics_of()} | (slices or {})
    return {check.name: check for check in judge(Evidence(candidate, baseline or {}, promised), bounds)}


def test_a_bound_in_the_labels_unit_applies_to_the_value():
    """3.01 is above 3.0, although the interval is wide."""
    bounds = ModelBounds(max_rmse=3.0, max_mae=1.5, max_p95=6.0, slices=QUIET)
    held, broken = checks(bounds), checks(bounds, metrics_of(rmse=3.01, half=2.0))
    names = ("max_rmse", "max_mae", "max_p95")
    assert all(held[name].ok for name in names) and not any(broken[name].ok for name in names)
    assert broken["max_rmse"].detail == "on all test trips, 3.01 (1.01 to 5.01)" and broken["max_rmse"].hint


@pytest.mark.parametrize(
    ("bias", "half", "ok"),
    [(0.5, 0.1, False), (-0.5, 0.1, False), (0.5, 0.3, True), (-0.5, 0.3, True), (0.2, 0.1, True)],
)
def test_bias_is_refused_if_the_whole_interval_is_beyond_the_bound(bias, half, ok):
    """A mean fare of 10: the bound is 0.3 in both directions."""
    check = checks(ModelBounds(max_bias=0.03, slices=QUIET), metrics_of(bias=bias, half=half))["max_bias"]
    assert check.ok == ok and check.value == pytest.approx(abs(bias) / 10)


@pytest.mark.parametrize(("change", "ok"), [((0.2, 0.1), False), ((0.2, 0.15), True), ((0.05, 0.0), True)])
def test_an_increase_is_refused_if_the_whole_interval_is_beyond_the_bound(change, ok):
    """2 % of the last model's 3.0 are 0.06."""
    results = checks(ModelBounds(slices=QUIET), metrics_of(change=change), baseline={OVERALL: metrics_of()})
    assert results["max_rmse_increase"].ok == ok
    assert results["max_rmse_increase"].bound == pytest.approx(0.06)
    absolute = ModelBounds(max_rmse_increase=0.5, slices=QUIET)
    assert checks(absolute, metrics_of(change=(0.2, 0.1)), baseline={OVERALL: metrics_of()})["max_rmse_increase"].ok


def with_ranges(covered: float, half: float, rows=1000) -> dict:
    return metrics_of(rows=rows) | {COVERAGE: about(covered, half), RANGE_WIDTH: about(5.8)}


@pytest.mark.parametrize(
    ("covered", "half", "ok"), [(0.85, 0.02, False), (0.85, 0.04, True), (0.89, 0.0, True), (0.99, 0.0, True)]
)
def test_ranges_are_refused_if_they_surely_hold_fewer_fares_than_promised(covered, half, ok):
    """0.9 promised and 0.02 tolerated; more than promised is no fault."""
    check = checks(ModelBounds(slices=QUIET), with_ranges(covered, half), promised=0.9)["max_coverage_shortfall"]
    assert check.ok == ok and check.value == pytest.approx(0.9 - covered) and check.bound == 0.02
    low, high = covered - half, covered + half
    assert check.detail == (
        f"ranges hold {covered:.4g} ({low:.4g} to {high:.4g}) of the test fares, 0.9 promised, mean width 5.8"
    )
    assert check.hint.endswith("gates.max_coverage_shortfall sets the bound, bands.count=0 gives no ranges")


def test_ranges_in_a_slice_have_a_bound_of_their_own():
    slices = {HOUR: with_ranges(0.7, 0.01, rows=100), (("airport", "ohare"),): with_ranges(0.2, 0.01, rows=99)}
    check = checks(ModelBounds(), with_ranges(0.9, 0.01), slices, promised=0.9)["slices.max_coverage_shortfall"]
    assert not check.ok and check.value == pytest.approx(0.2) and check.detail.startswith("pickup_hour=8 has 0.2 (")
    wide = {HOUR: with_ranges(0.7, 0.06)}
    assert checks(ModelBounds(), with_ranges(0.9, 0.01), wide, promised=0.9)["slices.max_coverage_shortfall"].ok


def test_a_model_without_ranges_is_not_judged_by_them_and_null_drops_the_check():
    names = ("max_coverage_shortfall", "slices.max_coverage_shortfall")
    for name, check in checks(ModelBounds()).items():
        assert (check.bound is None and check.detail == "the model has no ranges") == (name in names)
    off = ModelBounds(max_coverage_shortfall=None, slices=SliceBounds(max_coverage_shortfall=None))
    assert not set(names) & set(checks(off, with_ranges(0.1, 0.0), promised=0.9))


def test_without_a_blessed_model_the_check_says_so():
    results = checks(ModelBounds())
    for name in ("max_rmse_increase", "slices.max_rmse_increase"):
        assert (results[name].ok, results[name].bound) == (True, None)
        assert results[name].detail == "no accepted model to compare with yet"


def test_a_bad_slice_is_named_and_a_small_one_is_not_checked():
    bounds = ModelBounds(slices=SliceBounds(min_rows=100))
    bad = metrics_of(bias=4.0, rows=100)
    check = checks(bounds, slices={HOUR: bad, (("airport", "none"),): metrics_of(rows=900)})["slices.max_bias"]
    assert not check.ok and check.value == 0.4
    assert check.detail == "pickup_hour=8 has 0.4 (0.39 to 0.41); 2 of 2 slices have 100 trips"
    few = checks(bounds, slices={HOUR: metrics_of(bias=4.0, rows=99)})["slices.max_bias"]
    assert few.ok and few.bound is None and few.detail == "0 of 1 slices have 100 trips"


def test_every_slice_beyond_its_bound_is_named_the_worst_first():
    slices = {(("pickup_hour", hour),): metrics_of(bias=-hour) for hour in (2, 3, 4, 5, 1)}
    check = checks(ModelBounds(), slices=slices)["slices.max_bias"]
    assert check.value == 0.5
    assert [part.split(" has")[0] for part in check.detail.split("; ")][:3] == [
        "pickup_hour=5", "pickup_hour=4", "pickup_hour=3",
    ]  # fmt: skip
    assert " and 1 more; 5 of 5" in check.detail


def test_more_slices_need_more_evidence():
    """0.18 to 0.22 is beyond 0.15 for one slice; among forty, one slice is that far off by chance."""
    slice_of = metrics_of(bias=1.9, half=0.3)
    assert not checks(ModelBounds(), slices={HOUR: slice_of})["slices.max_bias"].ok
    many = {(("pickup_area", str(i)),): metrics_of() for i in range(39)}
    assert checks(ModelBounds(), slices=many | {HOUR: slice_of})["slices.max_bias"].ok


def test_a_slice_is_compared_with_the_last_blessed_model_on_that_slice():
    """A quarter of 3.0 is 0.75."""
    before = {OVERALL: metrics_of(), HOUR: metrics_of()}
    for change, ok in (((1.0, 0.1), False), ((1.0, 0.3), True), ((0.7, 0.0), True)):
        results = checks(ModelBounds(), metrics_of(change=(0.0, 0.0)), {HOUR: metrics_of(change=change)}, before)
        assert results["slices.max_rmse_increase"].ok == ok, change


def test_a_bound_of_zero_forbids_any_increase():
    """An increase of 0.1 in a slice is beyond it, a decrease of 0.1 is not."""
    bounds = ModelBounds(slices=SliceBounds(max_rmse_increase=0))
    before = {OVERALL: metrics_of(), HOUR: metrics_of()}
    for change, ok in (((0.1, 0.01), False), ((-0.1, 0.01), True)):
        results = checks(bounds, metrics_of(change=(0.0, 0.0)), {HOUR: metrics_of(change=change)}, before)
        assert results["slices.max_rmse_increase"].ok == ok, change


@pytest.mark.parametrize("name", ["max_rmse", "max_mae", "max_p95"])
def test_slices_have_bounds_in_the_labels_unit_too(name):
    bounds = ModelBounds(slices=SliceBounds(**{name: 1.0}))
    assert not checks(bounds, slices={HOUR: metrics_of()})[f"slices.{name}"].ok
    assert f"slices.{name}" not in checks(ModelBounds(), slices={HOUR: metrics_of()})


def test_nan_fails_every_bound():
    nan = metrics_of(rmse=math.nan, bias=math.nan)
    results = checks(ModelBounds(max_mae=9.0, max_p95=9.0), nan, {HOUR: nan})
    for name in ("max_rmse", "max_mae", "max_p95", "max_bias", "slices.max_bias"):
        assert not results[name].ok, name


@pytest.mark.parametrize("hours", [(1, 8, 9), (8, 1, 9), (9, 1, 8)])
def test_a_slice_of_nan_is_worse_than_any_other(hours):
    nan, bad = metrics_of(rmse=math.nan, bias=math.nan), metrics_of(bias=9.0)
    slices = {(("pickup_hour", hour),): nan if hour == 8 else bad for hour in hours}
    assert checks(ModelBounds(), slices=slices)["slices.max_bias"].detail.startswith("pickup_hour=8 has nan")


def test_an_interval_widens_by_students_t():
    """t with 19 degrees of freedom: 2.093 at 95 %, 2.861 at 99 %."""
    wide = about(1.0, 2.093).widened(0.99)
    assert (wide.lower, wide.upper) == pytest.approx((1 - 2.861, 1 + 2.861), abs=1e-3)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"max_rmse": None}, "gates.max_rmse must be given: Evaluator blesses by it"),
        ({"max_rmse": 0}, "gates.max_rmse=0 must be above 0 and finite"),
        ({"max_bias": -0.1}, "gates.max_bias=-0.1 must be above 0 and finite, or null"),
        (
            {"max_rmse_increase": "much"},
            "gates.max_rmse_increase=much must be a number or a percentage such as 0.2%, or null",
        ),
        (
            {"max_rmse_increase": "1.2.3"},
            "gates.max_rmse_increase=1.2.3 must be a number or a percentage such as 0.2%, or null",
        ),
        ({"confidence": 1.0}, "gates.confidence=1.0 must be above 0.5 and below 1"),
        ({"max_ratio_to_yardstick": math.nan}, "gates.max_ratio_to_yardstick=nan must be above 0 and finite, or null"),
        ({"slices": {"min_rows": 0}}, "gates.slices.min_rows=0 must be at least 1"),
        ({"slices": {"max_p95": 0}}, "gates.slices.max_p95=0 must be above 0 and finite, or null"),
    ],
)
def test_settings_name_the_value(fields, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        ModelBounds(**fields)
