"""The page of two models on the same trips: the difference by slice with its interval, and what the two are."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

from farebox.components.reporter.page.axis import Axis
from farebox.components.reporter.page.blocks import Block, Figure, Note, Section, Table, missing, table
from farebox.components.reporter.page.charts import BOTTOM, TOP, Chart
from farebox.components.reporter.page.fare_charts import feature_name, slice_name, value_name
from farebox.components.reporter.page.render import About, render_tiles
from farebox.components.reporter.page.top import Tile
from farebox.components.reporter.verdict import capital

STYLES = {"A": "a", "B": "b", "": "muted"}
LEGEND = (("a", "A is better"), ("b", "B is better"), ("muted", "within chance"))
HEAD = ("slice", "trips", "RMSE A", "RMSE B", "B − A", "interval", "better", "MAE A", "MAE B", "bias A", "bias B")


@dataclasses.dataclass(frozen=True)
class SliceDifference:
    """Metrics of A and B on the trips of a slice, and RMSE of B minus A with its interval; better: A, B or neither."""

    slice: str
    rows: int
    a: Mapping[str, float]
    b: Mapping[str, float]
    value: float
    lower: float
    upper: float
    better: str

    @property
    def kind(self) -> str:
        """The feature whose value makes the slice; empty for all trips."""
        name, is_slice, _ = self.slice.partition("=")
        return name if is_slice else ""

    @property
    def interval(self) -> str:
        """The interval of the difference as text."""
        return f"{self.lower:+.3f} to {self.upper:+.3f}"


@dataclasses.dataclass(frozen=True)
class ComparisonPage:
    """Everything that the page shows.

    names: of A and B. source: of the trips. slices: all trips first. facts, settings: what, of A, of B; settings None
    if a run is not known. notes: warnings. trained_share: of the trips, those that a model was fitted to; None if few.
    """

    city: str
    currency: str
    names: tuple[str, str]
    source: str
    slices: tuple[SliceDifference, ...]
    facts: tuple[tuple[str, str, str], ...] = ()
    settings: tuple[tuple[str, str, str], ...] | None = None
    notes: tuple[str, ...] = ()
    trained_share: float | None = None


def render_comparison(page: ComparisonPage) -> str:
    """The page as HTML."""
    sections = (trips_section(page), models_section(page))
    return render_tiles(About(page.city, page.currency), "A against B", sentence(page), tiles(page), sections)


def sentence(page: ComparisonPage) -> str:
    """The finding on all trips."""
    if not page.slices:
        return "No trip could be used, so nothing was compared."
    whole, unit = page.slices[0], page.currency
    errors = f"RMSE {whole.a['rmse']:.2f} {unit} of A, {whole.b['rmse']:.2f} {unit} of B"
    difference = f"a difference of {whole.value:+.3f} ({whole.interval}) on the same {whole.rows:,} trips"
    finding = f"{whole.better} is better" if whole.better else "no difference beyond chance"
    if page.trained_share is None:
        return f"{capital(finding)}: {errors}, {difference}."
    seen = f"A model was fitted to about {page.trained_share:.0%} of them, so this says little of trips to come"
    return f"On these trips {finding}: {errors}, {difference}. {seen}: compare on trips that neither has seen."


def tiles(page: ComparisonPage) -> tuple[Tile, ...]:
    """The numbers that are asked first, of A and B."""
    if not page.slices:
        return ()
    whole = page.slices[0]
    found = [
        (name, f"{whole.a[key]:.2f} | {whole.b[key]:.2f}", f"A | B, {page.currency}")
        for name, key in (("RMSE", "rmse"), ("mean absolute error", "mae"), ("bias", "bias"))
    ]
    if any(math.isfinite(each["coverage"]) for each in (whole.a, whole.b)):
        shares = (f"{each['coverage']:.1%}" if math.isfinite(each["coverage"]) else "–" for each in (whole.a, whole.b))
        found.append(("ranges hold", " | ".join(shares), "A | B, of these fares"))
    return (("RMSE of B minus A", f"{whole.value:+.3f}", f"95 %: {whole.interval}"), *found)


def trips_section(page: ComparisonPage) -> Section:
    """A picture per kind of slice, and the table of all."""
    blocks: list[Block] = [
        Note(f"Trips of {page.source}."),
        *(Note(f"{capital(note.rstrip('.'))}.") for note in page.notes),
    ]
    by_kind = itertools.groupby(page.slices, key=lambda each: each.kind)
    blocks += [differences(kind, list(slices), page.currency) for kind, slices in by_kind if kind]
    if page.slices:
        blocks.append(listing(page.slices))
    else:
        blocks.append(missing("No slice has enough trips."))
    return Section("trips", "The same trips", tuple(blocks))


def differences(kind: str, slices: Sequence[SliceDifference], currency: str) -> Figure:
    """The difference of each slice of a kind as a dot with its interval, the first on top."""
    title, order = f"Difference by {feature_name(kind)}", list(reversed(slices))
    ends = [end for each in slices for end in (each.lower, each.upper, each.value)]
    names = [value_name(kind, each.slice.partition("=")[2]) for each in order]
    x = Axis.over(f"RMSE of B minus A, {currency}", [*ends, 0.0])
    chart = Chart(x, Axis.of(feature_name(kind), names), TOP + BOTTOM + max(21 * len(slices), 60))
    chart.rule(0.0, "no difference", style="ideal")
    for place, each in enumerate(order):
        chart.whisker(place, each.lower, each.upper, across=True)
        text = f"{slice_name(each.slice)}: {each.value:+.3f} ({each.interval}), {each.rows:,} trips"
        chart.dot(each.value, place, text, STYLES[each.better])
    return Figure(title, f"RMSE of B minus A, {currency}", chart.svg(title), None, "", LEGEND)


def listing(slices: Sequence[SliceDifference]) -> Table:
    """All slices with both models' errors."""
    rows = [
        (
            slice_name(each.slice), f"{each.rows:,}",
            f"{each.a['rmse']:.3f}", f"{each.b['rmse']:.3f}", f"{each.value:+.3f}",
            each.interval, each.better or "–", f"{each.a['mae']:.3f}", f"{each.b['mae']:.3f}",
            f"{each.a['bias']:+.3f}", f"{each.b['bias']:+.3f}",
        )
        for each in slices
    ]  # fmt: skip
    note = (
        "Intervals by a paired jackknife: 95 % for all trips, and 95 % for all slices together. A model is named only "
        "if the interval leaves out zero."
    )
    return table("Errors by slice", HEAD, rows, note=note)


def models_section(page: ComparisonPage) -> Section:
    """Facts of the two models, and how the settings of their runs differ."""
    rows = [("model", *page.names), *page.facts]
    blocks: list[Block] = [table("The two models", ("what", "A", "B"), rows, 3)]
    if page.settings:
        blocks.append(table("Settings that differ", ("setting", "A", "B"), page.settings, 3))
    elif page.settings is None:
        blocks.append(missing("Settings: the run of a model is not here, so they cannot be compared."))
    else:
        blocks.append(missing("Settings: both runs had the same."))
    return Section("models", "Models", tuple(blocks))
