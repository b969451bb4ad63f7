"""The command `farebox`: parse, one call, one line for an error. What is slow to import is imported by the command."""

from __future__ import annotations

import datetime
import functools
import json
import sys
from typing import Annotated

import typer

from farebox.pipeline import process
from farebox.pipeline.commands import compile as compiled
from farebox.pipeline.commands import submit as submission
from farebox.pipeline.commands.options import City, Data, Overrides
from farebox.pipeline.commands.schedule import schedule

app = typer.Typer(
    help="Raw taxi trips to a small, fast, gated on-device fare model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # whose boxes take longer than all else that --help does
    context_settings={"max_content_width": 120},
)

data_app = typer.Typer(help="Trips to work with.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]
Out = Annotated[str, typer.Option(help="Where models/ is kept.")]
Model = Annotated[str, typer.Option(help="A .tflite file, a version's folder, or models/CITY for its latest.")]


def main() -> None:
    """The console command. Exit codes: 0 done, 2 bad input, 3 a gate refused; bugs keep their traceback."""
    if code := process.code_of(app):
        sys.exit(code)


@app.command()
def run(
    city: City = "chicago",
    data: Data = None,
    out: Annotated[str, typer.Option(help="Where runs/ and models/ are kept.")] = ".",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Trips in, fare.tflite out, if every gate holds."""
    from farebox.pipeline.local import run as runs
    from farebox.pipeline.settings import load

    summary = runs.run(load.load_settings(city, data, out, overrides or ()), quiet=as_json)
    if as_json:
        print(json.dumps(summary, indent=2))
    if not summary["pushed"]:
        sys.exit(process.REFUSED)


@app.command()
def retrain(
    city: City = "chicago",
    data: Annotated[str | None, typer.Option(help="The folder of spans; where in it, spans.pattern says.")] = None,
    out: Annotated[str, typer.Option(help="Where runs/ and models/ are kept.")] = ".",
    first: Annotated[
        str | None, typer.Option("--from", metavar="SPAN", help="Backfill: a tick per span, from this one on.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="SPAN", help="Up to this one.")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """One tick: new spans are ingested, and retrain the model if the policy says so and every gate holds."""
    from farebox.pipeline.commands import retrain as command
    from farebox.pipeline.settings import load

    sys.exit(command.retrain(load.load_settings(city, data, out, overrides or ()), first, last, as_json))


@app.command()
def reduce(
    city: City = "chicago",
    data: Data = None,
    out: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="For pictures and reduction.json; default runs/CITY/reduction.")
    ] = None,
    runs: Annotated[str, typer.Option(help="Where runs/ is kept; finished nodes are taken from there.")] = ".",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """PCA, SVD, ICA, PLS, LDA and NMF side by side on a city's trained network."""
    from farebox.pipeline.commands import reduce
    from farebox.pipeline.settings import load

    found = reduce.run(load.load_settings(city, data, runs, overrides or ()), out, quiet=as_json)
    if as_json:
        print(json.dumps(found, indent=2))


@app.command()
def compress(
    model: Annotated[str, typer.Option(help="A tf_keras functional model: .keras, .h5 or a SavedModel.")],
    examples: Annotated[str, typer.Option(help="Rows of its inputs and the label: .npz, .csv or .parquet.")],
    label: Annotated[str, typer.Option(help="The label's column: numbers, or class ids.")] = "label",
    budget: Annotated[str, typer.Option(help="What the error may grow: 1%, or a number in the label's unit.")] = "1%",
    out: Annotated[str, typer.Option(help="For model.tflite, compression.json and the trial log.")] = "compressed",
    as_json: AsJson = False,
) -> None:
    """Any small Keras model to the smallest .tflite within a budget; no taxi pipeline."""
    from farebox.pipeline.commands import compress as compressing

    found = compressing.run(compressing.Request(model, examples, label, budget, out), quiet=as_json)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    errors, sizes = found["eval_error"], found["bytes"]
    print(
        f"{found['mode']} of the {found['network']} network: {sizes['shipped']:,} B of {sizes['float32']:,} B, "
        f"{found['metric']} {errors['shipped']:.4g} of {errors['float32']:.4g}; {found['model']}"
    )


@app.command()
def predict(
    model: Model,
    pickup: Annotated[str, typer.Option(metavar="LON,LAT", help="Degrees.")],
    dropoff: Annotated[str, typer.Option(metavar="LON,LAT", help="Degrees.")],
    hour: Annotated[int, typer.Option(help="0-23.")],
    weekday: Annotated[int, typer.Option(help="0-6, Monday is 0.")],
    passengers: Annotated[int, typer.Option(help="1-99.")] = 1,
    date: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="Tells the tariff, where it has changed; today's if left out."),
    ] = None,
    require_signature: Annotated[
        str | None, typer.Option(metavar="PUBLIC.pem", help="An Ed25519 key whose owner must have signed the model.")
    ] = None,
) -> None:
    """The fare of one trip, as a device would compute it."""
    from farebox.pipeline.commands import predict as offline

    places = place("pickup", pickup), place("dropoff", dropoff)
    fare = offline.predict(model, *places, hour, weekday, passengers, day(date), require_signature)
    print(f"{fare:.2f}")


