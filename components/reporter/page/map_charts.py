"""Maps of the section of fares: trips and errors by cell of pickup, without a background."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from farebox.components.errors import number
from farebox.components.reporter.page.axis import Axis
from farebox.components.reporter.page.blocks import Figure, table
from farebox.components.reporter.page.charts import Chart, shade


@dataclasses.dataclass(frozen=True)
class MapView:
    """How a map shows the cells: title, unit, the number's place in a cell, the power of its shade, words and note."""

    title: str
    unit: str
    index: int
    power: float
    words: str
    note: str = ""


def maps(grid: Mapping[str, Any], currency: str) -> list[Figure]:
    """Trips and mean absolute error by cell of pickup, shaded; no background map."""
    left_out = f"Cells with fewer than {grid['least']} trips show no error."
    views = (
        MapView("Where trips begin", "trips per cell", 2, 0.35, "{:,.0f} trips"),
        MapView("Error by place of pickup", f"MAE, {currency}", 3, 1.0, "MAE {:.3g} " + currency, left_out),
    )
    return [map_figure(grid, view) for view in views]


def map_figure(grid: Mapping[str, Any], view: MapView) -> Figure:
    """A grid of cells shaded by one of their numbers."""
    n, west, east, south, north = (grid[key] for key in ("n", "west", "east", "south", "north"))
    x, y = (
        Axis("longitude, degrees", west, max(east, west + 1e-6)),
        Axis("latitude, degrees", south, max(north, south + 1e-6)),
    )
    chart, width, height = Chart(x, y, 330), (x.high - west) / n, (y.high - south) / n
    shown = [cell for cell in grid["cells"] if cell[view.index] is not None]
    most = max((cell[view.index] for cell in shown), default=1.0) or 1.0
    for cell in shown:
        low = (west + cell[0] * width, south + cell[1] * height)
        place = f"{low[0] + width / 2:.3f}, {low[1] + height / 2:.3f}"
        style = shade((cell[view.index] / most) ** view.power)
        text = f"{place}: {view.words.format(cell[view.index])}"
        chart.rect(low, (low[0] + width, low[1] + height), text, style)
    top = sorted(shown, key=lambda cell: -cell[view.index])[:10]
    cells = [
        (f"{west + (c[0] + 0.5) * width:.3f}, {south + (c[1] + 0.5) * height:.3f}", f"{c[2]:,}", number(c[3]))
        for c in top
    ]
    numbers = table(f"{view.title}: the ten highest cells", ("longitude, latitude", "trips", "MAE"), cells)
    legend = (("h1", "low"), ("h5", "middle"), ("h9", f"high, {number(most)}"))
    return Figure(view.title, view.unit, chart.svg(view.title), numbers, view.note, legend)
