"""The screen of a run: its last lines, a refused run, progress with and without a terminal, an interruption."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import report_page
from rich.console import Console

from farebox.components.errors import Check, GateError
from farebox.pipeline.local import launch, progress, run
from farebox.pipeline.local.console import RunConsole
from farebox.pipeline.local.progress import Progress
from farebox.pipeline.settings.load import load_settings

PAGE = Path("runs/lisbon/latest/report.html")


def lines_of(kind: str) -> list[str]:
    """The screen at the end of a run."""
    stream = io.StringIO()
    screen, figures = RunConsole(stream), report_page.page(kind).figures
    if figures.measured:
        screen.summary(figures, "lisbon", "EUR", PAGE)
    else:
        screen.refusal(figures.gates, "EUR", PAGE)
    return stream.getvalue().splitlines()


def test_what_a_newcomer_needs_comes_last():
    pushed, sentence, closest, page = lines_of("shipped")[-4:]
    assert pushed == "pushed to models/lisbon/abc"
    assert sentence.startswith("Shipped. On unseen trips, half of all fares")
    assert closest == "closest gate: RMSE on unseen trips 3.6, bound 4: 90% of the bound used (max_rmse)"
    assert page == "report: runs/lisbon/latest/report.html"


@pytest.mark.parametrize("kind", ["refused", "no model"])
def test_a_refused_run_ends_with_its_gates(kind):
    lines = lines_of(kind)
    assert [line.partition(":")[0] for line in lines[-5:]] == [
        "refused by " + ("max_rmse" if kind == "refused" else "rejected_share"), "  what to do", "nothing was pushed",
        "Not shipped. " + ("Refused" if kind == "refused" else "The data were refused, so no model was trained"),
        "report",
    ]  # fmt: skip
    text = "\n".join(lines)
    assert "✓" not in text and "shipped file" not in text and "closest gate" not in text


@pytest.mark.parametrize("is_blessed", [True, False])
def test_a_gate_that_refuses_gets_no_tick(is_blessed):
    stream = io.StringIO()
    RunConsole(stream).node("ModelGate", is_cached=False, seconds=1.0, figures="0.98 x", holds=is_blessed)
    assert stream.getvalue().split() == ["✓" if is_blessed else "✗", "ModelGate", "1.0", "s", "0.98", "x"]


def test_no_color_is_respected(monkeypatch):
    """Rich reads NO_COLOR and, for a stream that is no terminal, FORCE_COLOR."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    codes = []
    for no_color in ("", "1"):
        monkeypatch.setenv("NO_COLOR", no_color)
        stream = io.StringIO()
        RunConsole(stream).node("Pusher", is_cached=True, seconds=0.0, figures="")
        codes.append("\x1b[32m" in stream.getvalue())
    assert codes == [True, False]


