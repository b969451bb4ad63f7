"""Checks of the rows that gave no example: whole files, a city file that does not fit, and a loss that depends on what
is lost. No TFX here: `farebox evaluate` makes them, too."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from farebox.components.data_gate.data_checks import checks_of_kind
from farebox.components.data_gate.settings import DataGateSettings
from farebox.components.errors import Check
from farebox.components.trip_example_gen.columns import PICKUP_HOUR, PICKUP_WEEKDAY
from farebox.components.trip_example_gen.judging.losses import CHANCE, FileRows, Losses, Moments, is_beyond
from farebox.components.trip_example_gen.judging.reasons import in_words

SHOWN_FILES = 3
HOURS_HINT = "correct the city file, or allow it with data_gate.misfits=warn"
MIN_TRIPS, MIN_WEEKDAYS = 200, 3  # from which on trips show their hours
MIN_REJECTED = 30  # with a known value, below which rejected rows are not compared with the kept


def judge_losses(losses: Losses, settings: DataGateSettings) -> list[Check]:
    """`files_without_trips`, `repeated_files`, `misfits`, `hours` if these are no day's, and `loss.FEATURE`, of the
    kinds that the settings do not ignore."""
    return [
        *checks_of_kind("empty_files", settings, [_empty_files(losses)]),
        *checks_of_kind("repeated_files", settings, [_repeated_files(losses)]),
        *checks_of_kind("misfits", settings, [_misfits(losses, settings.max_misfits)]),
        *(dataclasses.replace(each, hint=HOURS_HINT) for each in checks_of_kind("misfits", settings, _hours(losses))),
        *checks_of_kind("biased_loss", settings, _biased(losses, settings)),
    ]


def _empty_files(losses: Losses) -> Check:
    empty = losses.without_trips
    shown = [f"{path}: none of {rows.read:,} rows, {_why(losses, rows)}" for path, rows in empty.items()]
    more = f"; and {len(shown) - SHOWN_FILES} more" if len(shown) > SHOWN_FILES else ""
    detail = "; ".join(shown[:SHOWN_FILES]) + more if empty else f"of {losses.n_files} files"
    return Check("files_without_trips", len(empty), 0, not empty, detail)


def _repeated_files(losses: Losses) -> Check:
    """The number of files that have the same trips as another, found by a sample of each file's trips."""
    repeats = sorted(losses.repeats, key=lambda each: -each.share)
    shown = [f"{each.other} has {each.share:.0%} of the trips of {each.file}" for each in repeats]
    more = f"; and {len(shown) - SHOWN_FILES} more" if len(shown) > SHOWN_FILES else ""
    detail = "; ".join(shown[:SHOWN_FILES]) + more if repeats else f"of {losses.n_files} files"
    return Check("repeated_files", len({each.file for each in repeats}), 0, not repeats, detail)


def _why(losses: Losses, rows: FileRows) -> str:
    """The commonest reason in a file, and what to write in the city file if that can help."""
    reasons = sorted(rows.reasons.items(), key=lambda item: (-item[1], item[0]))
    if not reasons or rows.left_out > reasons[0][1]:
        return f"{rows.left_out:,} left out by city.where"
    key, n = reasons[0]
    hint = losses.hint(key)
    return f"{n:,} {in_words(*key)}" + (f" ({hint})" if hint else "")


def _misfits(losses: Losses, bound: float) -> Check:
    """The largest share of rows that one reason of a city file that does not fit rejects in one column."""
    judged = losses.judged
    suspects = sorted(losses.suspects.items(), key=lambda item: (-item[1].rows, item[0]))
    beyond = [(key, suspect) for key, suspect in suspects if is_beyond(suspect.rows, judged, bound)]
    if not suspects:
        return Check("misfits", 0, bound, ok=True, detail="no row")
    (reason, column), worst = suspects[0]
    detail = f"{worst.rows:,} of {judged:,} rows {in_words(reason, column)}"
    if beyond:
        detail = "; ".join(f"column {key[1]}: {suspect.hint(judged)}" for key, suspect in beyond)
    return Check("misfits", worst.rows / judged, bound, not beyond, detail)


