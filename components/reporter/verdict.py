"""The verdict on a run in sentences, for the page and the screen: shipped or not, how good, how close to a refusal."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from farebox.components.errors import Check, number
from farebox.components.evaluator.metrics import MAE, RMSE
from farebox.components.model_gate.yardsticks import LIGHTGBM, LINEAR_ON_DISTANCE
from farebox.components.reporter.figures import Figures, ModelFigures
from farebox.components.reporter.gate_words import in_words
from farebox.components.reporter.yardstick_words import best_yardstick, versus

INCREASE = "max_rmse_increase"


@dataclasses.dataclass(frozen=True)
class Margin:
    """A check and the share of its bound that is used: 1 at the bound, more beyond it; None for yes-or-no checks and
    for checks that had nothing to compare."""

    check: Check
    used: float | None


def margins(checks: Sequence[Check]) -> list[Margin]:
    """Failed checks first, then the closest to refusing, then those without a share."""
    found = [Margin(check, used_share(check)) for check in checks]
    return sorted(found, key=lambda each: (each.check.ok, each.used is None, -(each.used or 0.0)))


def used_share(check: Check) -> float | None:
    """The value over its bound, or the bound over the value for a smallest bound; None without such a share."""
    value, bound = check.value, check.bound
    if not bound or not math.isfinite(value) or (value == bound == 1):
        return None
    if check.at_least:
        return bound / value if value > 0 and bound > 0 else None
    return value / bound


def closest(checks: Sequence[Check]) -> Check | None:
    """The gate that is closest to refusing, or that refused most clearly; None if no gate has a margin."""
    return next((margin.check for margin in margins(checks) if margin.used is not None), None)


def word(check: Check) -> str:
    """Verdict of a gate in one or two words; `within noise` if the value is beyond a bound that still holds."""
    value, bound = check.value, check.bound
    if not check.ok:
        return "warns" if check.severity == "warn" else "refuses"
    if bound is None:
        return "not compared"
    is_beyond = value < bound if check.at_least else value > bound
    return "within noise" if is_beyond else "holds"


def is_shipped(figures: Figures) -> bool:
    """Whether the run pushed its model and no gate refused."""
    return bool(figures.pushed) and not any(check.refuses for check in figures.gates)


def sentence(figures: Figures, currency: str) -> str:
    """The verdict for a person who decides, not measures."""
    head = "Shipped." if is_shipped(figures) else "Not shipped."
    refused = [check for check in figures.gates if check.refuses]
    if figures.measured is None:
        why = "; ".join(broken(check) for check in refused) or "the run stopped before there was a model"
        return f"{head} The data were refused, so no model was trained: {why}."
    if refused:
        why = "; ".join(broken(check) for check in refused)
        return f"{head} Refused: {why}. The model: {quality(figures.measured, currency)}."
    return f"{head} {capital(quality(figures.measured, currency))}."


def quality(measured: ModelFigures, currency: str) -> str:
    """Accuracy with its interval, against yardsticks on the same trips, and cost on the device."""
    parts = [accuracy(measured, currency)]
    best = best_yardstick(measured)
    shown = dict.fromkeys(name for name in (LINEAR_ON_DISTANCE, LIGHTGBM, best) if name in measured.yardsticks)
    parts += [versus(measured, name) + (", the best yardstick" if name == best else "") for name in shown]
    latency = f", {measured.latency_us.p50:.1f} µs" if measured.latency_us else ""
    return "; ".join([*parts, f"{measured.model.bytes:,} bytes{latency}"])


def accuracy(measured: ModelFigures, currency: str) -> str:
    """The median of the errors and RMSE with its interval in words, and why RMSE is so much larger."""
    low, high = measured.intervals.get(RMSE, (None, None))
    interval = "" if low is None or high is None else f" (95 % interval {low:.2f} to {high:.2f})"
    half = measured.median_absolute_error
    off = "" if half is None else f" half of all fares are off by at most {half:.2f} {currency};"
    rmse = f"RMSE, where large errors count most, is {measured.rmse.shipped:.2f} {currency}{interval}"
    return f"on unseen trips,{off} {rmse}"


def broken(check: Check) -> str:
    """A failed check in one sentence's part: `RMSE on unseen trips is 4.7, allowed 4.5 (max_rmse)`."""
    if check.bound is None:
        return f"{in_words(check.name)} ({check.name})"
    least = "at least " if check.at_least else ""
    value = f"{number(check.value)}{_interval(check)}"
    return f"{in_words(check.name)} is {value}, allowed {least}{number(check.bound)} ({check.name})"


