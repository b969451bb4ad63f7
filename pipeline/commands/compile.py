"""`farebox compile` and `farebox rehearse`: parse, one call, exit code. Light to import."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farebox.pipeline import process
from farebox.pipeline.cluster.versions import NEWEST
from farebox.pipeline.commands.hints import flags_in_errors
from farebox.pipeline.commands.options import City, Overrides
from farebox.pipeline.commands.submit import Assignments, RunnerName, checked_runner

if TYPE_CHECKING:
    from farebox.pipeline.cluster.compile import CompiledPipeline

COMPILE_FLAGS = {"cluster.root": "--root", "cluster.image": "--image", "data": "--data", "path": "--out"}
REHEARSAL_FLAGS = {
    "spec": "SPEC", "place": "--at", "parameter": "--parameter", "out": "--out", "python": "--python",
    "kfp_version": "--kfp-version",
}  # fmt: skip


def compile_pipeline(
    *,
    city: City = "chicago",
    data: Annotated[
        str | None, typer.Option(metavar="gs://...", help="A file or a folder of trips in a bucket.")
    ] = None,
    runner: RunnerName = "kubeflow",
    root: Annotated[
        str | None,
        typer.Option(metavar="gs://...", help="Where artifacts and models are written; default: cluster.root."),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="NAME[:TAG]", help="Default: cluster.image; without a tag it gets the commit."),
    ] = None,
    out: Annotated[
        str, typer.Option(metavar="FILE", help="A .json file, or .yaml for the bare pipeline.")
    ] = "spec.json",
    overrides: Overrides = None,
) -> None:
    """Writes the pipeline for Kubeflow or Vertex AI; `farebox rehearse` and `farebox submit` take the file."""
    from farebox.pipeline.cluster import compile as compiler
    from farebox.pipeline.local.libraries import configure_libraries
    from farebox.pipeline.settings.load import load_settings

    flags = {"cluster.root": root, "cluster.image": image}
    assignments = [f"{key}={json.dumps(value)}" for key, value in flags.items() if value is not None]
    cluster_runner = checked_runner(runner)
    with flags_in_errors(COMPILE_FLAGS):
        settings = load_settings(city, data, overrides=[*(overrides or ()), *assignments])
        with process.output_to_log(Path(os.devnull)):  # libraries print while they are imported
            configure_libraries()
            compiled = compiler.compile(settings, runner=cluster_runner, path=out)
    print("\n".join(summary_lines(compiled)))


def summary_lines(compiled: CompiledPipeline) -> list[str]:
    """The file that was written, its places, and its parameters as the options of `farebox submit`."""
    return [
        f"{compiled.path}: {compiled.name} for {compiled.runner}, {len(compiled.images)} nodes, "
        f"image {compiled.images[0]}",
        f"  artifacts and models in {compiled.root}",
        *(
            f"  --parameter {name}={entry['defaultValue']}  {entry['description']}"
            for name, entry in compiled.parameters.items()
        ),
    ]


def rehearse(
    *,
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A file that `farebox compile` wrote.")],
    places: Annotated[
        list[str] | None,
        typer.Option(
            "--at", metavar="ADDRESS=PATH", help="The path here that replaces an address: gs://BUCKET=FOLDER."
        ),
    ] = None,
    parameters: Assignments = None,
    out: Annotated[str, typer.Option(metavar="FOLDER", help="For the environment and logs.")] = "rehearsal",
    python: Annotated[
        str | None, typer.Option(metavar="FILE", help="Python of an existing environment; default: a new one is made.")
    ] = None,
    kfp_version: Annotated[
        str, typer.Option(metavar="VERSION", help="Kubeflow Pipelines' release whose inputs the nodes get.")
    ] = NEWEST,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")] = False,
) -> None:
    """Runs a compiled pipeline's container commands here.

    It uses the environment of the image, without an image or a cluster.
    """
    from farebox.pipeline.cluster import rehearse as rehearsal
    from farebox.pipeline.cluster.launcher import NodeError
    from farebox.pipeline.local.console import RunConsole

    request = rehearsal.RehearsalRequest(spec, places or (), parameters or (), out, python, kfp_version)
    try:
        with flags_in_errors(REHEARSAL_FLAGS):
            summary = rehearsal.rehearse(request, quiet=as_json)
    except NodeError as error:
        print(f"farebox: {error}", file=sys.stderr)
        sys.exit(error.code if error.code in (process.BAD_INPUT, process.REFUSED) else process.FAILED)
    if as_json:
        print(json.dumps(summary.to_json(), indent=2))
    else:
        RunConsole(sys.stdout).short_summary(summary.figures)
    if not summary.figures.pushed:
        sys.exit(process.REFUSED)
