"""Live errors over time, from the journal: rows for a table, JSON and the picture. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from farebox.components.evaluator.error_sums import NAMES
from farebox.components.evaluator.metrics import ALL_TRIPS, COVERAGE
from farebox.components.trip_example_gen.span_pattern import name_of_span
from farebox.pipeline.retraining.journal import Journal, Record
from farebox.pipeline.retraining.live_record import Deployment, Live, two_decimals
from farebox.pipeline.settings.load import Settings

HEADER = ("span", "version", "role", "trips", "RMSE", "promised", "MAE", "promised", "bias", "promised", "in range",
          "promised", "promise")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class History:
    """Live errors by span, oldest first, as they were measured last; and changes of LATEST, with the span's number."""

    lives: tuple[Live, ...]
    deployments: tuple[tuple[int, Deployment], ...]


def read_history(settings: Settings) -> History:
    """The live errors in a city's journal. Raises InputError if it cannot be read."""
    return history_of(Journal(settings.runs_dir).records())


def history_of(records: Iterable[Record]) -> History:
    """The live errors of records; a span that several ticks scored counts once for each role."""
    lives: dict[tuple[Any, ...], Live] = {}
    deployments = []
    for record in records:
        lives |= {(live.span, live.role): live for live in record.live}
        if record.deployment:
            deployments.append((record.spans.window[-1][0], record.deployment))
    ordered = sorted(lives.values(), key=lambda live: live.span)  # in the order of the roles
    return History(tuple(ordered), tuple(deployments))


def to_json(history: History, settings: Settings) -> dict[str, Any]:
    """City, currency, live errors and changes of LATEST; spans have a number and a name."""
    return {
        "city": settings.city.name,
        "currency": settings.city.currency,
        "live": [{"name": name(live.span[0], settings), **dataclasses.asdict(live)} for live in history.lives],
        "deployments": [
            {"name": name(span, settings), **dataclasses.asdict(deployment)} for span, deployment in history.deployments
        ],
    }


def rows(lives: Sequence[Live], settings: Settings) -> list[tuple[str, ...]]:
    """A row of text per version and span, below HEADER: errors on all trips, and the broken checks."""
    return [HEADER, *((name(live.span[0], settings), *cells(live, live.role)) for live in lives)]


def cells(live: Live, *after_version: str) -> tuple[str, ...]:
    """Version, trips, each error beside its promise, and the verdict."""
    overall, promise = live.errors[ALL_TRIPS], live.promise.get(ALL_TRIPS, {})
    pairs = [_cell(name, part) for name in NAMES for part in (overall, promise)]
    return (live.version, *after_version, f"{overall['rows']:,}", *pairs, live.verdict)


def _cell(name: str, errors: dict[str, Any]) -> str:
    if name not in errors:
        return ""
    value = errors[name][0]
    return "no number" if value is None else f"{value:.1%}" if name == COVERAGE else two_decimals(value)


def name(span: int, settings: Settings) -> str:
    """The name of a span for people."""
    return name_of_span(settings.spans.pattern, span) if settings.spans.pattern else str(span)
