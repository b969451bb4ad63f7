"""The section of data: rows by file and reason, statistics, drift by feature, a histogram per feature."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from farebox.components.errors import Check, number
from farebox.components.reporter.figures import LAST_ACCEPTED
from farebox.components.reporter.page.axis import Axis
from farebox.components.reporter.page.blocks import Block, Figure, Note, Section, missing, table
from farebox.components.reporter.page.charts import Chart, columns
from farebox.components.reporter.page.fare_charts import DAYS
from farebox.components.trip_example_gen.columns import COORDINATES, FARE, PICKUP_EPOCH, PICKUP_WEEKDAY
from farebox.components.trip_example_gen.judging.losses import FileRows, Losses
from farebox.components.trip_example_gen.judging.reasons import in_words

STYLES = {"train": "a", "test": "b", LAST_ACCEPTED: "c"}
MOST_FEATURES, SHOWN_REASONS = 24, 12
DAY_S = 86_400
YEAR_S = 365.2425 * DAY_S
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def section(
    losses: Losses | None, statistics: Mapping[str, Any] | None, gates: Sequence[Check], currency: str
) -> Section:
    """Tables and pictures of what the model was trained on."""
    blocks: list[Block] = []
    blocks += rows(losses) if losses else [missing("The rows were not counted: no trips were ingested.")]
    blocks.append(drift(gates))
    if statistics:
        blocks += [numbers(statistics), *histograms(statistics, currency)]
    else:
        blocks.append(missing("No statistics: the run stopped before they were computed."))
    return Section("data", "Data", tuple(blocks))


def rows(losses: Losses) -> list[Block]:
    """Rows by file, and the reasons of rejection with a row each."""
    files = [(path.rpartition("/")[2], *counts(each)) for path, each in losses.worst_files]
    total = ("all files", *counts(losses.total))
    hidden = losses.n_files - len(files)
    note = f"The {len(files)} files with the largest share of rejected rows; {hidden} more files." if hidden else ""
    shown = [total, *files] if len(files) != 1 else [(files[0][0], *total[1:])]
    blocks: list[Block] = [table("Rows by file", ("file", "read", "trips", "rejected", "left out"), shown, 1, note)]
    reasons = [
        (in_words(*key), str(losses.shown.get(key, "")), f"{n:,}", f"{n / max(losses.judged, 1):.2%}")
        for key, n in losses.reasons[:SHOWN_REASONS]
    ]
    if reasons:
        blocks.append(table("Rejected rows by reason", ("reason", "a row", "rows", "share"), reasons, 2))
    return blocks


def counts(file: FileRows) -> tuple[str, ...]:
    """Rows read, kept, rejected and left out."""
    return tuple(f"{n:,}" for n in (file.read, file.examples, file.rejected, file.left_out))


def drift(gates: Sequence[Check]) -> Block:
    """Distance of each feature from the data of the last accepted model, or why there is none."""
    found = [check for check in gates if check.name.startswith("drift.")]
    if not found:
        why = next((check.detail for check in gates if check.name == "drift"), "drift was not looked for")
        return missing(f"Drift was not compared: {why}.")
    cells = [
        (check.name.partition(".")[2], check.detail, number(check.value), number(check.bound),
         "holds" if check.ok else "warns" if check.severity == "warn" else "refuses")
        for check in sorted(found, key=lambda check: -(check.value / check.bound if check.bound else 0))
    ]  # fmt: skip
    return table("Drift by feature", ("feature", "measure", "distance", "bound", "verdict"), cells, 2)


def numbers(statistics: Mapping[str, Any]) -> Block:
    """Counts and moments by feature of train."""
    cells = [
        (feature["name"], f"{feature['present']:,}", f"{feature['missing']:,}",
         *(moment(feature, key) for key in ("mean", "std", "min", "median", "max")))
        for feature in statistics["features"]
    ]  # fmt: skip
    head = ("feature", "present", "missing", "mean", "deviation", "smallest", "median", "largest")
    n_rows = ", ".join(f"{split} {rows:,}" for split, rows in statistics["rows"].items())
    return table(
        "Statistics of train", head, cells, 1, f"Trips by split: {n_rows}. A dash: a category, which has no mean."
    )


def moment(feature: Mapping[str, Any], key: str) -> str:
    """A number of a feature; of the pickup's time as a day, its deviation as days."""
    value = feature.get(key)
    if feature["name"] != PICKUP_EPOCH or value is None:
        return number(value)
    if key == "std":
        return f"{value / DAY_S:,.0f} days"
    return (EPOCH + datetime.timedelta(seconds=value)).date().isoformat()


def histograms(statistics: Mapping[str, Any], currency: str) -> list[Block]:
    """A histogram per feature: train, test and, if there is one, the last accepted model."""
    found = list(statistics["histograms"].items())
    drawn = [histogram(name, each, currency) for name, each in found[:MOST_FEATURES]]
    blocks: list[Block] = sorted(drawn, key=lambda block: block.kind != "figure")  # sentences below the pictures
    if len(found) > MOST_FEATURES:
        blocks.append(missing(f"{len(found) - MOST_FEATURES} more features are not drawn."))
    if found and not any(LAST_ACCEPTED in each["shares"] for _, each in found):
        blocks.append(
            missing("No histogram of the last accepted model's data: there are none yet, or they cannot be read.")
        )
    return blocks


