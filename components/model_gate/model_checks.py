"""Checks Evaluator's metrics against the bounds: overall, in slices, and against the last blessed model.

A bound on an error of all rows applies to the measured value. A bound on bias, on a slice or on a change fails only if
the whole confidence interval lies beyond it, so noise alone does not refuse a model.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

from farebox.components.errors import Check, increase
from farebox.components.evaluator import metrics
from farebox.components.evaluator.metrics import (
    BIAS,
    COUNT,
    COVERAGE,
    MAE,
    MEAN_LABEL,
    P95,
    RANGE_WIDTH,
    RMSE,
    Estimate,
    Metrics,
    SliceKey,
)
from farebox.components.model_gate.settings import ModelBounds, SliceBounds

MEASURES = {"max_rmse": RMSE, "max_mae": MAE, "max_p95": P95}
SHOWN_SLICES = 3
NO_BASELINE = "no accepted model to compare with yet"
NO_RANGES = "the model has no ranges"
HINTS = {
    "max_rmse": "train on more or newer trips, or raise gates.{name} if the bound is too strict",
    "max_bias": "look for a change of tariff after the train split; gates.{name} sets the bound",
    "max_rmse_increase": "the last model stays; look at what changed in the newest trips, or raise gates.{name}",
    "max_coverage_shortfall": (
        "eval must have trips like those of test; gates.{name} sets the bound, bands.count=0 gives no ranges"
    ),
    "slice": "look at these trips in the data; gates.{name} sets the bound, gates.slices.min_rows the size of a slice",
}


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Metrics by slice of the candidate and of the baseline; the latter is empty without a blessed model.

    promised: the coverage that the candidate's ranges promise, None if it has none.
    """

    candidate: Mapping[SliceKey, Metrics]
    baseline: Mapping[SliceKey, Metrics]
    promised: float | None = None

    @property
    def slices(self) -> dict[SliceKey, Metrics]:
        """The candidate's metrics by slice, without the slice of all rows."""
        return {key: estimates for key, estimates in self.candidate.items() if key != metrics.OVERALL}


@dataclasses.dataclass(frozen=True)
class IntervalTest:
    """An estimate fails if its whole interval is above the bound; two_sided: or below the bound's negative."""

    estimate: Estimate
    bound: float
    two_sided: bool = False

    @property
    def size(self) -> float:
        """The value that the bound is compared with."""
        return abs(self.estimate.value) if self.two_sided else self.estimate.value

    def excess(self, confidence: float) -> float:
        """Distance of the interval's nearest end beyond the bound, negative within it; infinite for NaN."""
        wide = self.estimate.widened(confidence)
        least = max(wide.lower, -wide.upper) if self.two_sided else wide.lower
        return math.inf if math.isnan(least) else least - self.bound

    def check(self, name: str, confidence: float, detail: str, hint: str) -> Check:
        """The check of this test."""
        lower, upper = self.interval(confidence)
        ok = self.excess(confidence) <= 0
        return Check(name, self.size, self.bound, ok, detail, hint, lower=lower, upper=upper)

    def interval(self, confidence: float) -> tuple[float | None, float | None]:
        """The interval of `size`; two_sided: of the estimate's absolute value. (None, None) if it is not finite."""
        wide = self.estimate.widened(confidence)
        ends = (wide.lower, wide.upper)
        if self.two_sided:
            sizes = sorted(map(abs, ends))
            ends = (0.0 if wide.lower <= 0 <= wide.upper else sizes[0], sizes[1])
        return ends if all(map(math.isfinite, ends)) else (None, None)


SliceTest = Callable[[SliceKey, Metrics], IntervalTest]


def judge(evidence: Evidence, bounds: ModelBounds) -> list[Check]:
    """One check per bound that is set; a check on slices reports the worst slice."""
    overall = evidence.candidate[metrics.OVERALL]
    checks = [
        check_value(name, overall[measure], getattr(bounds, name))
        for name, measure in MEASURES.items()
        if getattr(bounds, name) is not None
    ]
    if bounds.max_bias is not None:
        checks.append(check_bias(overall, bounds.max_bias, bounds.confidence))
    if bounds.max_rmse_increase is not None:
        checks.append(check_increase(evidence, bounds))
    if bounds.max_coverage_shortfall is not None:
        checks.append(check_coverage(evidence, bounds.max_coverage_shortfall, bounds.confidence))
    return [*checks, *judge_slices(evidence, bounds.slices, bounds.confidence)]


def check_value(name: str, estimate: Estimate, bound: float) -> Check:
    """Holds if the value on all rows is at most the bound."""
    detail = f"on all test trips, {interval(estimate)}"
    hint = HINTS["max_rmse"].format(name=name)
    lower, upper = IntervalTest(estimate, bound).interval(metrics.CONFIDENCE)
    return Check(name, estimate.value, bound, estimate.value <= bound, detail, hint, lower=lower, upper=upper)


def check_bias(overall: Metrics, bound: float, confidence: float) -> Check:
    """Tests the mean error as a share of the mean label, in both directions."""
    test = IntervalTest(share_of_label(overall), bound, two_sided=True)
    detail = f"mean error over mean fare, {interval(test.estimate)}"
    return test.check("max_bias", confidence, detail, HINTS["max_bias"].format(name="max_bias"))


def check_increase(evidence: Evidence, bounds: ModelBounds) -> Check:
    """Tests the increase of RMSE over the last blessed model's on the same rows."""
    name, hint = "max_rmse_increase", HINTS["max_rmse_increase"].format(name="max_rmse_increase")
    if not evidence.baseline:
        return Check(name, 0.0, None, ok=True, detail=NO_BASELINE, hint=hint)
    before = evidence.baseline[metrics.OVERALL][RMSE].value
    allowed = increase(bounds.max_rmse_increase or 0.0, before, f"gates.{name}")
    change = evidence.candidate[metrics.OVERALL][f"{RMSE}_diff"]
    detail = f"RMSE over the last blessed model's {before:.4f}, same trips, {interval(change)}"
    return IntervalTest(change, allowed).check(name, bounds.confidence, detail, hint)


