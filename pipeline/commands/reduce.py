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
from typing import Any

from farebox.components import files
from farebox.components.errors import InputError
from farebox.components.pca_reducer.settings import ReducerSettings
from farebox.pipeline.local import preflight
from farebox.pipeline.local import run as runs
from farebox.pipeline.local.console import RunConsole
from farebox.pipeline.local.folder import LOG_FILE, exclusive, make_folder, new_run_id
from farebox.pipeline.metadata import connection
from farebox.pipeline.process import output_to_log
from farebox.pipeline.settings.load import Settings

SPACES = {"preactivation": ("pca", "svd", "ica", "pls", "lda"), "input": ("pca", "svd", "ica", "pls", "lda", "nmf")}
FRACTIONS = (0.90, 0.95, 0.99)
COMPARED_AT = 0.98  # of the variance of pca, where the settings leave k to `auto`
RESULT_FILE, PICTURE = "reduction.json", "reduction.png"


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
        with output_to_log(folder / LOG_FILE) as stream, RunConsole(stream, quiet) as screen:
            screen.say(f"farebox: {settings.city.name}, reductions; log in {folder / LOG_FILE}")
            found = compare(settings, folder, screen)
    screen = RunConsole(sys.stdout, quiet)
    screen.say(headline(found))
    screen.console.print(table(found))
    screen.say("\n".join([*remarks(found), f"pictures and {RESULT_FILE} in {folder}"]))
    return found


def compare(settings: Settings, folder: Path, screen: RunConsole) -> dict[str, Any]:
    """Runs the graph and every reduction; writes their files and the comparison."""
    artifacts = runs.run_graph(settings, new_run_id(), screen, {}, last="Trainer")
    found = []
    for space, methods in SPACES.items():
        k = None
        for method in methods:
            started = time.monotonic()
            screen.working(f"{space} {method}")
            chosen = asked(settings.reducer, space, method, k)
            row = one_reduction(settings, chosen, artifacts, folder / f"{space}-{method}")
            k = k or row["k"]
            found.append(row)
            screen.node(f"{space} {method}", False, time.monotonic() - started, row["why"])
    result = {
        "city": settings.city.name,
        "currency": settings.city.currency,
        "source": found[0]["source"],
        "reductions": [{key: value for key, value in row.items() if key != "source"} for row in found],
    }
    files.write_atomically(folder / RESULT_FILE, json.dumps(result, indent=2))
    draw(folder / PICTURE, result)
    return result


def asked(reducer: ReducerSettings, space: str, method: str, k: int | None) -> ReducerSettings:
    """The city's settings for another space and method: with the k that pca got in this space, so that methods are
    comparable. `auto`, which may fold nothing, becomes a share of the variance."""
    changes: dict[str, Any] = {"space": space, "method": method}
    if k:
        changes["n_components"] = min(k, reducer.label_bins - 1) if method == "lda" else k
    elif reducer.n_components == "auto":
        changes["n_components"] = COMPARED_AT
    if method == "nmf":
        changes |= {"standardize": False, "whiten": False}
    return dataclasses.replace(reducer, **changes)


def one_reduction(
    settings: Settings, chosen: ReducerSettings, artifacts: Mapping[str, list[Any]], folder: Path
) -> dict[str, Any]:
    """A row of the table, from what is in its folder afterwards. What a method cannot do becomes its `why`.

    Raises InputError where not even pca can be done: then it is the settings.
    """
    from tfx.types import standard_artifacts

    from farebox.components.artifacts import Projection
    from farebox.components.pca_reducer.executor import PcaReducerExecutor
    from farebox.modules import columns
    from farebox.pipeline.graph import as_json

    inputs = {key: artifacts[key] for key in ("model", "transform_graph")}
    inputs["examples"] = artifacts["transformed_examples"]
    executor = PcaReducerExecutor(PcaReducerExecutor.Context(beam_pipeline_args=list(settings.beam.pipeline_args)))
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier call
    name = {"space": chosen.space, "method": chosen.method}
    with tempfile.TemporaryDirectory() as aside:
        model, projection = standard_artifacts.Model(), Projection()
        model.uri, projection.uri = os.path.join(aside, "model"), str(folder.resolve())
        outputs = {"reduced_model": [model], "projection": [projection]}
        try:
            executor.Do(inputs, outputs, {"settings": as_json(chosen), "label": columns.FARE, "code_digest": ""})
        except InputError as error:
            shutil.rmtree(folder, ignore_errors=True)
            if chosen.method == "pca":
                raise
            return {**name, "k": None, "why": str(error)}
    return name | figures_of(folder)


def figures_of(folder: Path) -> dict[str, Any]:
    """What the table and the picture need of a Projection's files."""
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


def table(found: Mapping[str, Any]) -> Any:
    """A line per space and method."""
    from rich import box
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("reduction", no_wrap=True)
    for heading in ("k", "kept", "folded", "tuned", "params", *(f"{fraction:.0%}" for fraction in FRACTIONS)):
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in found["reductions"]:
        shown.add_row(f"{row['space']} {row['method']}", *cells(row), style=None if row.get("folded") else "dim")
    return shown


def headline(found: Mapping[str, Any]) -> str:
    """What all rows are held against."""
    source = found["source"]
    return (
        f"{found['city']}: eval RMSE in {found['currency']}; of the unreduced network {source['eval_rmse']:.3f}, "
        f"{source['parameters']:,} parameters"
    )


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row's numbers as text; a dash where there is none."""
    if row["k"] is None:
        return ["–"] * (5 + len(FRACTIONS))
    rmse = [f"{row['eval_rmse'][key]:.3f}" if row["folded"] else "–" for key in ("folded", "reduced")]
    needed = ["–" if k is None else str(k) for k in row["needed"].values()]
    return [f"{row['k']}/{row['n_features']}", f"{row['variance_kept']:.1%}", *rmse, f"{row['parameters']:,}", *needed]


def remarks(found: Mapping[str, Any]) -> list[str]:
    """What the columns are, and why a row has dashes."""
    legend = (
        "kept: share of the variance; folded, tuned: RMSE before and after fine-tuning; "
        f"{FRACTIONS[0]:.0%}: k for that share"
    )
    why = [f"{row['space']} {row['method']}: {row['why']}" for row in found["reductions"] if not row.get("folded")]
    return [legend, *why]


def draw(path: Path, found: Mapping[str, Any]) -> None:
    """Left, by space, the running share of the variance; right, RMSE as folded and after fine-tuning."""
    from farebox.components.pca_reducer import plots

    plots.comparison(found).savefig(path, dpi=110, format="png")
