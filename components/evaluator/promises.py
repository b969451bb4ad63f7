"""Errors that a version promised at its push, and whether its live error breaks them by more than chance allows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from farebox.components.errors import Check
from farebox.components.evaluator import error_sums
from farebox.components.evaluator.error_sums import NAMES, NORMAL_95, Measured, short
from farebox.components.evaluator.metrics import (
    ALL_TRIPS,
    BIAS,
    CONFIDENCE,
    GROUPS,
    MAE,
    RMSE,
    Estimate,
    t_quantile,
)

MISSED = "missed"  # name of a check: share of labels out of their range
PROMISE = "promise"  # key of a version's manifest: errors on the test split by slice, as `error_sums.to_json` has them
MIN_ROWS = 30  # live and promised: fewer give no standard error to rely on

Errors = Mapping[str, Measured]


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """Allowed excess of live errors. margin: share of the promised MAE, RMSE or share of labels out of their range;
    the bias may move by this share of the promised MAE. rate: probability that chance alone breaks any check."""

    margin: float
    rate: float


def promised(judgement: Mapping[str, Any], features: Sequence[str] = ()) -> dict[str, Any]:
    """Errors that ModelGate measured on the test split, from the content of judgement.json, for a manifest.

    Of all trips, and of the slices by one of the features; empty if the judgement has no intervals.
    """
    overall = {"slice": ALL_TRIPS, **judgement.get("metrics", {})}
    overall |= {"rows": judgement.get("rows"), "intervals": judgement.get("intervals") or {}}
    slices = [each for each in judgement.get("slices") or () if each["slice"].partition("=")[0] in features]
    return {each["slice"]: _triples(each) for each in (overall, *slices) if each["rows"] and each.get("intervals")}


def _triples(errors: Mapping[str, Any]) -> dict[str, Any]:
    intervals = errors["intervals"]
    triples = {name: [short(errors[name]), *map(short, intervals[name])] for name in NAMES if name in intervals}
    return {"rows": errors["rows"], **triples}


def promise_of(manifest: Mapping[str, Any]) -> dict[str, Measured]:
    """The promise in a version's manifest, by slice; empty if it has no metrics.

    A manifest of an earlier Farebox has metrics of all trips without intervals: its promise has rows=0. Raises
    InputError if the promise is none.
    """
    if PROMISE in manifest:
        return error_sums.from_json(manifest[PROMISE])
    metrics = manifest.get("metrics") or {}
    known = {name: [metrics[name]] * 3 for name in NAMES if isinstance(metrics.get(name), (int, float))}
    return {ALL_TRIPS: Measured.from_json({"rows": 0, **known})} if {RMSE, MAE, BIAS} <= set(known) else {}


def checks(errors: Errors, promise: Errors, tolerance: Tolerance) -> list[Check]:
    """A check of each error, of all trips and by slice, named `mae` or `mae[airport=none]`; none without a promise or
    with less than MIN_ROWS rows on either side.

    `bound` is the largest value that holds: the promise, the margin, and what chance allows. `bias` is the distance of
    the bias from the promised one, `missed` the share of labels out of their range. Raises no alarm for errors that are
    smaller than promised.

    Each check is a one-sided test of "the live error is at most promise and margin" with Welch's t statistic (Welch
    1947, "The Generalization of 'Student's' Problem when Several Different Population Variances are Involved"): live
    and promised errors have standard errors of their own. Half of `rate` is shared by the checks of all trips, half by
    those of the slices, equally (Bonferroni), so that any of them fails by chance with probability `rate` at most, if
    the errors are no worse than promise and margin. It holds however the checks depend on each other, and so over days:
    n spans give at most n * rate false alarms on average. The tests are about means of heavy-tailed errors: how often
    they fail on real errors is measured in tests/components/evaluator/test_promises.py and docs/retraining.md.
    """
    from scipy.stats import t  # here: SciPy takes a second

    pairs = {
        name: (errors[name], promise[name])
        for name in errors
        if name in promise and min(errors[name].rows, promise[name].rows or MIN_ROWS) >= MIN_ROWS
    }
    excesses = {name: list(_excesses(*pair, tolerance.margin)) for name, pair in pairs.items()}
    n_sliced = sum(len(each) for name, each in excesses.items() if name != ALL_TRIPS)
    made = []
    for name, each in excesses.items():
        shared_by = len(each) if name == ALL_TRIPS else n_sliced
        for excess in each:
            level = tolerance.rate / 2 / shared_by / (2 if excess.name == BIAS else 1)  # a bias errs to either side
            made.append(_check(excess, name, float(t.isf(level, excess.degrees))))
    return made


@dataclasses.dataclass(frozen=True)
class _Term:
    """A mean with the variance of its estimate, and the degrees of freedom of that variance."""

    value: float
    variance: float
    degrees: float

    @classmethod
    def live(cls, estimate: Estimate, rows: int) -> _Term:
        """A mean over independent rows."""
        half = (estimate.upper - estimate.lower) / 2
        return cls(estimate.value, (half / NORMAL_95) ** 2, max(rows - 1, 1))

    @classmethod
    def promised(cls, estimate: Estimate, rows: int, live: _Term) -> _Term:
        """An estimate of ModelGate, by a jackknife; rows: of the test split, 0 if they are not known.

        If nothing has changed, rows of the test split err as live ones do: the variance is at least that of as many
        live rows. A small test split without one of the few large errors would promise too much.
        """
        jackknife = ((estimate.upper - estimate.lower) / 2 / t_quantile(CONFIDENCE)) ** 2
        pooled = live.variance * ((live.degrees + 1) / rows if rows else 1)
        if jackknife > pooled:
            return cls(estimate.value, jackknife, GROUPS - 1)
        return cls(estimate.value, pooled, live.degrees)


@dataclasses.dataclass(frozen=True)
class _Excess:
    """A live error beside the largest one that promise and margin allow; variance and degrees: of their difference."""

    name: str
    value: float
    allowed: float
    variance: float
    degrees: float


def _excesses(live: Measured, promise: Measured, margin: float) -> Iterator[_Excess]:
    """The errors that both have."""
    pairs = [(name, getattr(live, name), getattr(promise, name)) for name in (RMSE, MAE)]
    if live.coverage and promise.coverage:
        pairs.append((MISSED, _missed(live.coverage), _missed(promise.coverage)))
    for name, error, promised_error in pairs:
        term = _Term.live(error, live.rows)
        yield _excess(name, term, _Term.promised(promised_error, promise.rows, term), 1 + margin)
    term = _Term.live(live.bias, live.rows)
    moved = _excess(BIAS, term, _Term.promised(promise.bias, promise.rows, term), 1.0)
    distance = abs(moved.value - moved.allowed)
    yield dataclasses.replace(moved, value=distance, allowed=margin * promise.mae.value)


def _excess(name: str, live: _Term, promise: _Term, factor: float) -> _Excess:
    parts = (live.variance, factor**2 * promise.variance)
    spread = parts[0] ** 2 / live.degrees + parts[1] ** 2 / promise.degrees
    degrees = sum(parts) ** 2 / spread if spread > 0 else live.degrees  # Welch and Satterthwaite
    return _Excess(name, live.value, factor * promise.value, sum(parts), degrees)


def _check(excess: _Excess, slice_name: str, quantile: float) -> Check:
    """A live error that is not finite does not hold."""
    bound = excess.allowed + quantile * math.sqrt(excess.variance)
    name = excess.name if slice_name == ALL_TRIPS else f"{excess.name}[{slice_name}]"
    return Check(name, excess.value, bound, ok=excess.value <= bound)


def _missed(coverage: Estimate) -> Estimate:
    return Estimate(1 - coverage.value, 1 - coverage.upper, 1 - coverage.lower)
