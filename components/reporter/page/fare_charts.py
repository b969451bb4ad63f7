"""The section of fares: predicted against actual, errors by what a trip is like, ranges, the worst trips, two maps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from farebox.components.errors import number
from farebox.components.evaluator.metrics import RMSE
from farebox.components.model_gate.judgement import SliceErrors
from farebox.components.reporter.figures import ModelFigures
from farebox.components.reporter.page.axis import Axis
from farebox.components.reporter.page.blocks import Block, Figure, Section, missing, table
from farebox.components.reporter.page.charts import Chart, bars, columns
from farebox.components.reporter.page.map_charts import maps

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
TITLES = {"pickup_hour": "hour of pickup", "pickup_weekday": "weekday of pickup", "distance_band": "distance"}
FEW = 20  # trips in a slice, below which a picture leaves it out
MOST_ROWS = 12  # of horizontal bars; more short names stand side by side


def section(measured: ModelFigures | None, fares: Mapping[str, Any] | None, currency: str) -> Section:
    """Pictures of the errors on unseen trips."""
    blocks: list[Block]
    if measured is None or not fares:
        blocks = [missing("No model was trained, so there are no predicted fares to show.")]
        return Section("fares", "Fares", tuple(blocks))
    blocks = [scatter(fares, currency), *by_quantiles(fares, measured.slices, currency)]
    blocks += by_slices(measured.slices, currency)
    blocks += [ranges(measured, fares, currency), *maps(fares["map"], currency), worst(fares, currency)]
    return Section("fares", "Fares", tuple(blocks))


def sampled(fares: Mapping[str, Any]) -> str:
    """The number of trips, and of how many."""
    if fares["rows"] == fares["of"]:
        return f"{fares['rows']:,} trips of the test split"
    return f"a sample of {fares['rows']:,} of the {fares['of']:,} trips of the test split"


def scatter(fares: Mapping[str, Any], currency: str) -> Figure:
    """Predicted against actual fares on logarithmic axes, with the line of no error."""
    dots = [(max(x, 0.01), max(y, 0.01)) for x, y in fares["dots"]]
    both = [value for dot in dots for value in dot]
    axis = Axis.over(f"actual, {currency}", both, is_log=True)
    chart = Chart(axis, Axis(f"predicted, {currency}", axis.low, axis.high, is_log=True), 340)
    chart.dots(dots)
    chart.line([(axis.low, axis.low), (axis.high, axis.high)], "ideal")
    note = f"{len(dots):,} dots of {sampled(fares)}; on the line the prediction is exact."
    return Figure("Predicted against actual fare", currency, chart.svg("Predicted against actual fare"), note=note)


def by_quantiles(fares: Mapping[str, Any], slices: Sequence[SliceErrors], currency: str) -> list[Figure]:
    """RMSE by actual fare and, if no slice is of distances, by straight distance."""
    shown = [("by_fare", "actual fare", currency)]
    if not any(each.slice.startswith("distance_band=") for each in slices):
        shown.append(("by_distance", "straight distance", "km"))
    return [
        errors_figure(
            f"Error by {title}",
            [f"{number(row['low'], 3)}–{number(row['high'], 3)}" for row in fares[key]],
            fares[key], currency, f"{title}, {unit}",
        )
        for key, title, unit in shown
    ]  # fmt: skip


def errors_figure(
    title: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]], currency: str, row_label: str
) -> Figure:
    """RMSE by row as bars with intervals, all numbers in the table."""
    drawn = [
        (row["rmse"], row["lower"], row["upper"], f"{name}: RMSE {number(row['rmse'])}, {row['rows']:,} trips")
        for name, row in zip(names, rows, strict=True)
    ]
    if len(names) > MOST_ROWS and all(len(name) < 3 for name in names):
        of, bands = dict(zip(names, rows, strict=True)), without_gaps(names)
        values = [(row_label, "a", [of[band]["rmse"] if band in of else None for band in bands])]
        intervals = [(of[band]["lower"], of[band]["upper"]) if band in of else (None, None) for band in bands]
        svg = columns(
            bands, f"RMSE, {currency}", values, name=title, x_label=row_label, intervals=intervals, height=215
        )
    else:
        svg = bars(names, f"RMSE, {currency}", drawn, name=title, row_label=row_label)
    head = (row_label, "trips", "RMSE", "interval", "MAE", "bias", "in range")
    cells = [
        (name, f"{row['rows']:,}", number(row["rmse"]), interval(row["lower"], row["upper"]), number(row["mae"]),
         number(row["bias"]), percent(row["coverage"]))
        for name, row in zip(names, rows, strict=True)
    ]  # fmt: skip
    return Figure(title, f"RMSE, {currency}", svg, table(title, head, cells))


def without_gaps(names: Sequence[str]) -> list[str]:
    """Whole numbers with those between them, such as hours without enough trips; other names as they are."""
    if not all(name.isdigit() for name in names):
        return list(names)
    numbers = [int(name) for name in names]
    return [str(each) for each in range(min(numbers), max(numbers) + 1)]


def interval(low: float | None, high: float | None, places: int | None = None) -> str:
    """`2.874 to 4.606`, or a dash; places: after the point, None for four significant digits."""
    if low is None or high is None:
        return "–"
    return f"{number(low)} to {number(high)}" if places is None else f"{low:.{places}f} to {high:.{places}f}"


def percent(share: float | None) -> str:
    """A share as a percentage, or a dash."""
    return "–" if share is None else f"{share:.1%}"


def by_slices(slices: Sequence[SliceErrors], currency: str) -> list[Block]:
    """A picture per feature by which ModelGate slices trips."""
    by_feature: dict[str, list[tuple[str, SliceErrors]]] = {}
    for each in slices:
        feature, _, value = each.slice.partition("=")
        by_feature.setdefault(feature, []).append((value, each))
    figures: list[Block] = []
    for feature, members in by_feature.items():
        large = sorted((each for each in members if each[1].rows >= FEW), key=lambda each: place_of(each[0]))
        title = f"Error by {feature_name(feature)}"
        if not large:
            figures.append(missing(f"{title}: no slice has {FEW} trips."))
            continue
        names = [value_name(feature, value) for value, _ in large]
        rows = [
            {"rmse": each.rmse, **ends(each), "rows": each.rows,
             "mae": each.mae, "bias": each.bias, "coverage": each.coverage}
            for _, each in large
        ]  # fmt: skip
        figure = errors_figure(title, names, rows, currency, feature_name(feature))
        left = len(members) - len(large)
        note = f"{left} slices with fewer than {FEW} trips are left out." if left else ""
        figures.append(Figure(figure.title, figure.unit, figure.svg, figure.table, note))
    return figures


def slice_name(name: str) -> str:
    """`pickup_weekday=0` in words: `weekday of pickup Monday`."""
    feature, _, value = name.partition("=")
    shown = value_name(feature, value)
    return shown if value == "none" else f"{feature_name(feature)} {shown}".strip()


def feature_name(feature: str) -> str:
    """The feature by which trips are sliced, in words."""
    return TITLES.get(feature, feature.replace("_", " "))


def value_name(feature: str, value: str) -> str:
    """A slice's value in words: `Monday`, `no airport`."""
    if value == "none":
        return f"no {feature_name(feature)}"
    return DAYS[int(value)] if feature == "pickup_weekday" else value


