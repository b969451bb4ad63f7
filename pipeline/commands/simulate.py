"""`farebox data simulate`."""

from __future__ import annotations

import dataclasses
import functools
import sys
from typing import Annotated

import typer

from farebox.components.errors import InputError
from farebox.pipeline.commands.options import City


def simulate(
    *,
    city: City,
    rows: Annotated[int, typer.Option(help="The number of trips, faulty ones included.")],
    out: Annotated[str, typer.Option(help="A .csv or .parquet file, or a folder of CSV files; must not exist.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal trips.")] = 0,
    dirt: Annotated[float, typer.Option(help="Share of faulty rows, from 0 to below 1.")] = 0.02,
    since: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The first day; without it, around a change of tariff.")
    ] = None,
    days: Annotated[int, typer.Option(help="Days from the first one on.")] = 364,
    spans: Annotated[
        int | None, typer.Option(metavar="DAYS", help="Write a folder of spans instead: a folder for each day.")
    ] = None,
) -> None:
    """Writes invented trips in a city's own format."""
    from rich.console import Console
    from rich.progress import track

    from farebox.components.trip_example_gen.simulation import simulated_spans, simulator
    from farebox.pipeline.settings import load

    order = simulator.Order(rows, seed, dirt, since, days)
    if spans is not None and days != simulator.DEFAULT_DAYS:
        raise InputError(f"days={days} must be left out: spans={spans} tells the days")
    if spans is not None and spans < 1:
        raise InputError(f"spans={spans} must be at least 1")
    path = load.city_file(city)
    profile = load.build({**load.read_yaml(path), "data": "simulated"}, str(path)).city
    progress = functools.partial(
        track,
        description="simulating",
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    if spans is None:
        written = simulator.simulate(profile, order, out, progress)
    else:
        written = simulated_spans.simulate_spans(profile, dataclasses.replace(order, days=spans), out, progress)
    print(f"{written.rows:,} rows, {written.dirt:,} of them faulty; {out}, {written.n_bytes:,} B")
    if spans is not None:
        pattern, marker = simulated_spans.PATTERN, simulated_spans.MARKER
        print(f"{spans} spans; `farebox retrain` takes them with spans.pattern={pattern} and spans.marker={marker}")
