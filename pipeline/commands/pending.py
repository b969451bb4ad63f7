"""Commands on their way to their own files."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from farebox.pipeline.commands.options import AsJson, City, Data, Overrides


def retrain(
    *,
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


def reduce(
    *,
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


def compress(
    *,
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
