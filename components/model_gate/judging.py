"""Whether what Evaluator measured holds the bounds: overall, in slices, and against the last blessed model.

A bound in the label's unit is a promise, held by what was measured. A bound on bias, on a slice or on a change is a
suspicion: it is broken where the whole confidence interval lies beyond it, so that a refusal is not noise.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

from farebox.components.errors import Check, increase
from farebox.components.evaluator import metrics
from farebox.components.evaluator.metrics import BIAS, COUNT, MAE, MEAN_LABEL, P95, RMSE, Estimate, Metrics, SliceKey
from farebox.components.model_gate.settings import ModelBounds, SliceBounds

MEASURES = {"max_rmse": RMSE, "max_mae": MAE, "max_p95": P95}
SHOWN_SLICES = 3
NO_BASELINE = "no blessed model to compare with yet"
HINTS = {
    "max_rmse": "train on more or newer trips, or raise gates.{name} if the bound was too hopeful",
    "max_bias": "look for a change of tariff that train has not seen; gates.{name} sets the share",
    "max_rmse_increase": "the last one stays; look at what the newest trips have changed, or raise gates.{name}",
    "slice": "look at these trips in the data; gates.{name} sets the bound, gates.slices.min_rows what is a slice",
}


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Metrics by slice of the candidate, and of the baseline where there is one."""

    candidate: Mapping[SliceKey, Metrics]
    baseline: Mapping[SliceKey, Metrics]

    @property
    def slices(self) -> dict[SliceKey, Metrics]:
        return {key: figures for key, figures in self.candidate.items() if key != metrics.OVERALL}


@dataclasses.dataclass(frozen=True)
class Suspicion:
    """A figure that breaks its bound where its whole interval is beyond; two_sided: above, or below its negative."""

    figure: Estimate
    bound: float
    two_sided: bool = False

    @property
    def size(self) -> float:
        return abs(self.figure.value) if self.two_sided else self.figure.value

    def excess(self, confidence: float) -> float:
        """By how much the end of the interval that is nearest to the bound is beyond it; infinite for NaN."""
        wide = self.figure.widened(confidence)
        least = max(wide.lower, -wide.upper) if self.two_sided else wide.lower
        return math.inf if math.isnan(least) else least - self.bound

    def check(self, name: str, confidence: float, detail: str, hint: str) -> Check:
        """What the gate says of it."""
        return Check(name, self.size, self.bound, self.excess(confidence) <= 0, detail, hint)


Excess = Callable[[SliceKey, Metrics], Suspicion]  # of a slice


def judge(evidence: Evidence, bounds: ModelBounds) -> list[Check]:
    """A check per bound that is set, those on slices with the worst one."""
    overall = evidence.candidate[metrics.OVERALL]
    found = [
        promised(name, overall[measure], getattr(bounds, name))
        for name, measure in MEASURES.items()
        if getattr(bounds, name) is not None
    ]
    if bounds.max_bias is not None:
        found.append(biased(overall, bounds.max_bias, bounds.confidence))
    if bounds.max_rmse_increase is not None:
        found.append(increased(evidence, bounds))
    return [*found, *judge_slices(evidence, bounds.slices, bounds.confidence)]


def promised(name: str, found: Estimate, bound: float) -> Check:
    """What was measured on all rows, at most the bound."""
    detail = f"on all test trips, {interval(found)}"
    return Check(name, found.value, bound, found.value <= bound, detail, HINTS["max_rmse"].format(name=name))


def biased(figures: Metrics, bound: float, confidence: float) -> Check:
    """The mean error as a share of the mean label, either way."""
    found = Suspicion(share_of_label(figures), bound, two_sided=True)
    detail = f"mean error over mean fare, {interval(found.figure)}"
    return found.check("max_bias", confidence, detail, HINTS["max_bias"].format(name="max_bias"))


