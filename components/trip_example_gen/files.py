"""Names in TripExampleGen's Examples artifacts, for the nodes that read or join them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

COUNTS_FILE, REJECTED_FOLDER = "counts.json", "rejected"
SOURCE_PROPERTY = "source"  # among TripExampleGen's own: the file, folder or glob pattern that it was given
SPAN_PROPERTY, VERSION_PROPERTY, WINDOW_PROPERTY, INGEST_PROPERTY = "span", "version", "window", "ingest"
TRAINED_ROWS = "trained_rows"  # in counts.json: a RowSketch of the first split, null without examples
TRIP_MAP = "trip_map"  # in counts.json: a TripMap of the first split, null without examples
ALL_ROWS = "all_rows"  # in counts.json: a RowSketch of all splits, null without examples
WEEKDAYS = "weekdays"  # in counts.json: examples by day of the week, from Monday; of train, if time splits a window
DAYS = "days"  # in counts.json: first and last day of the pickups, YYYY-MM-DD; null without dates


def file_prefix(span: int, version: int) -> str:
    """The beginning of the names of a span's files in a window, which then sort by span: `00012-1-`."""
    return f"{span:05d}-{version}-"


def span_of_days(spans: Iterable[Sequence[str] | None]) -> tuple[str, str] | None:
    """The first and the last of several spans of days; None if none has dates."""
    known = [span for span in spans if span]
    return (min(first for first, _ in known), max(last for _, last in known)) if known else None