def _hours(losses: Losses) -> list[Check]:
    """`hours`, the number of hours of the day with trips, if trips of several days have no afternoon: those of a date,
    which are all midnight, or of a clock with twelve hours whose AM and PM are lost."""
    hours, weekdays = (losses.sides.categories.get(name, ((),))[0] for name in (PICKUP_HOUR, PICKUP_WEEKDAY))
    used = [hour for hour, n in enumerate(hours) if n]
    if sum(hours) < MIN_TRIPS or np.count_nonzero(weekdays) < MIN_WEEKDAYS:
        return []
    if used == [0]:
        why = "every trip starts between 0:00 and 1:00, so the column of the time has days only: give one with hours"
    elif used == list(range(1, 13)):
        why = (
            "trips start from 1:00 to 12:59 only, so their hours count to twelve: the column of the time must have AM "
            "or PM, and city.time_format %I and %p"
        )
    else:
        return []
    return [Check("hours", len(used), 13, ok=False, detail=why, at_least=True)]


def _biased(losses: Losses, settings: DataGateSettings) -> list[Check]:
    """`loss.FEATURE` of each feature; one check `loss` without a bound if too few rows are lost to compare."""
    rejected, judged = losses.total.rejected, losses.judged
    if rejected < MIN_REJECTED:
        return [Check("loss", 0, None, ok=True, detail=f"{rejected} of {judged:,} rows rejected: not compared")]
    share, sides = rejected / judged, losses.sides
    checks = [_of_means(name, *pair, share, settings.max_mean_shift) for name, pair in sides.numbers.items()]
    return checks + [
        _of_shares(name, *pair, share, settings.max_share_shift) for name, pair in sides.categories.items()
    ]


def _of_means(name: str, kept: Moments, rejected: Moments, share: float, threshold: float) -> Check:
    """The shift of the mean by the loss, as a share of the mean of all; the bound is the threshold plus chance.

    share: of the rejected rows, which those with a known value stand for. Chance: Welch's standard error of the
    difference times the normal quantile of `CHANCE`, two-sided.
    """
    from scipy.stats import norm

    mean = (1 - share) * kept.mean + share * rejected.mean
    if rejected.n < MIN_REJECTED or kept.n < MIN_REJECTED or not mean > 0:
        return _not_compared(name, rejected.n)
    value = share * abs(rejected.mean - kept.mean) / mean
    error = math.sqrt(kept.variance / kept.n + rejected.variance / rejected.n)
    chance = share * float(norm.isf(CHANCE / 2)) * error / mean
    detail = (
        f"mean {name} of the kept rows {kept.mean:.2f}, of the {share:.1%} rejected {rejected.mean:.2f} "
        f"({rejected.n:,} known; threshold {threshold:g}, chance {chance:.2g})"
    )
    return Check(f"loss.{name}", value, threshold + chance, value <= threshold + chance, detail)


def _of_shares(name: str, kept: Sequence[int], rejected: Sequence[int], share: float, threshold: float) -> Check:
    """The shift of a category's shares by the loss, as total variation: half the sum of the differences.

    It must be significant, too, by chi-squared.
    """
    from scipy.stats import chi2

    table = np.array([kept, rejected], np.float64)
    if table.sum(axis=1).min() < MIN_REJECTED:
        return _not_compared(name, int(sum(rejected)))
    shares = table / table.sum(axis=1, keepdims=True)
    value = share * float(np.abs(shares[1] - shares[0]).sum() / 2)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    is_used = expected[0] > 0
    statistic = float(((table - expected)[:, is_used] ** 2 / expected[:, is_used]).sum())
    p = float(chi2.sf(statistic, max(is_used.sum() - 1, 1)))
    grown = int((shares[1] - shares[0]).argmax())
    detail = (
        f"{name} = {grown} is {shares[0, grown]:.1%} of the kept rows, {shares[1, grown]:.1%} of the {share:.1%} "
        f"rejected ({sum(rejected):,} known; chi-squared {statistic:.4g}, p {p:.2g})"
    )
    return Check(f"loss.{name}", value, threshold, value <= threshold or p >= CHANCE, detail)


def _not_compared(name: str, n: int) -> Check:
    return Check(f"loss.{name}", 0, None, ok=True, detail=f"{n} rejected rows with a known {name}: not compared")
