"""`farebox compile` and `farebox rehearse` as commands: parse, one call, exit code. Light to import."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from farebox.pipeline import process
from farebox.pipeline.commands.options import City, Overrides
from farebox.pipeline.commands.submit import RunnerName, chosen


def compile_pipeline(
    city: City = "chicago",
    data: Annotated[
        str | None, typer.Option(metavar="gs://...", help="A file or a folder of trips in a bucket.")
    ] = None,
    runner: RunnerName = "kubeflow",
    root: Annotated[
        str | None, typer.Option(metavar="gs://...", help="For artifacts and models; cluster.root without it.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="NAME[:TAG]", help="Without a tag, the commit; cluster.image without it.")
    ] = None,
    out: Annotated[str, typer.Option(metavar="FILE", help=".json, or .yaml for the bare pipeline.")] = "spec.json",
    overrides: Overrides = None,
) -> None:
    """The pipeline as a file that Kubeflow or Vertex AI runs; `farebox rehearse` and `submit` take it."""
    from farebox.pipeline.cluster import compile
    from farebox.pipeline.settings.load import load_settings

    given = {"cluster.root": root, "cluster.image": image}
    assignments = [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None]
    target = chosen(runner)
    job = compile.compile_spec(load_settings(city, data, overrides=[*(overrides or ()), *assignments]), target, out)
    print("\n".join(compile.described(job, target, out)))


def rehearse(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A file that `farebox compile` wrote.")],
    places: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="ADDRESS=PATH", help="Where here an address is taken to be: gs://BUCKET=FOLDER."),
    ] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--parameter", metavar="KEY=VALUE", help="A runtime parameter of the spec.")
    ] = None,
    out: Annotated[str, typer.Option(metavar="FOLDER", help="For the environment and logs.")] = "rehearsal",
    python: Annotated[
        str | None, typer.Option(metavar="FILE", help="Of an environment that is there; none is made then.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")] = False,
) -> None:
    """Every node's container command of a spec, in the image's environment but without an image or a cluster."""
    from farebox.pipeline.cluster import rehearse as rehearsal
    from farebox.pipeline.cluster.launcher import NodeError
    from farebox.pipeline.local.console import RunConsole

    try:
        summary = rehearsal.rehearse(rehearsal.Request(spec, places or (), parameters or (), out, python), as_json)
    except NodeError as error:
        print(f"farebox: {error}", file=sys.stderr)
        sys.exit(error.code if error.code in (process.BAD_INPUT, process.REFUSED) else process.FAILED)
    if as_json:
        print(json.dumps(summary.to_json(), indent=2))
    else:
        RunConsole(sys.stdout).short_summary(summary.figures)
    if not summary.figures.pushed:
        sys.exit(process.REFUSED)