def histogram(name: str, content: Mapping[str, Any], currency: str) -> Block:
    """Shares of rows by value or bin, of each part; a sentence for a feature that never varies."""
    if value := only_value(content):
        *others, last = content["shares"]
        words = f"{', '.join(others)} and {last}" if others else last
        return Note(f"Histogram of {name.replace('_', ' ')}: none, because it is {value} in all rows of {words}.")
    note = ""
    parts = [(part, STYLES.get(part, "d"), shares) for part, shares in content["shares"].items()]
    title, label = f"Histogram of {name.replace('_', ' ')}", labelled(name, currency)
    if "values" in content:
        names = [DAYS[int(value)][:3] if name == PICKUP_WEEKDAY else value for value in content["values"]]
        percent = [(part, style, [share * 100 for share in shares]) for part, style, shares in parts]
        svg = columns(names, "% of rows", percent, name=title, x_label=label)
    else:
        edges = content["edges"]
        if name == PICKUP_EPOCH:
            edges, label = [1970 + edge / YEAR_S for edge in edges], "year"
        names = [between(low, high) for low, high in itertools.pairwise(edges)]
        names, note = with_tails(names, edges, content.get("reach") or [edges[0], edges[-1]], name == PICKUP_EPOCH)
        svg = steps(title, label, edges, names, parts)
    cells = [(each, *(f"{shares[i]:.1%}" for _, _, shares in parts)) for i, each in enumerate(names)]
    legend = tuple((style, part) for part, style, _ in parts)
    return Figure(title, "% of rows", svg, table(title, (label, *(part for part, _, _ in parts)), cells), note, legend)


def labelled(name: str, currency: str) -> str:
    """A feature with its unit, if it has one."""
    units = {FARE: currency, **dict.fromkeys(COORDINATES, "degrees")}
    return name.replace("_", " ") + (f", {units[name]}" if name in units else "")


def only_value(content: Mapping[str, Any]) -> str:
    """The value of all rows of all parts; empty if there are several."""
    if "values" in content:
        values = content["values"]
        return (
            str(values[0])
            if len(values) == 1 and all(share[0] > 0.9999 for share in content["shares"].values())
            else ""
        )
    low, high = content.get("reach") or (0, 1)
    return number(low, 6) if low == high else ""


def with_tails(
    names: Sequence[str], edges: Sequence[float], reach: Sequence[float], is_time: bool
) -> tuple[list[str], str]:
    """Names of bins of which the outermost hold what lies beyond them, and a note that says so."""
    low, high = (1970 + end / YEAR_S for end in reach) if is_time else reach
    is_whole, named, beyond = is_of_whole_numbers(edges), list(names), []
    if low < edges[0] - 1e-9:
        named[0] = f"{names[0]} or less" if is_whole else f"under {number(edges[1], 6)}"
        beyond.append(f"the first holds all below, from {number(low, 6)}")
    if high > edges[-1] + 1e-9:
        named[-1] = f"{names[-1] if is_whole else number(edges[-2], 6)} or more"
        beyond.append(f"the last holds all above, up to {number(high, 6)}")
    notes = ["Counted by hundredths of the rows: each share is right within 1 %."] if is_whole else []
    notes += [f"Of the outermost bins, {' and '.join(beyond)}."] if beyond else []
    return named, " ".join(notes)


def is_of_whole_numbers(edges: Sequence[float]) -> bool:
    """Whether each bin is around one whole number."""
    return all(high - low == 1 and (low + high) / 2 % 1 == 0 for low, high in itertools.pairwise(edges))


def between(low: float, high: float) -> str:
    """A bin in words: `3` for one around a whole number."""
    middle = (low + high) / 2
    return number(middle) if high - low == 1 and middle == int(middle) else f"{number(low, 6)} to {number(high, 6)}"


def steps(
    title: str,
    label: str,
    edges: Sequence[float],
    names: Sequence[str],
    parts: Sequence[tuple[str, str, Sequence[float]]],
) -> Markup:
    """The first part as bars between its edges, the others as lines over their steps; names: of the bins."""
    most = max((share * 100 for _, _, shares in parts for share in shares), default=1.0) or 1.0
    x = Axis(label, edges[0], edges[-1])
    if is_of_whole_numbers(edges):
        x = Axis.of(label, [between(low, high) for low, high in itertools.pairwise(edges)])
        edges = [edge - edges[0] - 0.5 for edge in edges]
    chart = Chart(x, Axis("% of rows", 0, most * 1.05), 190)
    for place, (part, style, shares) in enumerate(parts):
        bins = list(zip(itertools.pairwise(edges), shares, strict=True))
        if place:
            chart.line([(edge, share * 100) for ends, share in bins for edge in ends], style)
            continue
        for ((low, high), share), bin_name in zip(bins, names, strict=True):
            text = f"{bin_name}, {part}: {share:.1%}"
            chart.rect((low, 0.0), (high, share * 100), text, f"{style} pale")
    return chart.svg(title)