def check_coverage(evidence: Evidence, bound: float, confidence: float) -> Check:
    """Tests how far the coverage of the ranges falls short of its promise.

    More than promised is no fault: wide ranges mislead nobody, and their width is among the metrics.
    """
    name, hint = "max_coverage_shortfall", HINTS["max_coverage_shortfall"].format(name="max_coverage_shortfall")
    if evidence.promised is None:
        return Check(name, 0.0, None, ok=True, detail=NO_RANGES, hint=hint)
    overall = evidence.candidate[metrics.OVERALL]
    detail = (
        f"ranges hold {interval(overall[COVERAGE])} of the test fares, {evidence.promised:g} promised, "
        f"mean width {overall[RANGE_WIDTH].value:.4g}"
    )
    return IntervalTest(shortfall(overall, evidence.promised), bound).check(name, confidence, detail, hint)


def judge_slices(evidence: Evidence, bounds: SliceBounds, confidence: float) -> list[Check]:
    """One check per bound on slices: its worst slice among those with at least `min_rows` rows."""
    large = {key: each for key, each in evidence.slices.items() if each[COUNT].value >= bounds.min_rows}
    # Bonferroni: keeps the family-wise error at 1 - confidence
    slice_confidence = 1 - (1 - confidence) / max(len(large), 1)
    counted = f"{len(large)} of {len(evidence.slices)} slices have {bounds.min_rows} trips"

    def worst(name: str, test: SliceTest) -> Check:
        tests = {key: test(key, estimates) for key, estimates in large.items()}
        return worst_of(f"slices.{name}", tests, slice_confidence, counted)

    checks = [
        worst(name, value_test(measure, getattr(bounds, name)))
        for name, measure in MEASURES.items()
        if getattr(bounds, name) is not None
    ]
    if bounds.max_bias is not None:
        checks.append(worst("max_bias", bias_test(bounds.max_bias)))
    if bounds.max_rmse_increase is not None:
        if evidence.baseline:
            checks.append(worst("max_rmse_increase", increase_test(evidence, bounds.max_rmse_increase)))
        else:
            checks.append(Check("slices.max_rmse_increase", 0.0, None, ok=True, detail=NO_BASELINE))
    if bounds.max_coverage_shortfall is not None:
        if evidence.promised is not None:
            test = coverage_test(bounds.max_coverage_shortfall, evidence.promised)
            checks.append(worst("max_coverage_shortfall", test))
        else:
            checks.append(Check("slices.max_coverage_shortfall", 0.0, None, ok=True, detail=NO_RANGES))
    return checks


def value_test(measure: str, bound: float) -> SliceTest:
    """Tests a metric of a slice against its bound."""
    return lambda _, estimates: IntervalTest(estimates[measure], bound)


def bias_test(bound: float) -> SliceTest:
    """Tests the mean error of a slice as a share of its mean label, in both directions."""
    return lambda _, estimates: IntervalTest(share_of_label(estimates), bound, two_sided=True)


def increase_test(evidence: Evidence, allowed: float | str) -> SliceTest:
    """Tests the increase of RMSE over the last blessed model's in the same slice."""

    def test(key: SliceKey, estimates: Metrics) -> IntervalTest:
        before = evidence.baseline[key][RMSE].value
        return IntervalTest(estimates[f"{RMSE}_diff"], increase(allowed, before, "gates.slices.max_rmse_increase"))

    return test


def coverage_test(bound: float, promised: float) -> SliceTest:
    """Tests how far the coverage in a slice falls short of the promise."""
    return lambda _, estimates: IntervalTest(shortfall(estimates, promised), bound)


def worst_of(name: str, tests: Mapping[SliceKey, IntervalTest], confidence: float, counted: str) -> Check:
    """The check of the slice with the largest excess; its detail names all slices that fail and `counted`."""
    if not tests:
        return Check(name, 0.0, None, ok=True, detail=counted)
    ranked = sorted(
        tests.items(), key=lambda item: (item[1].excess(confidence), item[1].size - item[1].bound), reverse=True
    )
    beyond = [item for item in ranked if item[1].excess(confidence) > 0]
    shown = [
        f"{metrics.describe(key)} has {interval(test.estimate)}" for key, test in (beyond or ranked[:1])[:SHOWN_SLICES]
    ]
    more = f" and {len(beyond) - SHOWN_SLICES} more" if len(beyond) > SHOWN_SLICES else ""
    detail = f"{'; '.join(shown)}{more}; {counted}"
    return ranked[0][1].check(name, confidence, detail, HINTS["slice"].format(name=name))


def share_of_label(estimates: Metrics) -> Estimate:
    """Bias over the mean label; the standard error of the mean label is negligible beside that of bias."""
    bias, mean = estimates[BIAS], estimates[MEAN_LABEL].value
    scale = abs(mean) or 1.0
    return Estimate(bias.value / scale, bias.lower / scale, bias.upper / scale)


def shortfall(estimates: Metrics, promised: float) -> Estimate:
    """The promised coverage minus the measured one."""
    covered = estimates[COVERAGE]
    return Estimate(promised - covered.value, promised - covered.upper, promised - covered.lower)


def interval(estimate: Estimate) -> str:
    """`3.718 (3.045 to 4.390)`."""
    return f"{estimate.value:.4g} ({estimate.lower:.4g} to {estimate.upper:.4g})"
