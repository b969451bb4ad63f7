"""A run's surroundings: the lock, the pointer to the latest run, the log of all output, and what people see of it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import subprocess
import sys
import threading
import types
from collections import Counter
from pathlib import Path

import pytest

from farebox.components import files
from farebox.components.device_validator.runtimes.table import RuntimeTrial
from farebox.components.errors import Check, InputError
from farebox.components.model_gate.judgement import Judgement
from farebox.components.reporter.figures import (
    Figures,
    FileSize,
    Latency,
    ModelFigures,
    RangeFigures,
    Rows,
    ShippedModel,
    StageRmse,
)
from farebox.components.reporter.verdict import word
from farebox.components.trip_example_gen.judging.losses import FileRows, Losses, RejectedRow
from farebox.pipeline.local import console, libraries
from farebox.pipeline.local.console import gate_table
from farebox.pipeline.local.folder import exclusive, point_latest
from farebox.pipeline.local.loss_lines import describe_losses
from farebox.pipeline.local.node_figures import key_figures
from farebox.pipeline.process import output_to_log


@contextlib.contextmanager
def other_process(folder: Path):
    """Holds the lock of `folder`; yields the process."""
    code = (
        "import pathlib, farebox.pipeline.local.run as r\n"
        f"with r.exclusive(pathlib.Path({str(folder)!r})): print(1, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"1\n"
        yield process
        process.kill()


def test_a_second_run_is_refused_until_the_first_has_died(tmp_path):
    with other_process(tmp_path) as process:
        refusal = f"another run is going on in {tmp_path}: wait for it to end"
        with pytest.raises(InputError, match=refusal), exclusive(tmp_path):
            pass
        process.kill()
        process.wait()
        with exclusive(tmp_path):
            pass


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    refusal = f"{tmp_path}/file/runs cannot be written: Not a directory"
    with pytest.raises(InputError, match=refusal), exclusive(tmp_path / "file" / "runs"):
        pass


def test_latest_is_swapped_and_never_missing(tmp_path):
    (tmp_path / f".latest.{os.getpid()}").symlink_to("left by a dead run")
    point_latest(tmp_path, "r0")
    swaps = threading.Thread(target=lambda: [point_latest(tmp_path, f"r{number}") for number in range(500)])
    swaps.start()
    while swaps.is_alive():
        assert os.readlink(tmp_path / "latest").startswith("r")
    assert os.readlink(tmp_path / "latest") == "r499"
    assert os.listdir(tmp_path) == ["latest"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        files.write_atomically(path, "new \udc80")
    assert path.read_text() == "old"
    files.write_atomically(path, "new")
    assert path.read_text() == "new"


def test_all_output_goes_to_the_log(tmp_path):
    """From Python, from C++ by file descriptor, and from children; the stream given is the output of before."""
    code = """
import os, pathlib, subprocess, sys
from farebox.pipeline.process import output_to_log
print("before")
with output_to_log(pathlib.Path("log.txt")) as stream:
    print("python")
    os.write(1, b"descriptor\\n")
    os.write(2, b"error\\n")
    subprocess.run(["echo", "child"], check=True)
    print("shown", file=stream, flush=True)