def increased(evidence: Evidence, bounds: ModelBounds) -> Check:
    """RMSE over the last blessed model's, same rows."""
    name, hint = "max_rmse_increase", HINTS["max_rmse_increase"].format(name="max_rmse_increase")
    if not evidence.baseline:
        return Check(name, 0.0, None, True, NO_BASELINE, hint)
    before = evidence.baseline[metrics.OVERALL][RMSE].value
    allowed = increase(bounds.max_rmse_increase or 0.0, before, f"gates.{name}")
    change = evidence.candidate[metrics.OVERALL][f"{RMSE}_diff"]
    detail = f"RMSE over the last blessed model's {before:.4f}, same trips, {interval(change)}"
    return Suspicion(change, allowed).check(name, bounds.confidence, detail, hint)


def judge_slices(evidence: Evidence, bounds: SliceBounds, confidence: float) -> list[Check]:
    """A check per bound on slices: its worst slice, of those with enough rows."""
    large = {key: figures for key, figures in evidence.slices.items() if figures[COUNT].value >= bounds.min_rows}
    each = 1 - (1 - confidence) / max(len(large), 1)  # Bonferroni: all slices together are wrong that seldom
    of = f"{len(large)} of {len(evidence.slices)} slices have {bounds.min_rows} trips"

    def worst(name: str, excess: Excess) -> Check:
        found = {key: excess(key, figures) for key, figures in large.items()}
        return worst_of(f"slices.{name}", found, each, of)

    found = [
        worst(name, measure_beside(measure, getattr(bounds, name)))
        for name, measure in MEASURES.items()
        if getattr(bounds, name) is not None
    ]
    if bounds.max_bias is not None:
        limit = bounds.max_bias
        found.append(worst("max_bias", lambda key, figures: Suspicion(share_of_label(figures), limit, two_sided=True)))
    if bounds.max_rmse_increase is not None:
        if evidence.baseline:
            found.append(worst("max_rmse_increase", increase_beside(evidence, bounds.max_rmse_increase)))
        else:
            found.append(Check("slices.max_rmse_increase", 0.0, None, True, NO_BASELINE))
    return found


def measure_beside(measure: str, bound: float) -> Excess:
    """A figure of a slice, and its bound."""
    return lambda key, figures: Suspicion(figures[measure], bound)


def increase_beside(evidence: Evidence, allowed: float | str) -> Excess:
    """RMSE of a slice over the last blessed model's there, and what is allowed."""

    def excess(key: SliceKey, figures: Metrics) -> Suspicion:
        before = evidence.baseline[key][RMSE].value
        return Suspicion(figures[f"{RMSE}_diff"], increase(allowed, before, "gates.slices.max_rmse_increase"))

    return excess


def worst_of(name: str, slices: Mapping[SliceKey, Suspicion], confidence: float, of: str) -> Check:
    """The slice that is farthest beyond its bound, or nearest to it; all that are beyond are named."""
    if not slices:
        return Check(name, 0.0, None, True, of)
    ranked = sorted(
        slices.items(), key=lambda item: (item[1].excess(confidence), item[1].size - item[1].bound), reverse=True
    )
    beyond = [item for item in ranked if item[1].excess(confidence) > 0]
    shown = [
        f"{metrics.describe(key)} has {interval(each.figure)}" for key, each in (beyond or ranked[:1])[:SHOWN_SLICES]
    ]
    more = f" and {len(beyond) - SHOWN_SLICES} more" if len(beyond) > SHOWN_SLICES else ""
    detail = f"{'; '.join(shown)}{more}; {of}"
    return ranked[0][1].check(name, confidence, detail, HINTS["slice"].format(name=name))


def share_of_label(figures: Metrics) -> Estimate:
    """Bias over the mean label, whose own error is small beside it."""
    bias, mean = figures[BIAS], figures[MEAN_LABEL].value
    scale = abs(mean) or 1.0
    return Estimate(bias.value / scale, bias.lower / scale, bias.upper / scale)


def interval(found: Estimate) -> str:
    """`3.718 (3.045 to 4.390)`."""
    return f"{found.value:.4g} ({found.lower:.4g} to {found.upper:.4g})"
