"""`farebox reduce`: the graph up to Trainer, then PcaReducer on its artifacts once for every space and method."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from farebox.components import files
from farebox.components.errors import InputError
from farebox.components.pca_reducer.settings import ANALYSIS_ONLY, ReducerSettings
from farebox.pipeline.commands.options import AsJson, City, Data, Overrides
from farebox.pipeline.commands.screen import logged
from farebox.pipeline.local import preflight
from farebox.pipeline.local import run as runs
from farebox.pipeline.local.console import RunConsole
from farebox.pipeline.local.folder import LOG_FILE, exclusive, make_folder, new_run_id
from farebox.pipeline.metadata import connection
from farebox.pipeline.node_configs import names_of_features
from farebox.pipeline.settings.load import Settings, load_settings

AFFINE = ("pca", "svd", "sparse_pca", "ica", "pls", "lda")
SPACES = {"preactivation": (*AFFINE, "kernel_pca"), "input": (*AFFINE, "nmf", "kernel_pca")}
FRACTIONS = (0.90, 0.95, 0.99)
COMPARED_AT = 0.98  # share of the variance of pca, if the settings say `auto`
RESULT_FILE, PICTURE = "reduction.json", "reduction.png"


def reduce(
    *,
    city: City = "chicago",
    data: Data = None,
    out: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="For pictures and reduction.json; default runs/CITY/reduction.")
    ] = None,
    runs: Annotated[str, typer.Option(help="The folder that keeps runs/, with finished nodes.")] = ".",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Compares PCA and seven other reductions of a city's network."""
    comparison = run(load_settings(city, data, runs, overrides or ()), out, quiet=as_json)
    if as_json:
        print(json.dumps(comparison, indent=2))


def run(settings: Settings, out: str | None, quiet: bool = False) -> dict[str, Any]:
    """Compares the methods, prints the table, and returns what is also in FOLDER/reduction.json.

    FOLDER/<space>-<method>/ holds each one's Projection: projection.json, projection.npz and three pictures.

    Raises:
        InputError: the data, the folder or a setting cannot be used, or another run of this city is going on.
    """
    preflight.check_engine(settings)
    preflight.check_first_trip(settings)
    connection.check_database(settings)
    folder = Path(out) if out else settings.runs_dir / "reduction"
    with exclusive(settings.runs_dir):
        make_folder(folder)
        with logged(quiet=quiet)(folder / LOG_FILE) as screen:
            screen.say(f"farebox: {settings.city.name}, reductions; log in {folder / LOG_FILE}")
            comparison = compare(settings, folder, screen)
    screen = RunConsole(sys.stdout, quiet)
    screen.say(headline(comparison))
    screen.console.print(table(comparison))
    screen.say("\n".join([*remarks(comparison), f"pictures and {RESULT_FILE} in {folder}"]))
    return comparison


def compare(settings: Settings, folder: Path, screen: RunConsole) -> dict[str, Any]:
    """Runs the graph and every reduction; writes their files and the comparison."""
    artifacts = runs.run_graph(settings, new_run_id(), screen, {}, last="Trainer")
    rows: list[dict[str, Any]] = []
    for space, methods in SPACES.items():
        k = None
        for method in methods:
            started = time.monotonic()
            screen.working(f"{space} {method}")
            chosen = reducer_for(settings.reducer, space, method, k)
            row = one_reduction(settings, chosen, artifacts, folder / f"{space}-{method}")
            k = k or row["k"]
            rows.append(row)
            screen.node(f"{space} {method}", is_cached=False, seconds=time.monotonic() - started, figures=row["why"])
    result = {
        "city": settings.city.name,
        "currency": settings.city.currency,
        "source": rows[0]["source"],
        "reductions": [{key: value for key, value in row.items() if key != "source"} for row in rows],
    }
    files.write_atomically(folder / RESULT_FILE, json.dumps(result, indent=2))
    draw(folder / PICTURE, result)
    return result


def reducer_for(reducer: ReducerSettings, space: str, method: str, k: int | None) -> ReducerSettings:
    """The city's settings for another space and method.

    k is the one that pca got in this space, so that methods are comparable. `auto`, which may fold nothing, becomes a
    share of the variance. nmf takes features less their least values, as the engineered ones are standardized.
    """
    changes: dict[str, Any] = {"space": space, "method": method}
    if k:
        changes["n_components"] = min(k, reducer.label_bins - 1) if method == "lda" else k
    elif reducer.n_components == "auto":
        changes["n_components"] = COMPARED_AT
    if method in ANALYSIS_ONLY:
        changes["whiten"] = False
    if method == "nmf":
        changes |= {"standardize": False, "shift": True}
    return dataclasses.replace(reducer, **changes)