print("after")
"""
    shown = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (shown.stdout, shown.stderr) == ("before\nshown\nafter\n", "")
    assert sorted((tmp_path / "log.txt").read_text().splitlines()) == ["child", "descriptor", "error", "python"]


def test_output_comes_back_after_an_error(tmp_path, capfd):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ZeroDivisionError), output_to_log(tmp_path / "log.txt"):
        os.write(1, b"lost\n")
        _ = 1 / 0
    os.write(1, b"found\n")
    assert capfd.readouterr().out == "found\n"
    assert len(os.listdir("/proc/self/fd")) == before


class Terminal(io.StringIO):
    """A stream that says it is a terminal: there, the spinner turns."""

    def isatty(self) -> bool:
        return True


def test_the_spinner_leaves_the_libraries_output_to_the_log(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal, libraries = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", libraries)
    with console.RunConsole(terminal) as screen:
        screen.working("Trainer (7 of 15)")
        print("a warning of TensorFlow's", file=sys.stderr)
    assert "Trainer (7 of 15)" in terminal.getvalue()
    assert libraries.getvalue() == "a warning of TensorFlow's\n"


def figures_with(linear: float) -> ModelFigures:
    """Figures by hand; linear: RMSE of the line on distance."""
    yardsticks = {
        "predict_mean": 9.5, "linear_on_distance": linear, "raw_dnn": 9.25, "no_embedding_dnn": 3.5, "lightgbm": 3.25,
    }  # fmt: skip
    return ModelFigures(
        rows=Rows(22, 20, 2), yardsticks=yardsticks, rmse=StageRmse(9.5, linear, 9.25, 3.75, 3.5, 3.0, 2.0), mae=1.5,
        bias=-0.125, p95_absolute_error=5.0, intervals={}, baseline=None, slices=(), tuned=None,
        model=ShippedModel("x", 9, 0.25, 4, "int8", "reduced", ("look-ups",), "abc", 100, 60, {"ADD": 3}),
        unreduced=FileSize(200, 90), latency_us=Latency(5.0, 9.0), ranges=RangeFigures(7, 0.9, 0.8833, 5.78),
        runtimes=(
            RuntimeTrial("compiled_model", "CompiledModel", "1.4.0", "runs"),
            RuntimeTrial("tflite_micro", "tflite-micro", None, "not tried", "tflite-micro is not installed"),
        ),
    )  # fmt: skip


def test_the_lines_of_a_finished_run():
    stream = io.StringIO()
    console.RunConsole(stream).summary(
        Figures(figures_with(linear=4.0), (), blessed=True, pushed="models/x"), "lisbon", "EUR"
    )
    assert stream.getvalue().splitlines()[-6:] == [
        "100 B (60 B gzip), 50% of the unreduced 200 B; 3 ops; int8 + look-ups of the reduced network, k=4, "
        "25.0% zeros",
        "one fare takes p50 5.0 µs, p99 9.0 µs",
        "ranges hold 88.3% of the test fares, 90% promised; mean width 5.78 EUR, 7 bands",
        "runs on CompiledModel 1.4.0; not tried: tflite-micro",
        "pushed to models/x",
        "Shipped. On unseen trips, RMSE, where large errors count most, is 2.00 EUR; 50 % better "
        "than a straight line on distance; 38 % better than LightGBM, the best yardstick; 100 bytes, 5.0 µs.",
    ]


def lost(**files: tuple[int, int, int, dict[tuple[str, str], int]]) -> Losses:
    """Losses of files by name: examples, rejected rows by reason and column, and rows left out."""
    shown = {
        ("unparseable", "fare_usd"): RejectedRow("data/a.csv", 7, "1,020.00,2019"),
        ("outside_city", "lon"): RejectedRow("data/b.parquet", 1200, "{}"),
    }
    rows = {
        f"data/{name}.csv": FileRows(examples + sum(reasons.values()) + left_out, examples, left_out, Counter(reasons))
        for name, (examples, reasons, left_out) in files.items()
    }
    return Losses(sum(rows.values(), FileRows()), rows, shown)


def test_k_is_told_once():
    """The name of a candidate's network has it."""
    figures = figures_with(linear=4.0)
    model = dataclasses.replace(figures.model, network="k=4, 25% pruned")
    line = console.describe_model(dataclasses.replace(figures, model=model))
    assert line.endswith("int8 + look-ups of the k=4, 25% pruned network, 25.0% zeros")


def test_the_lines_about_lost_rows_are_short_and_aligned():
    fares = {("unparseable", "fare_usd"): 880, ("outside_city", "lon"): 18}
    losses = lost(a=(8966, fares, 200), b=(0, {("unparseable", "fare_usd"): 612}, 0))
    assert describe_losses(losses) == [
        "1,510 of 10,476 rows rejected (14.4%); 200 of 10,676 rows left out by city.where:",
        "  1,492  not readable (column fare_usd)  line 7 of a.csv: 1,020.00,2019",
        "     18  outside city.box (column lon)   row 1,200 of b.parquet: {}",
        "  worst of 2 files: b.csv, 612 of 612 rejected",
    ]


def test_a_row_of_a_folder_of_days_is_found():
    """Each day's file may have the same name."""
    rows = FileRows(9, 8, 0, Counter({("unparseable", "fare"): 1}))
    shown = {("unparseable", "fare"): RejectedRow("data/2024-03-02/trips.csv", 7, "x")}
    days = {f"data/2024-03-0{day}/trips.csv": rows for day in (1, 2)}
    assert describe_losses(Losses(rows + rows, days, shown))[1].endswith("line 7 of 2024-03-02/trips.csv: x")


def test_nothing_is_said_about_rows_if_none_was_lost():
    assert describe_losses(lost(a=(9, {}, 0))) == describe_losses(None) == []


def test_rows_left_out_alone():
    assert describe_losses(lost(a=(9, {}, 3))) == ["3 of 12 rows left out by city.where"]


def test_five_reasons_are_shown_and_the_rest_counted():
    losses = lost(a=(90, {(f"reason_{i}", "x"): i for i in range(1, 9)}, 0))
    lines = describe_losses(losses)
    assert (len(lines), lines[1], lines[-1]) == (7, "  8  reason 8 (column x)", "  6  other reasons")


@pytest.mark.parametrize("form", ["summary", "short", "refused"])
def test_every_run_ends_with_its_losses_and_the_outcome(form):
    stream, losses = io.StringIO(), lost(a=(20, {("outside_city", "lon"): 2}, 0))
    screen = console.RunConsole(stream)
    if form == "refused":
        screen.losses(Figures.of_refusal((), losses).losses)
    else:
        figures = Figures(figures_with(linear=4.0), (), blessed=True, pushed="models/x", losses=losses)
        screen.summary(figures, "lisbon", "EUR") if form == "summary" else screen.short_summary(figures)
    lines = stream.getvalue().splitlines()
    after = {"summary": ["pushed to models/x", lines[-1]], "short": ["pushed to models/x"], "refused": []}[form]
    assert lines[len(lines) - len(after) - 2 :] == [
        "2 of 22 rows rejected (9.1%):",
        "  2  outside city.box (column lon)  row 1,200 of b.parquet: {}",
        *after,
    ]
    assert lines[-1].startswith("Shipped. ") or form != "summary"


