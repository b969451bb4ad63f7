"""The top of the page: the numbers that are asked first, and what the model was trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from farebox.components.reporter.figures import Figures, ModelFigures
from farebox.components.reporter.page.fare_charts import ends, interval, slice_name
from farebox.components.trip_example_gen.judging.losses import Losses

SHOWN_FILES, SHOWN_SLICES = 3, 3
ENOUGH = 100  # trips in a slice, for the top of the page

Tile = tuple[str, str, str]  # name, value, and what belongs to it


def tiles(measured: ModelFigures | None, currency: str) -> tuple[Tile, ...]:
    """The numbers that are asked first: name, value, and what belongs to it."""
    if measured is None:
        return ()
    low, high = measured.intervals.get("rmse", (None, None))
    size = measured.model
    found = [
        ("RMSE", f"{measured.rmse.shipped:.2f} {currency}", f"95 %: {interval(low, high, 2)}"),
        ("mean absolute error", f"{measured.mae:.2f} {currency}", f"bias {measured.bias:+.2f} {currency}"),
        ("size", f"{size.bytes:,} bytes", f"{size.gzip_bytes:,} bytes gzip"),
    ]
    if measured.latency_us:
        p99 = f"median; 99 % within {measured.latency_us.p99:.1f} µs"
        found.append(("one fare", f"{measured.latency_us.p50:.1f} µs", p99))
    if measured.ranges:
        ranges = measured.ranges
        found.append(("ranges hold", f"{ranges.covered:.1%}", f"promised {ranges.promised:.0%} of fares"))
    runs = [trial for trial in measured.runtimes if trial.result == "runs"]
    if measured.runtimes:
        found.append(("runs on", f"{len(runs)} of {len(measured.runtimes)}", "runtimes tried, see Device"))
    rows = measured.rows
    found.append(("trained and judged on", f"{rows.examples:,} trips", f"of {rows.read:,} rows"))
    return tuple(found)


def where_bad(measured: ModelFigures | None, currency: str) -> str:
    """The slices with the largest RMSE among those with enough trips to tell; empty without any."""
    large = [each for each in measured.slices if each.rows >= ENOUGH] if measured else []
    worst = sorted(large, key=lambda each: -each.rmse)[:SHOWN_SLICES]
    texts = []
    for each in worst:
        low, high = ends(each).values()
        texts.append(
            f"{slice_name(each.slice)} {each.rmse:.2f} {currency} ({interval(low, high, 2)}; {each.rows:,} trips)"
        )
    return f"By RMSE, of slices with at least {ENOUGH} trips: {', '.join(texts)}. See Fares." if texts else ""


def trained_on(figures: Figures, sections: Mapping[str, Any], split: Mapping[str, Any]) -> str:
    """Origin, days and number of the trips, and how they were split; split: `About.split`."""
    origin = sections.get("origin") or {}
    by_split = (sections.get("statistics") or {}).get("rows") or {}
    text = _origin(figures.losses, origin)
    if not by_split:
        return text or "No trips were read."
    purpose = {"train": "to fit the model", "eval": "to choose among candidates", "test": "to judge what ships"}
    parts = [f"{rows:,} {purpose.get(part, '')} ({part})" for part, rows in by_split.items()]
    return f"{text} {', '.join(parts)}{_rule(split, origin)}.".strip()


def _origin(losses: Losses | None, origin: Mapping[str, Any]) -> str:
    """`14,495 trips of 2013-01-01 to 2016-12-30, from data.csv (15,002 rows, 507 rejected).`"""
    if losses is None:
        return ""
    total, days = losses.total, origin.get("days")
    names = [path.rpartition("/")[2] for path, _ in losses.worst_files[:SHOWN_FILES]]
    more = f" and {losses.n_files - len(names):,} more files" if losses.n_files > len(names) else ""
    when = f" of {days[0]} to {days[1]}" if days else " without times"
    counts = [f"{total.read:,} rows", f"{total.rejected:,} rejected"]
    counts += [f"{total.left_out:,} left out"] if total.left_out else []
    return f"{total.examples:,} trips{when}, from {', '.join(names) or 'no file'}{more} ({', '.join(counts)})."


def _rule(split: Mapping[str, Any], origin: Mapping[str, Any]) -> str:
    """How a trip comes into its part; empty for a run that did not record it."""
    if not split:
        return ""
    shares = ":".join(map(str, split["shares"]))
    spans = json.loads(origin.get("spans") or "[]")
    if split["by_time"] and len(spans) > 1:
        return f"; the newest of {len(spans)} spans judges and chooses, older ones train"
    return f"; a hash of the whole row decides the part, {shares} for train:eval:test, seed {split['seed']}"
