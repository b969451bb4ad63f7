"""Whether what Evaluator measured holds the bounds: overall, in slices, and against the last blessed model.

A bound in the label's unit is a promise, held by what was measured. A bound on bias, on a slice or on a change is a
suspicion: it is broken where the whole confidence interval lies beyond it, so that a refusal is not noise.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from scipy import stats

from components import evaluation
from components.checks import Check, increase
from components.evaluation import BIAS, COUNT, MAE, MEAN_LABEL, P95, RMSE, Figures, Measured, SliceKey
from components.model_gate.settings import ModelBounds, SliceBounds

TFMA_CONFIDENCE = 0.95
JACKKNIFE_DEGREES = 19  # TFMA's jackknife has 20 groups
MEASURES = {"max_rmse": RMSE, "max_mae": MAE, "max_p95": P95}
SHOWN_SLICES = 3
NO_BASELINE = "no blessed model to compare with yet"
HINTS = {
    "max_rmse": "train on more or newer trips, or raise gates.{name} if the bound was too hopeful",
    "max_bias": "look for a change of tariff that train has not seen; gates.{name} sets the share",
    "max_rmse_increase": "the last one stays; look at what the newest trips have changed, or raise gates.{name}",
    "slice": "look at these trips in the data; gates.{name} sets the bound, gates.slices.min_rows what is a slice",
}


Excess = Callable[[SliceKey, Figures], tuple[Measured, float]]  # what was found in a slice, and its bound


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Figures by slice of the candidate, and of the baseline where there is one."""

    candidate: Mapping[SliceKey, Figures]
    baseline: Mapping[SliceKey, Figures]

    @property
    def slices(self) -> dict[SliceKey, Figures]:
        return {key: figures for key, figures in self.candidate.items() if key != evaluation.OVERALL}


def judge(evidence: Evidence, bounds: ModelBounds) -> list[Check]:
    """A check per bound that is set, those on slices with the worst one."""
    overall = evidence.candidate[evaluation.OVERALL]
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


def promised(name: str, found: Measured, bound: float) -> Check:
    """What was measured on all rows, at most the bound."""
    detail = f"on all test trips, {interval(found)}"
    return Check(name, found.value, bound, found.value <= bound, detail, HINTS["max_rmse"].format(name=name))


def biased(figures: Figures, bound: float, confidence: float) -> Check:
    """The mean error as a share of the mean label, either way."""
    share = share_of_label(figures)
    ok = least_absolute(widened(share, confidence)) <= bound
    detail = f"mean error over mean fare, {interval(share)}"
    return Check("max_bias", abs(share.value), bound, ok, detail, HINTS["max_bias"].format(name="max_bias"))


def increased(evidence: Evidence, bounds: ModelBounds) -> Check:
    """RMSE over the last blessed model's, same rows."""
    name, hint = "max_rmse_increase", HINTS["max_rmse_increase"].format(name="max_rmse_increase")
    if not evidence.baseline:
        return Check(name, 0.0, None, True, NO_BASELINE, hint)
    before = evidence.baseline[evaluation.OVERALL][RMSE].value
    allowed = increase(bounds.max_rmse_increase or 0.0, before, f"gates.{name}")
    change = evidence.candidate[evaluation.OVERALL][f"{RMSE}_diff"]
    ok = widened(change, bounds.confidence).lower <= allowed
    detail = f"RMSE over the last blessed model's {before:.4f}, same trips, {interval(change)}"
    return Check(name, change.value, allowed, ok, detail, hint)