def one_reduction(
    settings: Settings, chosen: ReducerSettings, artifacts: Mapping[str, list[Any]], folder: Path
) -> dict[str, Any]:
    """Runs one reduction and returns its row of the table; for a method that cannot do it, `why` says so.

    Raises InputError if pca cannot do it either: then the settings are wrong.
    """
    from tfx.types import standard_artifacts

    from farebox.components.artifacts import Projection
    from farebox.components.networks.node_settings import as_json
    from farebox.components.pca_reducer.executor import PcaReducerExecutor
    from farebox.modules import columns

    inputs = {key: artifacts[key] for key in ("model", "transform_graph")}
    inputs["examples"] = artifacts["transformed_examples"]
    executor = PcaReducerExecutor(PcaReducerExecutor.Context(beam_pipeline_args=list(settings.beam.pipeline_args)))
    shutil.rmtree(folder, ignore_errors=True)  # an earlier call's
    name = {"space": chosen.space, "method": chosen.method}
    with tempfile.TemporaryDirectory() as aside:
        model, projection = standard_artifacts.Model(), Projection()
        model.uri, projection.uri = os.path.join(aside, "model"), str(folder.resolve())
        outputs = {"reduced_model": [model], "projection": [projection]}
        properties = {
            "settings": as_json(chosen),
            "label": columns.FARE,
            "feature_names": json.dumps(names_of_features(settings)),
            "code_digest": "",
        }
        try:
            executor.Do(inputs, outputs, properties)
        except InputError as error:
            shutil.rmtree(folder, ignore_errors=True)
            if chosen.method == "pca":
                raise
            return {**name, "k": None, "why": str(error)}
    return name | figures_of(folder)


def figures_of(folder: Path) -> dict[str, Any]:
    """The figures that the table and the picture show, from a Projection's files."""
    import numpy as np

    from farebox.components.pca_reducer.selection import needed_for

    facts = json.loads((folder / "projection.json").read_text())
    ratios = np.load(folder / "projection.npz")["explained_variance_ratio"]
    errors, parameters = facts["eval_error"], facts["parameters"]
    return {
        "k": facts["k"],
        "n_features": facts["n_features"],
        "folded": facts["folded"],
        "why": facts["why"],
        "variance_kept": facts["explained_variance_ratio"],
        "eval_rmse": {"folded": errors["folded"], "reduced": errors["reduced"]},
        "parameters": parameters["reduced"],
        "needed": {str(fraction): needed_for(ratios, fraction) for fraction in FRACTIONS},
        "cumulative": [round(float(share), 6) for share in np.cumsum(ratios)],
        "source": {"eval_rmse": errors["source"], "parameters": parameters["source"]},
    }


def table(comparison: Mapping[str, Any]) -> Any:
    """A line per space and method."""
    from rich import box
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("reduction", no_wrap=True)
    for heading in ("k", "kept", "folded", "tuned", "params", *(f"{fraction:.0%}" for fraction in FRACTIONS)):
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in comparison["reductions"]:
        shown.add_row(f"{row['space']} {row['method']}", *cells(row), style=None if row.get("folded") else "dim")
    return shown


def headline(comparison: Mapping[str, Any]) -> str:
    """The unreduced network, with which all rows are compared."""
    city, currency, source = comparison["city"], comparison["currency"], comparison["source"]
    return (
        f"{city}: eval RMSE in {currency}; of the unreduced network {source['eval_rmse']:.3f}, "
        f"{source['parameters']:,} parameters"
    )


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row's numbers as text; a dash for none."""
    if row["k"] is None:
        return ["–"] * (5 + len(FRACTIONS))
    rmse = [f"{row['eval_rmse'][key]:.3f}" if row["folded"] else "–" for key in ("folded", "reduced")]
    needed = ["–" if k is None else str(k) for k in row["needed"].values()]
    return [f"{row['k']}/{row['n_features']}", f"{row['variance_kept']:.1%}", *rmse, f"{row['parameters']:,}", *needed]


def remarks(comparison: Mapping[str, Any]) -> list[str]:
    """A legend of the columns, and the reason for each row of dashes."""
    legend = (
        "kept: share of the variance; folded, tuned: RMSE before and after fine-tuning; "
        f"{FRACTIONS[0]:.0%}: k for that share"
    )
    why = [f"{row['space']} {row['method']}: {row['why']}" for row in comparison["reductions"] if not row.get("folded")]
    return [legend, *why]


def draw(path: Path, comparison: Mapping[str, Any]) -> None:
    """Draws the cumulative share of the variance by space (left) and RMSE before and after fine-tuning (right)."""
    from farebox.components.pca_reducer import plots

    plots.comparison(comparison).savefig(path, dpi=110, format="png")
