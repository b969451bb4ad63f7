"""The page of two cities: the latest run of each on its own trips."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from farebox.components.errors import number
from farebox.components.model_gate.yardsticks import PREDICT_MEAN
from farebox.components.reporter import verdict
from farebox.components.reporter.figures import Figures, ModelFigures
from farebox.components.reporter.page.blocks import Block, Figure, Section, missing, table
from farebox.components.reporter.page.charts import columns
from farebox.components.reporter.page.render import About, render_sections

LEAD = (
    "Each city on its own unseen trips. No trip is in both, so a difference of the two has no interval; amounts differ "
    "in currency and tariff, so compare shares."
)
STAGES = {"linear_on_distance": "line", "raw_dnn": "raw DNN", "lightgbm": "LightGBM", "shipped": "shipped"}


@dataclasses.dataclass(frozen=True)
class CityRun:
    """The latest run of a city."""

    city: str
    currency: str
    run_id: str
    figures: Figures

    def errors(self) -> dict[str, float]:
        """RMSE by yardstick and stage; empty without a model."""
        measured = self.figures.measured
        return {**measured.yardsticks, **dataclasses.asdict(measured.rmse)} if measured else {}


def render_cities(a: CityRun, b: CityRun) -> str:
    """The page as HTML."""
    blocks: list[Block] = [*shares(a, b), table("Side by side", ("what", a.city, b.city), rows_of(a, b), 3)]
    about, title = About(f"{a.city} and {b.city}", ""), "Two cities"
    return render_sections(about, title, LEAD, (Section("cities", title, tuple(blocks)),))


def shares(a: CityRun, b: CityRun) -> list[Block]:
    """Error as a share of that of predicting the mean: it has no currency."""
    errors = (a.errors(), b.errors())
    if not all(errors):
        return [missing("A picture of both needs a model of both: the data of a city were refused.")]
    parts = [
        (city.city, style, [100 * each[stage] / each[PREDICT_MEAN] for stage in STAGES])
        for city, each, style in zip((a, b), errors, "ab", strict=True)
    ]
    title, unit = "Error against predicting the mean", "% of the RMSE of predicting the mean"
    svg = columns(list(STAGES.values()), "% of the mean's RMSE", parts, name=title, height=240)
    cells = [(name, *(f"{values[i]:.1f}" for _, _, values in parts)) for i, name in enumerate(STAGES.values())]
    legend = tuple((style, name) for name, style, _ in parts)
    return [Figure(title, unit, svg, table(title, ("model", a.city, b.city), cells), "", legend)]


def rows_of(a: CityRun, b: CityRun) -> list[tuple[str, str, str]]:
    """Facts of both cities; a dash where a city has no model."""
    columns_of = [dict(facts(each)) for each in (a, b)]
    names = list(dict.fromkeys([*columns_of[0], *columns_of[1]]))
    return [(name, *(column.get(name, "–") for column in columns_of)) for name in names]  # type: ignore[misc]


def facts(city: CityRun) -> Sequence[tuple[str, str]]:
    """Name and value of each fact."""
    figures = city.figures
    gate = verdict.closest_line(figures.gates) or "–"
    known = [("run", city.run_id), ("verdict", "shipped" if verdict.is_shipped(figures) else "not shipped")]
    return [*known, *(model_facts(figures.measured, city.currency) if figures.measured else ()), ("closest gate", gate)]


def model_facts(measured: ModelFigures, currency: str) -> Sequence[tuple[str, str]]:
    """Error with its interval, shares, size, time and ranges."""
    low, high = measured.intervals.get("rmse", (None, None))
    rmse, yardsticks = measured.rmse, measured.yardsticks
    ranges, latency = measured.ranges, measured.latency_us
    return (
        ("trips", f"{measured.rows.examples:,} of {measured.rows.read:,} rows"),
        ("RMSE", f"{rmse.shipped:.2f} {currency} ({number(low, 3)} to {number(high, 3)})"),
        ("of predicting the mean", f"{rmse.shipped / rmse.predict_mean:.1%}"),
        ("of a line on distance", f"{rmse.shipped / rmse.linear_on_distance:.1%}"),
        ("of LightGBM", f"{rmse.shipped / yardsticks['lightgbm']:.1%}" if "lightgbm" in yardsticks else "–"),
        ("mean absolute error", f"{measured.mae:.2f} {currency}"),
        ("bias", f"{measured.bias:+.2f} {currency}"),
        ("ranges hold", f"{ranges.covered:.1%}, {ranges.promised:.0%} promised" if ranges else "no ranges"),
        ("size", f"{measured.model.bytes:,} bytes, {measured.model.gzip_bytes:,} gzip"),
        ("one fare", f"{latency.p50:.1f} µs" if latency else "–"),
        ("operators", str(sum(measured.model.ops.values()))),
        ("zeros", f"{measured.model.sparsity:.1%}"),
    )