def judge_slices(evidence: Evidence, bounds: SliceBounds, confidence: float) -> list[Check]:
    """A check per bound on slices: its worst slice, of those with enough rows."""
    large = {key: figures for key, figures in evidence.slices.items() if figures[COUNT].value >= bounds.min_rows}
    each = 1 - (1 - confidence) / max(len(large), 1)  # Bonferroni: all slices together are wrong that seldom
    of = f"{len(large)} of {len(evidence.slices)} slices have {bounds.min_rows} trips"

    def worst(name: str, excess: Excess) -> Check:
        return worst_of(f"slices.{name}", [(key, *excess(key, figures)) for key, figures in large.items()], each, of)

    found = [
        worst(name, measure_beside(measure, getattr(bounds, name)))
        for name, measure in MEASURES.items()
        if getattr(bounds, name) is not None
    ]
    if bounds.max_bias is not None:
        limit = bounds.max_bias
        found.append(worst("max_bias", lambda key, figures: (share_of_label(figures), limit)))
    if bounds.max_rmse_increase is not None:
        if evidence.baseline:
            found.append(worst("max_rmse_increase", increase_beside(evidence, bounds.max_rmse_increase)))
        else:
            found.append(Check("slices.max_rmse_increase", 0.0, None, True, NO_BASELINE))
    return found


def measure_beside(measure: str, bound: float) -> Excess:
    """A figure of a slice, and its bound."""
    return lambda key, figures: (figures[measure], bound)


def increase_beside(evidence: Evidence, allowed: float | str) -> Excess:
    """RMSE of a slice over the last blessed model's there, and what is allowed."""

    def excess(key: SliceKey, figures: Figures) -> tuple[Measured, float]:
        before = evidence.baseline[key][RMSE].value
        return figures[f"{RMSE}_diff"], increase(allowed, before, "gates.slices.max_rmse_increase")

    return excess


def worst_of(name: str, slices: Iterable[tuple[SliceKey, Measured, float]], confidence: float, of: str) -> Check:
    """The slice that is nearest to its bound or farthest beyond it; all that are beyond are named."""
    ranked = []
    for key, found, bound in slices:
        wide = widened(found, confidence)
        least, size = (least_absolute(wide), abs(found.value)) if name.endswith("bias") else (wide.lower, found.value)
        ranked.append((math.inf if math.isnan(least) else least / bound, size / bound, key, found, bound))
    if not ranked:
        return Check(name, 0.0, None, True, of)
    ranked.sort(key=lambda each: each[:2], reverse=True)
    beyond = [each for each in ranked if not each[0] <= 1]
    *_, found, bound = ranked[0]
    shown = [
        f"{evaluation.describe(key)} has {interval(one)}" for _, _, key, one, _ in (beyond or ranked)[:SHOWN_SLICES]
    ]
    more = f" and {len(beyond) - SHOWN_SLICES} more" if len(beyond) > SHOWN_SLICES else ""
    value = abs(found.value) if name.endswith("bias") else found.value
    detail = f"{'; '.join(shown) if beyond else shown[0]}{more}; {of}"
    return Check(name, value, bound, not beyond, detail, HINTS["slice"].format(name=name))


def share_of_label(figures: Figures) -> Measured:
    """Bias over the mean label, whose own error is small beside it."""
    bias, mean = figures[BIAS], figures[MEAN_LABEL].value
    scale = abs(mean) or 1.0
    return Measured(bias.value / scale, bias.lower / scale, bias.upper / scale)


def least_absolute(found: Measured) -> float:
    """The smallest |x| in the interval: 0 where it holds 0."""
    if math.isnan(found.value):
        return math.nan
    return max(found.lower, -found.upper, 0.0)


def widened(found: Measured, confidence: float) -> Measured:
    """The interval at another confidence; Student's t, two-sided, as TFMA has it."""
    ratio = quantile(confidence) / quantile(TFMA_CONFIDENCE)
    return Measured(
        found.value,
        found.value - ratio * (found.value - found.lower),
        found.value + ratio * (found.upper - found.value),
    )


def quantile(confidence: float) -> float:
    """Of Student's t with 19 degrees of freedom, two-sided."""
    return float(stats.t.ppf(0.5 + confidence / 2, JACKKNIFE_DEGREES))


def interval(found: Measured) -> str:
    """`3.718 (3.045 to 4.390)`."""
    return f"{found.value:.4g} ({found.lower:.4g} to {found.upper:.4g})"


def plain(figures: Figures) -> dict[str, Any]:
    """For JSON: {figure: value} and {figure: [lower, upper]}."""
    return {
        "values": {name: found.value for name, found in figures.items()},
        "intervals": {name: [found.lower, found.upper] for name, found in figures.items()},
    }