def why(figures: Figures) -> str:
    """The reason of the verdict: the gates that refused, or that none did and which one came closest."""
    checks = [check for check in figures.gates if check.bound is not None]
    refusing = [check for check in figures.gates if check.refuses]
    if refusing:
        count = f"{len(refusing)} of {len(checks)} gates" if len(checks) > 1 else "the only gate"
        return f"Refused by {count}: {'; '.join(broken(check) for check in refusing)}."
    if not checks:
        return "No gate compared anything."
    warning = sum(not check.ok for check in checks)
    n_checks, uncompared = len(checks), len(figures.gates) - len(checks)
    hold = f"{n_checks - warning} of {n_checks} hold and {warning} warn" if warning else f"all {n_checks} hold"
    near = closest_line(checks)
    rest = f" {uncompared} more had nothing to compare with." if uncompared else ""
    return f"No gate refused: {hold}{f'; the closest is {near}' if near else ''}.{rest}"


def closest_line(checks: Sequence[Check]) -> str:
    """The closest gate with its margin in words; empty if none has a margin."""
    check = closest(checks)
    used = used_share(check) if check else None
    if check is None or used is None:
        return ""
    room = f"{used:.0%} of the bound used"
    if not check.ok:
        room = "refuses" if check.refuses else "warns"
    elif used > 1:
        room = f"beyond the bound, but chance may explain it{_interval(check)}"
    least = "at least " if check.at_least else ""
    return f"{in_words(check.name)} {number(check.value)}, bound {least}{number(check.bound)}: {room} ({check.name})"


def _interval(check: Check) -> str:
    """`, interval 0.01 to 0.05`; empty without one."""
    if check.lower is None or check.upper is None:
        return ""
    return f", interval {number(check.lower)} to {number(check.upper)}"


def changes(figures: Figures, currency: str) -> str:
    """Change of the errors since the last accepted model, on the same trips, in a sentence."""
    measured = figures.measured
    if measured is None:
        return "There is no new model to compare with the last one."
    if measured.baseline is None:
        return "This is the first model: no accepted model to compare with yet."
    before = measured.baseline.metrics
    if (measured.baseline.sha256 or "") == measured.model.sha256:
        return "The bytes are those of the last accepted model."
    texts = [
        f"{name.upper()} {before[name]:.2f} {currency} before, {after:.2f} {currency} now"
        for name, after in ((RMSE, measured.rmse.shipped), (MAE, measured.mae))
        if name in before
    ]
    change = next((check for check in figures.gates if check.name == INCREASE and check.bound is not None), None)
    if change and change.lower is not None and change.upper is not None:
        sure = ": no sure difference" if change.lower <= 0 <= change.upper else ""
        texts.append(f"RMSE changes by {change.value:+.3g} ({change.lower:+.3g} to {change.upper:+.3g}{sure})")
    return f"Against the last accepted model, on the same trips: {'; '.join(texts)}."


def advice(figures: Figures) -> tuple[str, ...]:
    """Next steps: the hints of the gates that failed, else where the file is."""
    hints = tuple(dict.fromkeys(check.hint for check in figures.gates if not check.ok and check.hint))
    if hints:
        return tuple(capital(hint) for hint in hints)
    if figures.pushed:
        return (
            f"Put {figures.pushed}/fare.tflite into the app; its manifest.json names the same SHA-256 as this page",
        )
    return ("Every gate holds, but nothing was pushed: look at the log of Pusher",)


def capital(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]