def ends(errors: SliceErrors) -> dict[str, float | None]:
    """The interval of a slice's RMSE, which is not below 0; None in records of before it was kept."""
    lower, upper = errors.intervals.get(RMSE, (None, None))
    return {"lower": None if lower is None else max(lower, 0.0), "upper": upper}


def place_of(value: str) -> tuple[float, str]:
    """Sorts `under 1 km`, `1-2 km`, `over 10 km`, hours and other numbers as numbers, and texts after them."""
    first = re.search(r"-?\d+(\.\d+)?", value)
    shift = {"under": -0.5, "over": 0.5}.get(value.split()[0], 0.0)
    return (float(first[0]) + shift, value) if first else (float("inf"), value)


def ranges(measured: ModelFigures, fares: Mapping[str, Any], currency: str) -> Block:
    """Coverage of the ranges by band of the prediction, beside the promise."""
    if not fares["ranges"] or measured.ranges is None:
        return missing("The file has no ranges: bands.count is 0, or eval had too few trips for one.")
    names = [f"{number(row['low'], 3)} to {number(row['high'], 3)}".replace("– to", "under").replace("to –", "or more")
             for row in fares["ranges"]]  # fmt: skip
    drawn = [
        (row["coverage"] * 100, None, None, f"{name} {currency}: {row['coverage']:.1%} of {row['rows']} trips")
        for name, row in zip(names, fares["ranges"], strict=True)
    ]
    promise = measured.ranges.promised * 100
    svg = bars(
        names, "fares in their range, %", drawn, name="Coverage of the ranges", row_label=f"predicted fare, {currency}",
        rule=(promise, f"promised {promise:.0f} %"),
    )  # fmt: skip
    cells = [
        (name, f"{row['rows']:,}", f"{row['coverage']:.1%}", number(row["width"]))
        for name, row in zip(names, fares["ranges"], strict=True)
    ]
    numbers = table("Coverage", ("predicted fare", "trips", "in range", f"mean width, {currency}"), cells)
    note = f"All trips: {measured.ranges.covered:.1%} covered, mean width {measured.ranges.mean_width:.2f} {currency}."
    return Figure("Ranges: how many fares they hold", "% of trips", svg, numbers, note)


def worst(fares: Mapping[str, Any], currency: str) -> Block:
    """The trips with the largest errors, and what is rare about them."""
    rows = []
    for trip in fares["worst"]:
        columns = trip["columns"]
        when = ""
        if "pickup_weekday" in columns and "pickup_hour" in columns:
            when = f"{DAYS[int(columns['pickup_weekday']) % 7]} {columns['pickup_hour']:.0f}:00"
        rows.append((
            "; ".join(trip["odd"]) or "nothing rare", when, f"{trip['actual']:.2f}", f"{trip['predicted']:.2f}",
            number(trip["km"], 3), percent(trip["share"]),
        ))  # fmt: skip
    head = (
        "odd about it",
        "pickup",
        f"actual, {currency}",
        f"predicted, {currency}",
        "straight km",
        "of squared error",
    )
    total = sum(trip["share"] for trip in fares["worst"])
    note = f"Of {sampled(fares)}. These {len(rows)} trips carry {total:.0%} of the squared error behind RMSE."
    return table("The worst trips", head, rows, 2, note)