@app.command()
def evaluate(model: Model, city: City, data: Data = None, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """A .tflite over raw trips: RMSE, MAE, rows used and rejected."""
    from farebox.pipeline.commands import predict as offline
    from farebox.pipeline.settings import load

    found = offline.evaluate(model, load.load_settings(city, data, overrides=overrides or ()))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rows = found["rows"]
    print(
        f"RMSE {found['rmse']:.4f}, MAE {found['mae']:.4f} over {rows['used']:,} trips; {rows['rejected']:,} rejected"
    )


@app.command()
def models(
    city: Annotated[str | None, typer.Option(metavar="NAME", help="One city; all of them without it.")] = None,
    out: Out = ".",
    as_json: AsJson = False,
) -> None:
    """The versions of each city's model: when, how large, how good, intact or not."""
    from farebox.pipeline.commands import models as pushed

    found = pushed.found(out, city)
    print(json.dumps([version.__dict__ for version in found], indent=2) if as_json else pushed.table(found))


@app.command()
def rollback(
    city: Annotated[str, typer.Option(metavar="NAME", help="Whose model.")],
    version: Annotated[
        str | None, typer.Argument(help="Its name or the beginning; without it, the one that was latest before.")
    ] = None,
    out: Out = ".",
) -> None:
    """Points LATEST to an earlier version; no run pushes those after it again."""
    from farebox.pipeline.commands import models as pushed

    print(pushed.rollback(out, city, version))


@app.command()
def verify(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A version's folder, or models/CITY for all of them.")],
    key: Annotated[
        str | None, typer.Option(metavar="PUBLIC.pem", help="An Ed25519 key whose owner must have signed them.")
    ] = None,
) -> None:
    """Whether pushed files are what their manifests say; a line per fault, and exit code 2."""
    from pathlib import Path

    from farebox.components.atomic_pusher import versions

    count, faults = versions.verify(Path(folder), key)
    for fault in faults:
        print(f"farebox: {fault}", file=sys.stderr)
    if faults:
        sys.exit(process.BAD_INPUT)
    print(f"{count} version{'s' if count > 1 else ''} intact{' and signed' if key else ''}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """What this machine has and what it lacks."""
    from farebox.pipeline.commands import doctor as checks

    findings = checks.examine()
    if as_json:
        print(json.dumps([finding.__dict__ for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.ok else 'MISS'} {finding.name:<20} {finding.found}")
    if not all(finding.ok for finding in findings):
        sys.exit(process.BAD_INPUT)


@data_app.command()
def simulate(
    city: City,
    rows: Annotated[int, typer.Option(help="How many trips, faulty ones included.")],
    out: Annotated[str, typer.Option(help="A .csv or .parquet file, or a folder of CSV files; must not exist.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal trips.")] = 0,
    dirt: Annotated[float, typer.Option(help="Share of faulty rows, from 0 to below 1.")] = 0.02,
    since: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="The first day; without it, around a change of tariff.")
    ] = None,
    days: Annotated[int, typer.Option(help="Days from the first one on.")] = 364,
) -> None:
    """Invented trips of a city, in the columns and formats of its source."""
    from rich.console import Console
    from rich.progress import track

    from farebox.components.trip_example_gen import simulator
    from farebox.pipeline.settings import load

    path = load.city_file(city)
    profile = load.build({**load.read_yaml(path), "data": "simulated"}, str(path)).city
    progress = functools.partial(
        track,
        description="simulating",
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    written = simulator.simulate(profile, simulator.Order(rows, seed, dirt, since, days), out, progress)
    print(f"{written.rows:,} rows, {written.dirt:,} of them faulty; {out}, {written.n_bytes:,} B")


def day(text: str | None) -> datetime.date:
    """The day of `YYYY-MM-DD`, today's without a text. Raises InputError."""
    from farebox.components.errors import InputError

    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date() if text else datetime.date.today()
    except ValueError as error:
        raise InputError(f"--date={text} must be a day, YYYY-MM-DD") from error


def place(name: str, text: str) -> tuple[float, float]:
    """(longitude, latitude) from `LON,LAT`. Raises InputError."""
    from farebox.components.errors import InputError

    try:
        longitude, latitude = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--{name}={text} must read LON,LAT in degrees, such as -87.63,41.88") from error
    return longitude, latitude


app.add_typer(data_app, name="data")
app.command()(schedule)
app.command()(submission.submit)
app.command("compile")(compiled.compile_pipeline)
app.command()(compiled.rehearse)