def test_a_narrow_terminal_cuts_no_number(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = "\n".join(lines_of("refused"))
    assert "…" not in text and "max_rmse" in text and "4.8" in text


@pytest.mark.parametrize("columns", [80, 76, 40])
def test_a_table_of_gates_is_whole_or_lines(monkeypatch, columns):
    """The longest name of a gate, with the widest numbers and verdict, takes 80 columns."""
    monkeypatch.setenv("COLUMNS", str(columns))
    stream, name = io.StringIO(), "runs_on_interpreter_without_xnnpack"
    gates = [
        Check(name, -2.3365e-05, 0.00114404, ok=True),
        Check("coverage", 0.0201, 0.02, ok=True),
        Check("rows", 14_495, 1000, ok=True, at_least=True),
    ]
    RunConsole(stream).gates(gates)
    text = stream.getvalue()
    assert name in text and "within noise" in text and "…" not in text
    assert ("┃" in text) == (columns == 80) and "e+04" not in text


@pytest.mark.parametrize(
    ("elapsed", "expected", "text"),
    [
        (1.0, 30.0, "Trainer (8 of 17)"),
        (12.0, None, "Trainer (8 of 17), 12 s"),
        (12.0, 30.0, "Trainer (8 of 17), 12 s, about 18 s left"),
        (40.0, 30.0, "Trainer (8 of 17), 40 s, longer than the 30 s of last time"),
    ],
)
def test_a_step_says_what_passed_and_what_is_left(monkeypatch, elapsed, expected, text):
    step = Progress(Console(file=io.StringIO()), "Trainer (8 of 17)", expected)
    monkeypatch.setattr(progress.time, "monotonic", lambda: step.started + elapsed)
    assert step.line() == text


@pytest.mark.parametrize(
    ("steps", "expected", "text"),
    [
        ([("epoch", 10, 40)], 30.0, "Trainer, 12 s, about 18 s left: epoch 10 of 40"),
        ([("epoch", 10, 40), ("epoch", 20, 40)], None, "Trainer, 12 s: epoch 20 of 40 (about 24 s left)"),
        (
            [("trip", 0, 20_480), ("trip", 2048, 20_480)],
            3.0,
            "Trainer, 12 s, longer than the 3 s of last time: trip 2,048 of 20,480",
        ),
        ([("trial", 1, 5), ("epoch", 3, 40)], 30.0, "Trainer, 12 s, about 18 s left: trial 1 of 5, epoch 3 of 40"),
        ([("trial", 1, 5), ("epoch", 3, 40), ("trial", 2, 5)], 30.0, "Trainer, 12 s, about 18 s left: trial 2 of 5"),
        ([("epoch", 39, 40), ("epoch", 40, 40), ("part", 1, 1)], None, "Trainer, 12 s"),
    ],
)
def test_a_step_says_how_far_it_is(monkeypatch, steps, expected, text):
    """The first step is told at once, each further one, and the line, after 12 s: ten epochs take 12 s."""
    begun = Progress(Console(file=io.StringIO()), "Trainer", expected)
    times = iter([begun.started, *[begun.started + 12.0] * 9])
    for unit in steps:
        monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
        begun.step(*unit)
    monkeypatch.setattr(progress.time, "monotonic", lambda: begun.started + 12.0)
    assert begun.line() == text


def test_a_narrow_terminal_wraps_the_line_of_a_step():
    """The screen's console does not wrap by itself."""
    console = Console(file=io.StringIO(), width=40, soft_wrap=True)
    step = Progress(console, "Transform (7 of 17), 30 s: row 106,496 of 489,918")
    lines = console.render_lines(step._spinner(), console.options.update(no_wrap=True, overflow="ignore"))
    assert [len(lines), "489,918" in "".join(part.text for part in lines[1])] == [2, True]


def test_without_a_terminal_a_long_step_beats(monkeypatch):
    monkeypatch.setattr(progress, "HEARTBEAT_S", 0.01)
    stream = io.StringIO()
    screen = RunConsole(stream)
    screen.working("Trainer (8 of 17)")
    while not stream.getvalue().count("\n"):
        screen.progress.ended.wait(0.01)
    screen.done()
    assert stream.getvalue().startswith("  … Trainer (8 of 17)\n")


def test_quiet_screens_do_not_beat(monkeypatch):
    monkeypatch.setattr(progress, "HEARTBEAT_S", 0.01)
    screen = RunConsole(io.StringIO(), quiet=True)
    screen.working("Trainer (8 of 17)")
    assert screen.progress is None


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyboardInterrupt(), "interrupted at DataGate, node 6 of 17: finished nodes are kept, nothing was "
                              "pushed; run the same command again to go on from there"),
        (GateError("DataGate: no"), "  ✗ DataGate                   refused"),
    ],
)  # fmt: skip
def test_a_run_that_ends_early_says_where(monkeypatch, tmp_path, error, line):
    """TFX's launcher is replaced: it starts the sixth node, which ends the run."""

    def end_early(*_, on_start, **__):
        on_start("DataGate", 6, 17)
        raise error

    monkeypatch.setattr(launch, "run", end_early)
    stream = io.StringIO()
    with pytest.raises(type(error)):
        run.run_graph(load_settings("chicago", None, str(tmp_path)), "run", RunConsole(stream), {})
    assert stream.getvalue().splitlines()[-1] == line