def test_the_table_shows_every_yardstick_then_the_network_by_stage():
    """Against a line without error the factors are huge, not a division by zero."""
    table = console.rmse_table(figures_with(linear=4.0), "lisbon", "EUR")
    assert list(zip(*(column.cells for column in table.columns), strict=True)) == [
        ("predict the mean", "9.500", "2.38 x"),
        ("linear on distance", "4.000", "1.00 x"),
        ("raw-column DNN", "9.250", "2.31 x"),
        ("engineered DNN without embeddings", "3.500", "0.88 x"),
        ("LightGBM", "3.250", "0.81 x"),
        ("engineered float model", "3.750", "0.94 x"),
        ("after reduction", "3.500", "0.88 x"),
        ("after pruning", "3.000", "0.75 x"),
        ("shipped file", "2.000", "0.50 x"),
    ]
    assert console.rmse_table(figures_with(linear=0.0), "lisbon", "EUR").row_count == 9


@pytest.mark.parametrize(("blessed", "word"), [(1, "blessed"), (0, "not blessed")])
def test_the_model_gates_line(tmp_path, blessed, word):
    """3.43 / 3.5 = 0.98; 3.43 / 3.25 = 1.055."""
    judgement = Judgement(
        sha256="abc", rows=20, metrics={"rmse": 3.43}, intervals={}, baseline=None, slices=(),
        yardsticks={"no_embedding_dnn": 3.5, "lightgbm": 3.25}, checks=(), ratio=0.98, spans=(),
    )  # fmt: skip
    (tmp_path / "judgement.json").write_text(json.dumps(judgement.to_json()))
    blessing = types.SimpleNamespace(uri=str(tmp_path), get_int_custom_property={"blessed": blessed}.get)
    line = key_figures("ModelGate", {"blessing": [blessing]})
    assert line == f"0.98 x the no-embedding DNN, 1.06 x LightGBM; {word}"


@pytest.mark.parametrize(
    ("measurements", "line"),
    [
        ({}, "not blessed"),
        ({"latency_us": {"p50": 5.25, "p99": 9.0}}, "not blessed, p50 5.2 µs"),
        ({"runtimes": [{"result": "runs"}, {"result": "refused"}]}, "not blessed, runs on 1 of 2 runtimes"),
    ],
)
def test_the_device_validators_line(tmp_path, measurements, line):
    (tmp_path / "device.json").write_text(json.dumps({"measurements": measurements}))
    blessing = types.SimpleNamespace(uri=str(tmp_path), get_int_custom_property={"blessed": 0}.get)
    assert key_figures("DeviceValidator", {"blessing": [blessing]}) == line


def test_the_tuners_line(tmp_path):
    """The best trial and its values as TFX writes them: it stands first, lists are text."""
    best = {"trial_id": "2", "score": 3.6123, "training.learning_rate": 0.012345, "model.hidden": "[64, 32]"}
    given = {"trial_id": "0", "score": 3.7, "training.learning_rate": 0.01, "model.hidden": "[32, 16]"}
    (tmp_path / "tuner_results.json").write_text(json.dumps([best, given]))
    line = key_figures("Tuner", {"tuner_results": [types.SimpleNamespace(uri=str(tmp_path))]})
    assert line == "best of 2 trials: eval RMSE 3.612, learning_rate=0.0123, hidden=[64, 32]"


@pytest.mark.parametrize(
    ("value", "bound", "ok", "others", "verdict"),
    [
        (1.0, 2.0, True, {}, "holds"), (3.0, 2.0, True, {}, "within noise"), (0.0, None, True, {}, "not compared"),
        (3.0, 2.0, True, {"at_least": True}, "holds"), (1.0, 2.0, True, {"at_least": True}, "within noise"),
        (3.0, 2.0, False, {}, "refuses"), (3.0, 2.0, False, {"severity": "warn"}, "warns"),
    ],
)  # fmt: skip
def test_a_verdict_in_the_table_of_gates(value, bound, ok, others, verdict):
    check = Check("any", value, bound, ok, **others)
    assert word(check) == verdict
    assert [list(column.cells) for column in gate_table([check]).columns][-1] == [verdict]


def test_batches_have_the_same_rows_at_every_pace():
    """Beam's own grow while the machine is idle; a bound of bytes and one of rows leave nothing to it."""
    from tfx_bsl.coders import batch_util

    libraries.fix_batches()
    bounds = batch_util.GetBatchElementsKwargs(None)
    assert bounds["min_batch_size"] == bounds["max_batch_size"]
