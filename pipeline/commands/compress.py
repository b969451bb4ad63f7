"""`farebox compress`: reads a model and its rows, calls `components.compression.compress`, writes the result."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from farebox.components.compression.tables import check_table, read_rows, read_table
from farebox.components.device_validator.runtimes.table import describe_trials, trials_from_json
from farebox.components.errors import InputError
from farebox.components.files import write_atomically
from farebox.components.quantizer.settings import QuantizerSettings
from farebox.pipeline.commands.options import AsJson
from farebox.pipeline.commands.screen import logged
from farebox.pipeline.local.console import RunConsole
from farebox.pipeline.local.folder import LOG_FILE, make_folder

Array = npt.NDArray[Any]
MODEL_FILE, SUMMARY_FILE, PAGE_FILE = "model.tflite", "compression.json", "compression.html"
CACHE_FOLDER = "trials"  # of what is finished: the command goes on after an interruption
MOST_PARTS = 4  # that the screen names
PARTS = 5  # one part of the rows chooses, one measures what was chosen
FULL = os.strerror(errno.ENOSPC)
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)
FEW_ROWS = 10  # that make half of an error: resamples of them tell little of other rows
POINTS = ("accuracy", "auc")  # whose error is 1 - metric


def compress(
    *,
    model: Annotated[str, typer.Option(help="A .tflite, a .keras or .h5 of tf_keras or Keras 3, or a SavedModel.")],
    examples: Annotated[str, typer.Option(help="Rows of inputs and label: .npz, .csv, .parquet or tf.Examples.")],
    label: Annotated[
        str, typer.Option(help="The label: a column, or several separated by commas; in .npz an array of any shape.")
    ] = "label",
    budget: Annotated[
        str, typer.Option(help="The error may grow by this: 1%, or a number in the label's unit.")
    ] = "1%",
    objective: Annotated[
        str,
        typer.Option(
            help="regression, binary, classes, multilabel, or custom:MODULE:FUNCTION of predictions and labels; "
            "auto: as the network was compiled, or as its last layer says."
        ),
    ] = "auto",
    metric: Annotated[
        str, typer.Option(help="rmse or mae; log_loss, accuracy or auc; auto: the first of them.")
    ] = "auto",
    trained_ids: Annotated[
        str | None,
        typer.Option(help="A .npz of all ids that training had, by embedding or input; rows of other ids become 0."),
    ] = None,
    optimize_for: Annotated[
        str, typer.Option(help="size or gzip: bytes, or bytes after gzip; latency (of one row) or balanced.")
    ] = "size",
    max_slowdown: Annotated[
        float, typer.Option(help="Share of one row's time that the file may add; from 4 on, 4-bit weights are tried.")
    ] = QuantizerSettings.max_slowdown,
    search_s: Annotated[
        float, typer.Option(help="CPU seconds after which no further trial of a network begins; the log says so.")
    ] = QuantizerSettings.search_s,
    portable: Annotated[bool, typer.Option(help="Only formats that every runtime has, tflite-micro too.")] = False,
    keep_names: Annotated[bool, typer.Option(help="Keep the names of inner tensors in the file.")] = False,
    trust_model: Annotated[bool, typer.Option(help="Load a model that may run code of its author.")] = False,
    imports: Annotated[
        list[str] | None,
        typer.Option("--import", metavar="MODULE", help="A Python module with layers of the model; may be repeated."),
    ] = None,
    out: Annotated[
        str, typer.Option(help="For model.tflite, compression.html and .json, and the trial log.")
    ] = "compressed",
    as_json: AsJson = False,
) -> None:
    """Makes any small model the smallest .tflite in a budget, without the taxi pipeline."""
    request = CompressRequest(
        model, examples, label, budget, out, objective, metric, trained_ids, keep_names, trust_model,
        optimize_for=optimize_for, portable=portable, imports=tuple(imports or ()), search_s=search_s,
        max_slowdown=max_slowdown,
    )  # fmt: skip
    summary = run(request, quiet=as_json)
    print(json.dumps(summary, indent=2) if as_json else page_of(summary))


def page_of(summary: dict[str, Any]) -> str:
    """Returns the result in words: the file, how it was judged and how sure that is, its bytes, where it runs."""
    parts = sorted(summary["parts"].items(), key=lambda part: -part[1])
    bytes_by_part = ", ".join(f"{name} {size:,}" for name, size in parts[:MOST_PARTS])
    runs = describe_trials(trials_from_json(summary["runtimes"]))
    ending = [f"bytes: {bytes_by_part}", runs, f"all files that were tried: {summary['page']}"]
    return "\n".join([*lines_of(summary), *summary["notes"], *ending])


def lines_of(summary: dict[str, Any]) -> list[str]:
    """The file, its errors, and the objective."""
    sizes, gzip, test = summary["bytes"], summary["gzip_bytes"], summary["test"]
    name, is_of_points = summary["metric"], summary["metric"] in POINTS
    shown = {key: f"{1 - value if is_of_points else value:.4g}" for key, value in summary["eval_error"].items()}
    lines = [
        f"{summary['mode']} of the {summary['network']} network: {sizes['shipped']:,} B of {sizes['float32']:,} B, "
        f"gzip {gzip['shipped']:,} B of {gzip['float32']:,} B; {summary['model']}",
        f"{name} {shown['shipped']}, float32 {shown['float32']}, bound {shown['bound']}, on the rows that chose it",
    ]
    if test:
        before, after = (_range_of(test[key], 1.0 if is_of_points else None) for key in ("float32", "shipped"))
        increase = _range_of(test["increase"], 0.0 if is_of_points else None)
        lines.append(
            f"{name} {after}, float32 {before}, change {increase} on {test['rows']:,} rows that chose nothing, "
            f"in brackets where it lies on rows like these with {test['confidence']:.0%} confidence"
        )
        if test["half_rows"] and test["half_rows"] < FEW_ROWS:
            lines.append(
                f"{test['half_rows']} of these rows make half of the error: on others it may lie outside of the "
                "brackets; more rows tell"
            )
        lines.append(f"the budget of {summary['budget']} holds on other rows like these {_sure(test)}")
    return [*lines, f"objective {summary['objective']}"]


def _sure(test: dict[str, Any]) -> str:
    """How sure it is, in words; resamples say nothing beyond a few in a thousand."""
    holds = min(max(test["holds"], 0.001), 0.999)
    bound = "more than " if test["holds"] > holds else "less than " if test["holds"] < holds else ""
    return f"with a probability of {bound}{holds:.1%}"


def _range_of(interval: dict[str, float], minus_from: float | None) -> str:
    """A value and its interval, as `1.2 (1.1 to 1.3)`; or a number minus each of them."""
    value, low, high = interval["value"], interval["low"], interval["high"]
    if minus_from is not None:
        value, low, high = minus_from - value, minus_from - high, minus_from - low
    return f"{value:.4g} ({low:.4g} to {high:.4g})"


@dataclasses.dataclass(frozen=True)
class CompressRequest:
    """The arguments of `farebox compress`."""

    model: str
    examples: str
    label: str
    budget: str
    out: str
    objective: str = "auto"
    metric: str = "auto"
    trained_ids: str | None = None
    keep_names: bool = False
    trust_model: bool = False
    optimize_for: str = "size"
    portable: bool = False
    imports: tuple[str, ...] = ()
    search_s: float = QuantizerSettings.search_s
    max_slowdown: float = QuantizerSettings.max_slowdown
    seed: int = 17


def run(request: CompressRequest, *, quiet: bool = False) -> dict[str, Any]:
    """Writes model, page, summary, trial log and `log.txt` into `out`; returns the summary.

    Raises InputError if the model, the examples or the budget cannot be used, or `out` cannot be written.
    """
    check_paths(request)
    out = Path(request.out)
    make_folder(out)
    try:
        with logged(quiet=quiet)(out / LOG_FILE) as screen:
            screen.working("importing TensorFlow")
            return compress_files(request, out, screen)
    except Exception as error:
        reason = _why_unwritable(error)
        if reason is None:
            raise
        raise InputError(f"--out={request.out} cannot be written: {reason}") from error


def _why_unwritable(error: Exception) -> str | None:
    """The reason why a file could not be written, as the system or TensorFlow says it; None for other errors."""
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        return os.strerror(error.errno)
    return FULL if type(error).__name__ == "ResourceExhaustedError" and FULL in str(error) else None


def check_paths(request: CompressRequest) -> None:
    """Raises InputError for what is wrong before TensorFlow is imported."""
    if not Path(request.model).exists():
        raise InputError(f"--model={request.model} must be a .keras, .h5, .tflite or SavedModel that exists")
    if not 0 < request.search_s < math.inf:
        raise InputError(f"--search-s={request.search_s:g} must be above 0 and finite")
    check_table(Path(request.examples), "--examples")
    ids = request.trained_ids
    if ids is not None and (Path(ids).suffix != ".npz" or not Path(ids).is_file()):
        raise InputError(f"--trained-ids={ids} must be a .npz file that exists")


def compress_files(request: CompressRequest, out: Path, screen: RunConsole) -> dict[str, Any]:
    """Compresses and writes everything except `log.txt`; see `run`."""
    from farebox.components.compression.compress import check_budget, checked_goal
    from farebox.components.compression.compress import compress as compress_network
    from farebox.components.compression.doors import model_inputs, open_model
    from farebox.components.compression.page import page_html, runtimes_of
    from farebox.components.tflite.byte_shares import byte_shares

    network = open_model(
        Path(request.model),
        name=f"--model={request.model}",
        remedy="give --import MODULE for layers of its author, or --trust-model if you trust its source",
        trust=request.trust_model,
        imports=request.imports,
    )
    check_budget(request.budget, "--budget")
    checked_goal(request.optimize_for, "--optimize-for")
    columns, labels = read_rows(Path(request.examples), request.label, model_inputs(network))
    splits = split_rows(len(labels), request.seed)
    counts = {name: f"{len(rows):,}" for name, rows in splits.items()}
    screen.say(f"{counts['train']} rows to fit, {counts['evaluation']} to choose, {counts['test']} to measure")

    def show(step: str, result: str) -> None:
        if result:
            screen.say(f"{step}: {result}")
        else:
            screen.working(step)

    parts: dict[str, Any] = {
        name: ({key: values[rows] for key, values in columns.items()}, labels[rows]) for name, rows in splits.items()
    }
    result = compress_network(
        network,
        **parts,
        budget=request.budget,
        objective=request.objective,
        metric=request.metric,
        trained_ids=read_table(Path(request.trained_ids)) if request.trained_ids else None,
        keep_names=request.keep_names,
        optimize_for=request.optimize_for,
        portable=request.portable,
        search_s=request.search_s,
        max_slowdown=request.max_slowdown,
        seed=request.seed,
        cache=out / CACHE_FOLDER,
        on_step=show,
    )
    result.save_log(out)
    screen.working("trying the file in each runtime")
    runtimes = runtimes_of(result.content, {name: values[splits["test"]] for name, values in columns.items()})
    summary = {
        **result.as_json(),
        "budget": request.budget,
        "model": str(out / MODEL_FILE),
        "page": str(out / PAGE_FILE),
        "parts": byte_shares(result.content),
        "runtimes": [dataclasses.asdict(trial) for trial in runtimes],
    }
    write_atomically(out / PAGE_FILE, page_html(result, Path(request.model).name, lines_of(summary), runtimes))
    write_atomically(out / SUMMARY_FILE, json.dumps(summary, indent=2))
    result.save(out / MODEL_FILE)
    return summary


def split_rows(n_rows: int, seed: int) -> dict[str, npt.NDArray[np.intp]]:
    """Returns the indices of the rows to fit, of those that choose and of those that only measure: 3, 1 and 1 of 5."""
    order, part = np.random.default_rng(seed).permutation(n_rows), n_rows // PARTS
    return {"train": order[2 * part :], "evaluation": order[:part], "test": order[part : 2 * part]}
