"""`farebox compare`: two runs or versions on the same trips, or two cities; as text, JSON and a page."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farebox.components.errors import InputError
from farebox.pipeline.commands.options import AsJson, City, Data, Overrides
from farebox.pipeline.commands.tables import aligned

if TYPE_CHECKING:
    from farebox.components.reporter.page.cities import CityRun
    from farebox.modules.comparison import ComparedSlice
    from farebox.pipeline.settings.load import Settings

HEADER = ("slice", "trips", "RMSE A", "RMSE B", "B - A", "interval", "better", "MAE A", "MAE B", "bias A", "bias B")
WHICH = (
    "A version's name or the beginning, a run's id, a .tflite file, a version's folder, or models/CITY; "
    "or, if both are, a city with runs."
)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=WHICH)],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    *,
    city: City = "chicago",
    data: Data = None,
    out: Annotated[str, typer.Option(help="The folder that keeps runs/ and models/.")] = ".",
    overrides: Overrides = None,
    page: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the comparison as a page, too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compares two runs or versions on the same trips, by slice.

    A slice's interval leaves out zero only if one model is better there beyond what chance allows. Two cities have no
    trip in common: their latest runs stand side by side.
    """
    from farebox.pipeline.commands import compare_page

    if runs := compare_page.city_runs(Path(out), (a, b)):
        compare_cities(runs[0], runs[1], page, as_json=as_json)
        return
    from farebox.components.tflite.bands import of_facts
    from farebox.modules.columns import FARE
    from farebox.modules.comparison import Comparison
    from farebox.pipeline.fare_model import FareModel, PredictedTrips
    from farebox.pipeline.node_configs import slicing_config
    from farebox.pipeline.settings.load import load_settings

    settings = load_settings(city, data, out, overrides or ())
    models = [FareModel.load(find_model(settings, text)) for text in (a, b)]
    bands = (of_facts(models[0].description.facts), of_facts(models[1].description.facts))
    comparison, trips = Comparison(slicing_config(settings), bands), PredictedTrips(settings, models)
    for batch, (first, second) in trips:
        comparison.update(batch, batch[FARE], (first, second))
    warnings = trips.warnings()
    slices = comparison.slices(settings.gates.slices.min_rows)
    paths = {"A": str(models[0].path), "B": str(models[1].path)}
    if page:
        compare_page.write(page, compare_page.comparison_page(settings, trips, slices, warnings))
    if as_json:
        counts = {"used": slices[0].rows if slices else 0, "rejected": trips.losses.total.rejected}
        content = {"city": settings.city.name, "data": settings.data, **paths, "rows": counts, "warnings": warnings}
        print(json.dumps(_without_nan({**content, "slices": [dataclasses.asdict(each) for each in slices]}), indent=2))
        return
    for name, path in paths.items():
        print(f"{name}: {path}")
    print(table(slices))
    for warning in warnings:
        print(f"farebox: warning: {warning}", file=sys.stderr)
    if page:
        print(f"page: {page}")


def compare_cities(a: CityRun, b: CityRun, page: Path | None, *, as_json: bool) -> None:
    """Prints the latest runs of two cities side by side, and writes their page."""
    from farebox.components.reporter.page.cities import render_cities, rows_of
    from farebox.pipeline.commands import compare_page

    if page:
        compare_page.write(page, render_cities(a, b))
    if as_json:
        runs = {each.city: {"run_id": each.run_id, **each.figures.to_json()} for each in (a, b)}
        print(json.dumps(_without_nan(runs), indent=2))
        return
    print(aligned([("", a.city, b.city), *rows_of(a, b)]))
    if page:
        print(f"page: {page}")


def find_model(settings: Settings, text: str) -> Path:
    """The path of a model: a path as it is, the file of a run's id, or the version whose name begins so.

    Raises InputError if there is none, or more than one.
    """
    from farebox.components.atomic_pusher.versions import named
    from farebox.pipeline.local.folder import SUMMARY_FILE

    if Path(text).exists():
        return Path(text)
    summary = settings.runs_dir / text / SUMMARY_FILE
    if summary.is_file():
        model = json.loads(summary.read_text()).get("model")
        if model is None:
            raise InputError(f"run={text} must have made a model: its data were refused")
        if not Path(model["path"]).is_file():
            raise InputError(f"run={text}: its model {model['path']} is not there any more")
        return Path(model["path"])
    base = settings.models_dir
    if not base.is_dir():
        raise InputError(f"model={text} must be a path, or a version in {base} or a run in {settings.runs_dir}")
    from farebox.components.atomic_pusher.store import LocalStore

    return base / named(text, LocalStore(base).versions(), base)


def table(slices: Sequence[ComparedSlice]) -> str:
    """A line per slice."""
    return aligned([HEADER, *map(_row, slices)])


def _row(each: ComparedSlice) -> tuple[str, ...]:
    difference = each.difference
    return (
        each.slice,
        f"{each.rows:,}",
        f"{each.a['rmse']:.3f}",
        f"{each.b['rmse']:.3f}",
        f"{difference.value:+.3f}",
        f"{difference.lower:+.3f} to {difference.upper:+.3f}",
        each.better,
        f"{each.a['mae']:.3f}",
        f"{each.b['mae']:.3f}",
        f"{each.a['bias']:+.3f}",
        f"{each.b['bias']:+.3f}",
    )


def _without_nan(value: Any) -> Any:
    """The same with null for what is no number: JSON has no NaN."""
    if isinstance(value, Mapping):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
