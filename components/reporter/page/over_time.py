"""Numbers over the runs of a city, and the section of a report that shows them for the runs before and this one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from farebox.components.errors import number
from farebox.components.reporter.page.axis import Axis
from farebox.components.reporter.page.blocks import Block, Figure, Section, missing, table
from farebox.components.reporter.page.charts import Chart


@dataclasses.dataclass(frozen=True)
class RunPoint:
    """A run: RMSE with its interval, bytes and trips, None without a model; outcome: shipped or the refusing gates."""

    run_id: str
    rmse: float | None
    interval: tuple[float, float] | None
    bytes: int | None
    trips: int | None
    outcome: str

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> RunPoint:
        """Reads what `dataclasses.asdict` gives."""
        interval = content["interval"]
        return cls(**{**content, "interval": tuple(interval) if interval else None})


def section(earlier: Sequence[RunPoint], this: RunPoint, currency: str) -> Section:
    """RMSE and size over the runs, and a table of them, this one last."""
    if not earlier:
        return Section("history", "History", (missing("No earlier run of this city is known here."),))
    runs = [*earlier, this]
    blocks: list[Block] = []
    with_model = [run for run in runs if run.rmse is not None]
    if len(with_model) > 1:
        names, errors = [run.run_id for run in with_model], [run.rmse or 0.0 for run in with_model]
        sizes = [float(run.bytes or 0) for run in with_model]
        intervals = [run.interval for run in with_model]
        blocks.append(over_time("RMSE by run", f"RMSE on test, {currency}", names, errors, intervals))
        blocks.append(over_time("Size by run", "bytes", names, sizes, [None] * len(sizes)))
    rows = [cells(run) for run in reversed(runs)]
    head = ("run", "outcome", f"RMSE, {currency}", "interval", "bytes", "trips")
    note = "The trips that judge may differ from run to run: a run's interval says nothing of the change to another."
    blocks.append(table("The runs, this one first", head, rows, 2, note))
    return Section("history", "History", tuple(blocks))


def cells(run: RunPoint) -> tuple[str, ...]:
    """A row of the table."""
    low, high = run.interval or (None, None)
    interval = "–" if low is None else f"{number(low)} to {number(high)}"
    counts = ("–" if value is None else f"{value:,}" for value in (run.bytes, run.trips))
    return (run.run_id, run.outcome, number(run.rmse), interval, *counts)


def over_time(
    title: str,
    unit: str,
    names: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[tuple[float, float] | None],
) -> Figure:
    """A number by run, with its interval."""
    ends = [end for interval in intervals if interval for end in interval]
    x = Axis.of("run, the oldest first", [str(place) for place in range(1, len(names) + 1)])
    chart = Chart(x, Axis.over(unit, [*values, *ends, 0.0], zero=True))
    chart.line(list(enumerate(values)))
    for place, (name, value, interval) in enumerate(zip(names, values, intervals, strict=True)):
        if interval:
            chart.whisker(place, *interval, across=False)
        chart.dot(place, value, f"{name}: {number(value)}")
    rows = [(name, number(value)) for name, value in zip(names, values, strict=True)]
    return Figure(title, unit, chart.svg(title), table(title, ("run", unit), rows))
