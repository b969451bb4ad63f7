"""Figures of the benchmarks, computed by hand and by a plain implementation; no pipeline runs here."""

from __future__ import annotations

import dataclasses
import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from farebox.components.errors import Check, InputError
from farebox.components.reporter.figures import Figures, FileSize, ModelFigures, Rows, ShippedModel, StageRmse
from farebox.pipeline.local.run import RunSummary

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "accuracy.py"


@pytest.fixture(scope="module")
def load_script():
    """Imports a script by name as Python runs it: with its own folder on the path."""
    sys.path.insert(0, str(SCRIPT.parent))
    yield importlib.import_module
    sys.path.remove(str(SCRIPT.parent))


@pytest.fixture(scope="module")
def accuracy(load_script):
    return load_script("accuracy")


@pytest.fixture(scope="module")
def report(load_script):
    return load_script("accuracy_report")


@pytest.fixture(scope="module")
def compression(load_script):
    return load_script("compression")


def plain_interval(squared, reference, resamples, seed):
    """The definition, row by row: RMSE over the drawn rows, mean over seeds, their ratio, mean over splits."""
    random, ratios = np.random.default_rng(seed), []
    for model, other in zip(squared, reference, strict=True):
        of_split = []
        for _ in range(resamples):
            rows = random.integers(model.shape[1], size=model.shape[1])
            means = [np.mean([np.sqrt(one[rows].mean()) for one in pair]) for pair in (model, other)]
            of_split.append(means[0] / means[1])
        ratios.append(of_split)
    return np.percentile(np.mean(ratios, axis=0), [2.5, 97.5])


def test_the_interval_is_that_of_the_definition(report):
    """Two splits of 7 and 5 rows, two seeds."""
    random = np.random.default_rng(5)
    squared, reference = ([random.gamma(1, 4, (2, n)) for n in (7, 5)] for _ in range(2))
    interval = report.bootstrap_interval(squared, reference, resamples=40, seed=3)
    assert interval == pytest.approx(plain_interval(squared, reference, 40, 3))


def test_rows_are_paired(report):
    """A model that is wrong twice as much in every row has the ratio 2 in every resample."""
    reference = [np.random.default_rng(1).gamma(1, 4, (3, 50))]
    assert report.bootstrap_interval([4 * reference[0]], reference) == pytest.approx((2, 2))


def test_the_interval_holds_the_ratio(report):
    random = np.random.default_rng(2)
    squared, reference = random.normal(0, 1, (2, 400)) ** 2, random.normal(0, 1.1, (2, 400)) ** 2
    low, high = report.bootstrap_interval([squared], [reference])
    point = report.ratio(np.sqrt(squared.mean(axis=1))[None], np.sqrt(reference.mean(axis=1))[None])
    assert low < point < high


def test_ratio_of_means_and_spread_by_hand(report):
    """Split 1: 2 and 4 (mean 3) over 1 and 2 (1.5) is 2; split 2: 3 over 3 is 1. Deviations √2 and 0."""
    rmse, reference = np.array([[2.0, 4.0], [3.0, 3.0]]), np.array([[1.0, 2.0], [2.0, 4.0]])
    assert report.ratio(rmse, reference) == 1.5
    assert report.spread(rmse) == pytest.approx(2**0.5 / 2)
    assert report.spread(rmse[:, :1]) is None


def summary_of(shipped: float = 3.0, lightgbm: float = 3.0, read: int = 22, **costs) -> RunSummary:
    """A run's summary by hand; shipped, lightgbm: RMSE on test. costs: cpu_s and peak_mb."""
    yardsticks = {
        "predict_mean": 10.0, "linear_on_distance": 5.0, "raw_dnn": 8.0, "no_embedding_dnn": 4.0, "lightgbm": lightgbm,
    }  # fmt: skip
    measured = ModelFigures(
        rows=Rows(read, 20, 2), yardsticks=yardsticks, rmse=StageRmse(10.0, 5.0, 8.0, 3.5, 3.5, 3.5, shipped), mae=1.5,
        bias=-0.125, p95_absolute_error=5.0, intervals={}, baseline=None, slices=(), tuned=None,
        model=ShippedModel("x", 9, 0.25, 4, "int8", "reduced", (), "abc", 100, 60, {"ADD": 3}),
        unreduced=FileSize(200, 90), latency_us=None,
    )  # fmt: skip
    gates = (Check("max_bias", 0.05, 0.03, ok=False), Check("max_rmse", shipped, 5.0, ok=True))
    figures = Figures(measured, gates, blessed=False, pushed=None)
    return RunSummary("chicago", "run-1", "USD", figures, **({"cpu_s": {}, "peak_mb": {}} | costs), lane="A")


@pytest.fixture
def results(report) -> list[list]:
    """One split and two seeds: shipped 3.6 and 4.0, LightGBM 3.8 and 4.2, on eval 6."""
    held = {"network": 3.0, "raw_dnn": 8.0, "no_embedding_dnn": 4.0, "lightgbm": 6.0, "shipped": 3.0}
    summaries = (summary_of(3.6, 3.8), summary_of(4.0, 4.2))
    return [[report.Result(1000, seed, "0", held, 7.0, summary) for seed, summary in enumerate(summaries, start=1)]]


@pytest.fixture
def by_hand(report, results):
    """RMSE on eval and on test, of `results`."""
    held = report.by_model(results, lambda result: result.eval_rmse)
    return held, report.by_model(results, lambda result: report.test_errors(result.summary))


def test_a_result_survives_its_file(accuracy, results, tmp_path):
    path = tmp_path / "summary-1000-1.json"
    path.write_text(json.dumps(results[0][0].to_json()))
    assert accuracy.read_result(path) == results[0][0]


def test_facts_of_a_run(report, results):
    test_rmse = {
        "predict_mean": 10.0, "linear_on_distance": 5.0, "raw_dnn": 8.0, "no_embedding_dnn": 4.0, "lightgbm": 3.8,
        "network": 3.5, "shipped": 3.6,
    }  # fmt: skip
    assert report.run_facts(results[0][0]) == {
        "split": 1000, "seed": 1, "eval_rmse": results[0][0].eval_rmse, "trainer_cpu_s": 7.0, "test_rmse": test_rmse,
        "bytes": 100, "blessed": False, "refused_by": ["max_bias"], "run_id": "run-1",
    }  # fmt: skip


def test_a_report_holds_all_results(report, results, tmp_path, capsys):
    squared = [{name: np.ones((2, 30)) for name in (*report.MODELS, "fares")}]
    report.report(tmp_path, ["training.epochs=3"], results, squared)
    content = json.loads((tmp_path / "accuracy.json").read_text())
    assert [content[key] for key in ("city", "currency", "splits", "seeds", "lane")] == [
        "chicago", "USD", [1000], [1, 2], "A",
    ]  # fmt: skip
    assert [run["run_id"] for run in content["runs"]] == ["run-1", "run-1"]
    assert "chicago: 1 split x 2 training seeds, RMSE in USD" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"accuracy.json", "accuracy.md", "accuracy.png"}


def test_table_by_hand(report, by_hand):
    table = report.table_of(*by_hand)
    assert list(table) == list(report.MODELS)
    assert table["shipped"] == pytest.approx(
        {"eval_rmse": 3.0, "test_rmse": 3.8, "spread": 0.08**0.5, "eval_ratio": 0.5, "test_ratio": 3.8 / 4.0}
    )
    assert table["predict_mean"] == {
        "eval_rmse": None, "test_rmse": 10.0, "spread": 0.0, "eval_ratio": None, "test_ratio": 2.5,
    }  # fmt: skip
    assert report.cells_of("predict_mean", table["predict_mean"])[1:3] == ["–", "10.000"]
    text = report.markdown("title", table, ["a line"])
    assert "| shipped file | 3.000 | 3.800 | 0.283 | 0.500 | 0.950 |" in text and text.endswith("- a line\n")


def test_intervals_by_hand(report, by_hand):
    """All models err by 1 in every row but the DNN without embeddings, by 2: no resample can say otherwise."""
    squared = {name: np.ones((2, 30)) for name in report.MODELS} | {"no_embedding_dnn": np.full((2, 30), 4.0)}
    intervals = report.intervals_of([squared], by_hand[1])
    first, second = intervals[:2]
    assert (first["model"], first["reference"], second["reference"]) == ("shipped", "lightgbm", "no_embedding_dnn")
    assert [(one["low"], one["high"]) for one in (first, second)] == [(1, 1), (0.5, 0.5)]
    to_lightgbm = report.against_lightgbm(intervals)
    assert set(to_lightgbm) == set(report.MODELS) - {"lightgbm"}
    assert to_lightgbm["shipped"]["ratio"] == pytest.approx(3.8 / 4.0) and to_lightgbm["no_embedding_dnn"]["low"] == 2
    line = report.describe_interval(first)
    assert line == "shipped file / LightGBM on test: 0.950, 95 % interval 1.000 to 1.000"


def test_the_picture_shows_dots_near_and_numbers_far(report, by_hand, tmp_path, monkeypatch):
    """The raw-column DNN, twice LightGBM's RMSE, would squeeze all others together."""
    from matplotlib import pyplot as plt

    squared = [{name: np.random.default_rng(0).gamma(1, 4, (2, 30)) for name in report.MODELS}]
    monkeypatch.setattr(plt, "close", lambda _: None)
    to_lightgbm = report.against_lightgbm(report.intervals_of(squared, by_hand[1]))
    report.draw(tmp_path / "accuracy.png", "chicago", by_hand[1], to_lightgbm)
    axes = plt.gcf().axes[0]
    monkeypatch.undo()
    plt.close("all")
    written = [text.get_text() for text in axes.texts]
    assert written == ["0.950", "0.875", "1.000", "1.250", "2.00 →"]
    assert axes.get_xlim()[1] < 2
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("city", "n_bytes", "ok"), [("chicago", 30_000, True), ("nyc", 30_001, False)])
def test_aims_by_hand(report, by_hand, city, n_bytes, ok):
    """Shipped is 0.95 x LightGBM, 0.95 x the DNN without embeddings, 0.475 x the raw-column DNN."""
    aims = report.aims_of(city, by_hand[1], n_bytes, None)
    assert [aim.value for aim in aims[:3]] == pytest.approx([0.95, 0.95, 0.475])
    assert [aim.bound for aim in aims] == [{"chicago": 0.98}.get(city, 1.0), 1.0, 0.5, 30_000, None]
    assert [aim.ok for aim in aims] == [True, True, True, ok, None]
    assert aims[3].describe() == f"bytes of the largest file: {n_bytes:,}, at most 30,000: {'yes' if ok else 'no'}"
    assert aims[4].describe() == "CPU seconds of Trainer, median: unknown"


def test_squared_errors_of_a_split(accuracy, report, tmp_path):
    """Seeds must have judged the same rows."""
    files = [tmp_path / f"errors-1000-{seed}.npz" for seed in (1, 2)]
    for offset, file in zip((1.0, 2.0), files, strict=True):
        np.savez(file, fares=np.array([5.0, 7.0]), **{name: np.array([5.0, 7.0]) + offset for name in report.MODELS})
    assert accuracy.squared_errors(files)["shipped"].tolist() == [[1, 1], [4, 4]]
    np.savez(files[1], fares=np.array([7.0, 5.0]), **{name: np.zeros(2) for name in report.MODELS})
    with pytest.raises(InputError, match="errors-1000-2.npz: must hold the test rows of errors-1000-1.npz"):
        accuracy.squared_errors(files)


def test_rows_that_are_not_the_summarys_are_a_bug(accuracy):
    fares, predicted = np.zeros(4), {"shipped": np.full(4, 2.0)}
    accuracy.check_agreement({"shipped": 2.001}, predicted, fares)
    with pytest.raises(RuntimeError, match="^shipped: RMSE of the test rows must be the summary's 2.1, got 2.0"):
        accuracy.check_agreement({"shipped": 2.1}, predicted, fares)


def test_eval_errors_are_read_from_trainer_and_quantizer(accuracy, tmp_path):
    training = {"teacher": {}, **{name: {"eval_rmse": 4.0} for name in ("network", "raw_dnn", "lightgbm")}}
    choice = {"mode": "float16", "eval_error": {"unreduced": 3.0, "shipped": 3.5}}
    for name, content in (("training", training), ("choice", choice)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    here = SimpleNamespace(uri=str(tmp_path))
    errors = accuracy.eval_errors({"Trainer": {"model_run": here}, "Quantizer": {"trials": here}})
    assert errors == {"network": 4.0, "raw_dnn": 4.0, "lightgbm": 4.0, "shipped": 3.5}


def test_a_result_of_other_settings_is_not_taken_for_this_one(accuracy, tmp_path, monkeypatch):
    def options(*more: str):
        monkeypatch.setattr(sys, "argv", ["accuracy.py", "--out", str(tmp_path), *more])
        return accuracy.parse()

    asked = options()
    assert not accuracy.is_finished(asked, 1000, 1)
    summary, errors = accuracy.paths_of(tmp_path, 1000, 1)
    errors.parent.mkdir()
    errors.touch()
    digest = accuracy.digest_of(accuracy.settings_of(asked, 1000, 1))
    summary.write_text(json.dumps({"digest": digest}))
    assert accuracy.is_finished(asked, 1000, 1)
    assert not accuracy.is_finished(options("--set", "training.epochs=3"), 1000, 1)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--seeds", "0"], "--seeds=0 must be at least 1"),
        (["--splits", "few"], "argument --splits: invalid int value: 'few'"),
        (["--first-split", "-1"], "--first-split=-1 must be at least 0"),
        (["--city", "atlantis"], "city=atlantis must be one of chicago, "),
        (["--city", "nyc"], "data must be a file or folder of trips: city=nyc has none of its own"),
        (
            ["--set", "training.seed=3"],
            "--set training.seed=3: this script sets the seeds: use --seeds, --splits and --first-split",
        ),
        (["--set", "model.depth=3"], "model.depth is not a setting"),
    ],
)
def test_bad_input_is_one_line(accuracy, arguments, line, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["accuracy.py", *arguments])
    with pytest.raises(SystemExit) as end:
        accuracy.main()
    shown = capsys.readouterr()
    (only,) = shown.err.splitlines()
    assert (end.value.code, shown.out) == (2, "")
    assert only.startswith("accuracy: ") and line in only


def test_a_run_that_fails_ends_the_benchmark_as_it_ended(tmp_path):
    """No file of trips: the benchmark looks before it starts a run; a folder of none is found there too."""
    (tmp_path / "trips.csv").write_text("fare\n1\n")
    command = [sys.executable, str(SCRIPT), "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(SCRIPT.parents[1])}
    )
    (line,) = ended.stderr.splitlines()
    assert (ended.returncode, ended.stdout) == (2, "")
    assert line.startswith(f"accuracy: {tmp_path}/trips.csv: column ")


def test_forms_are_means_over_seeds_and_ratios_to_the_original(compression):
    """RMSE 4 and 6 of the original, 5 and 5 of a form of half and of a quarter of its bytes: by hand."""

    def form(rmse, n_bytes):
        return {"rmse": rmse, "bytes": n_bytes, "gzip_bytes": n_bytes / 2, "us_one": 5.0, "us_batch": 300.0}

    results = [
        {compression.ORIGINAL: form(4.0, 1000), "pruned": form(5.0, 500)},
        {compression.ORIGINAL: form(6.0, 1000), "pruned": form(5.0, 250)},
    ]
    original, pruned = compression.lines(results)
    assert (original.rmse, original.spread) == (5.0, pytest.approx(2**0.5))
    assert (pruned.rmse, pruned.spread, pruned.bytes, pruned.gzip_bytes) == (5.0, 0.0, 375.0, 187.5)
    last = compression.table([original, pruned]).splitlines()[-1]
    assert last == "| pruned | 5.000 | 0.000 | 1.0000 | 375 | 2.7 | 188 | 2.7 | 5.0 | 300 |"


@pytest.fixture(scope="module")
def startup(load_script):
    """The script that measures processes."""
    return load_script("startup")


@pytest.fixture(scope="module")
def processes(load_script):
    """What the scripts that measure processes share."""
    return load_script("processes")


def test_a_process_is_measured_with_its_children(processes, tmp_path):
    """A loop of at least 0.2 CPU seconds in a child, 64 MB touched in it; what fails is no measurement."""
    loop = "import time; held = b'1' * (64 << 20)\nwhile time.process_time() < 0.2: pass"
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
    cost = processes.measured(processes.python("-c", code, loop), tmp_path / "log.txt")
    assert cost["cpu_s"] >= 0.2 and cost["peak_mb"] >= 64 and cost["wall_s"] > 0
    with pytest.raises(RuntimeError, match="ended with 1:\nno such trip"):
        processes.measured(processes.python("-c", "raise SystemExit('no such trip')"), tmp_path / "log.txt")


def test_bars_are_a_picture_and_the_machine_is_told(processes, tmp_path):
    processes.bars({"one": 1.0, "another": 2.0}, "CPU seconds", tmp_path / "bars.png")
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")
    assert {"processor", "cores", "python", "tfx"} <= processes.machine().keys()


def test_a_whole_run_is_held_against_as_many_steps(load_script):
    """Of 14,495 Chicago trips eight tenths train, with as many pseudo-trips: 91 batches of 256, 40 times."""
    from farebox.pipeline.settings.load import load_settings

    run = load_script("run")
    order = run.stock_order(load_settings("chicago", None), 14_495)
    assert (order["steps"], order["batch_size"]) == (40 * 91, 256)
    assert order["features"]["features"] == "full"


def test_startup_says_and_draws_what_it_measured(startup, tmp_path):
    """The light commands, measured; a missed bound, by hand."""
    asked = {"farebox --help": startup.farebox("--help", bound=0.0), startup.TENSORFLOW: startup.Case("pass")}
    results = {name: startup.measure(case, 1) for name, case in asked.items()}
    _, _, line, peer = startup.table(results, asked).splitlines()
    assert " | 0 (missed) | " in line and line.endswith("(import tensorflow) |") and peer.endswith("|  |")
    startup.draw(results, asked, tmp_path / "startup.png")
    assert (tmp_path / "startup.png").read_bytes().startswith(b"\x89PNG")


def test_startup_medians_leave_the_first_process_out(startup, tmp_path):
    """Each process appends a line: repeats and one."""
    case = startup.Case("import sys; open(sys.argv[1], 'a').write('run\\n')", (str(tmp_path / "runs"),))
    assert startup.measure(case, 3).keys() == {"cpu_s", "wall_s", "peak_mb"}
    assert (tmp_path / "runs").read_text() == "run\n" * 4


def test_growth_is_that_of_the_last_step(load_script, tmp_path):
    """Two runs by hand: Trainer costs 4 times as much of ten times the rows, 1.5 times the memory."""
    growth = load_script("growth")
    runs = [
        summary_of(
            read=10**n,
            cpu_s={"Trainer": seconds, "Pusher": 0.1 * n},
            peak_mb={"Trainer": mb, "Pusher": 9},
        )
        for n, seconds, mb in ((5, 10.0, 1000.0), (6, 40.0, 1500.0))
    ]
    assert growth.table(runs).splitlines()[0] == "| CPU s | 100,000 rows | 1,000,000 rows | growth |"
    cpu_s, peak_mb = (part.splitlines()[2:] for part in growth.table(runs).split("\n\n"))
    assert cpu_s == [
        "| Trainer | 10.0 | 40.0 | 4.00 |",
        "| nodes of every row | 0.5 | 0.6 | 1.20 |",
        "| all | 10.5 | 40.6 | 3.87 |",
    ]
    assert peak_mb == ["| Trainer | 1000 | 1500 | 1.50 |", "| all | 1000 | 1500 | 1.50 |"]
    assert growth.off_a_line([1, 2, 11], [10.0, 12.0, 30.0]) == 0
    assert growth.off_a_line([1, 2, 11], [10.0, 18.0, 30.0]) == pytest.approx(0.5)
    growth.draw(runs, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_growth_reads_summaries_and_refuses_a_run_without_a_model(load_script, tmp_path, monkeypatch, capsys):
    growth = load_script("growth")
    costs = {"cpu_s": {"Trainer": 2.0, "Pusher": 1.0}, "peak_mb": {"Trainer": 900.0, "Pusher": 9.0}}
    for read in (100, 10):
        (tmp_path / f"{read}.json").write_text(json.dumps(summary_of(read=read, **costs).to_json()))
    command = ["growth.py", "--json", str(tmp_path / "growth.json"), "--summaries"]
    monkeypatch.setattr(sys, "argv", [*command, str(tmp_path / "100.json"), str(tmp_path / "10.json")])
    growth.main()
    runs = json.loads((tmp_path / "growth.json").read_text())["runs"]
    others = {"examples": 20, "rejected": 2, "left_out": 0}
    assert runs == [{"rows": {"read": read, **others}, **costs} for read in (10, 100)]
    refused = dataclasses.replace(summary_of(**costs), figures=Figures.of_refusal(()))
    (tmp_path / "10.json").write_text(json.dumps(refused.to_json()))
    with pytest.raises(SystemExit) as end:
        growth.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == "growth: run run-1 of chicago must have a model: a gate stopped it before\n"


def test_device_ratios_are_to_the_shipped_file(load_script):
    """Two forms by hand; and calls are timed in turns, each as often."""
    device = load_script("device")
    row = {"bytes": 10_000.0, "us_one": 5.0, "us_batch": 400.0}
    table = device.table({device.SHIPPED: row, device.SAVED_MODEL: {"bytes": 0.0, "us_one": 50.0, "us_batch": 600.0}})
    assert table.splitlines()[2:] == [
        "| shipped file | 10,000 | 5.0 | 1.0 | 400.0 | 1.0 |",
        "| SavedModel |  | 50.0 | 10.0 | 600.0 | 1.5 |",
    ]
    made: list[str] = []
    times = device.timed({name: lambda name=name: made.append(name) for name in "ab"}, 3)
    assert set(times) == {"a", "b"} and made == ["a", "b", *(["a"] * 3 + ["b"] * 3) * device.ROUNDS]


@pytest.fixture(scope="module")
def retraining(load_script):
    """The script of thirty days."""
    return load_script("retraining")


@pytest.fixture(scope="module")
def days_report(load_script):
    """What it says of its days."""
    return load_script("retraining_report")


CAUSES = {1: ("new_data",), 8: ("new_data",), 10: ("new_data",), 12: ("drift",), 18: ("after_drift",)}
ARRIVED = {5: (), 6: ((5, 1), (6, 1)), 10: ((7, 2), (10, 1)), 20: ()}  # late on day 6, again on day 10, never


def twenty_days(days_report):
    """A tick a day of windows of seven, by hand: fares rise on day 12, a tick is killed on day 8."""
    from farebox.pipeline.retraining.journal import Record, Spans

    days = []
    for number in range(1, 21):
        last = number - (number in (5, 20))
        window = tuple((span, 2 if span == 7 and number >= 10 else 1) for span in range(max(1, last - 6), last + 1))
        causes = CAUSES.get(number, ())
        record = Record(
            str(number), "chicago", "retrain" if causes else "keep", causes, spans=Spans(window=window),
            drift={"fare": 0.03}, outcome="pushed" if causes else "kept", seconds=60.0,
        )  # fmt: skip
        again = dataclasses.replace(record, time=f"{number}, later", decision="keep", causes=(), outcome="kept")
        day = days_report.Day(number, [], ARRIVED.get(number, ((number, 1),)), [record, again], rmse=4.0)
        day.pending = dataclasses.replace(record, outcome="kept", seconds=0.0) if number == 8 else None
        day.stale = 10.0 if number >= 11 else None
        day.direct = 4.0 if number in (12, 18) else None
        days.append(day)
    return days


@pytest.fixture
def days(days_report, monkeypatch):
    monkeypatch.setattr(days_report, "WINDOW", 7)
    return twenty_days(days_report)


INGESTS = {(span, 1): 1 for span in range(1, 20)} | {(7, 2): 1}
NAMES = ("ExampleGen", "window", "cause", "drift is seen", "killed", "directly", "from then on")


def failing(days_report, days, ingests=INGESTS, trainings=5) -> list[str]:
    """The words of NAMES in the names of the conditions that do not hold."""
    failed = [each.name for each in days_report.conditions(days, ingests, trainings) if not each.ok]
    return [word for name in failed for word in NAMES if word in name.replace("on the window directly", "directly")]


def test_what_must_hold_of_the_days_holds_by_hand(days_report, days):
    conditions = days_report.conditions(days, INGESTS, 5)
    assert [each.ok for each in conditions] == [True] * 7, conditions
    figures = [each.figures for each in conditions]
    assert figures[0] == "20 executions, 20 span versions"
    assert (
        figures[2] == "5 retrains (new_data 3, drift 1, after_drift 1), 5 executions of Trainer, second ticks all idle"
    )
    assert figures[4:6] == ["day 8, 60 s", "1.000 (day 12), 1.000 (day 18)"]
    assert figures[6] == "4.000 against 10.000 USD, means of days 18 to 20"


@pytest.mark.parametrize("ingests", [INGESTS | {(3, 1): 2}, {**INGESTS, (3, 1): 0}, INGESTS | {(20, 1): 1}])
def test_a_span_version_that_is_not_ingested_once_fails(days_report, days, ingests):
    assert failing(days_report, days, ingests) == ["ExampleGen"]


def changed(day, which: int = 0, **spans_or_fields) -> None:
    """Changes a record of a day; `window` and `missing` are its spans'."""
    of_spans = {name: spans_or_fields.pop(name) for name in ("window", "missing", "new") if name in spans_or_fields}
    record = day.records[which]
    spans = dataclasses.replace(record.spans, **of_spans)
    day.records[which] = dataclasses.replace(record, spans=spans, **spans_or_fields)


@pytest.mark.parametrize(
    ("number", "which", "change"),
    [
        (7, 0, {"window": tuple((span, 1) for span in (1, 2, 3, 4, 6, 7))}),  # without the late one
        (11, 1, {"window": tuple((span, 1) for span in range(5, 12))}),  # version 1 of the one that came again
        (20, 0, {"missing": (20,)}),  # a hole behind the newest is none yet
    ],
)
def test_a_wrong_window_fails(days_report, days, number, which, change):
    changed(days[number - 1], which, **change)
    assert failing(days_report, days) == ["window"]


@pytest.mark.parametrize(
    ("number", "which", "change"),
    [
        (9, 0, {"decision": "retrain", "causes": ("new_data",), "outcome": "pushed"}),  # for nothing
        (10, 0, {"decision": "keep", "causes": (), "outcome": "kept"}),  # not for the span that came again
        (19, 0, {"decision": "retrain", "causes": ("after_drift",), "outcome": "pushed"}),  # once more
        (10, 0, {"outcome": "refused"}),
        (8, 1, {"decision": "retrain"}),
        (9, 1, {"new": ((9, 1),)}),
    ],
)
def test_a_retrain_without_a_cause_or_none_for_one_fails(days_report, days, number, which, change):
    changed(days[number - 1], which, **change)
    retrains = sum(day.record.decision == "retrain" for day in days)
    assert "cause" in failing(days_report, days, trainings=retrains)


@pytest.mark.parametrize("trainings", [4, 6])
def test_more_or_fewer_trainings_than_retrains_fail(days_report, days, trainings):
    assert failing(days_report, days, trainings=trainings) == ["cause"]


def test_a_day_without_a_second_tick_fails(days_report, days):
    del days[2].records[1]
    assert failing(days_report, days) == ["cause"]


def test_drift_that_is_not_there_or_not_seen_fails(days_report, days):
    """On day 8 no fares have risen; on day 19 the model behind it knows none from before the rise."""
    for number in (8, 19):
        false = twenty_days(days_report)
        changed(false[number - 1], decision="retrain", causes=("new_data", "drift"), outcome="pushed")
        assert "drift is seen" in failing(days_report, false)
    changed(days[11], causes=("new_data",))
    assert "drift is seen" in failing(days_report, days)


def test_a_killed_ticks_job_that_is_not_finished_fails(days_report, days):
    days[7].pending = None
    assert failing(days_report, days) == ["killed"]
    for other in ({"time": "another"}, {"causes": ("drift",)}):
        days[7].pending = dataclasses.replace(days[7].record, **other)
        assert failing(days_report, days) == ["killed"]


def test_a_model_that_has_not_recovered_fails(days_report, days):
    days[11].direct = 3.8  # 4.0 is 1.053 x as much
    assert failing(days_report, days) == ["directly"]
    days[11].direct = 3.81
    assert failing(days_report, days) == []
    for day in days[17:]:
        day.rmse, day.direct = 5.1, 5.1 if day.direct else None
    assert failing(days_report, days) == ["from then on"]
    changed(days[17], decision="keep", causes=(), outcome="kept")
    assert days_report.recovered(days).figures == "never"


def test_the_days_are_a_table_and_a_picture(days_report, days, tmp_path, monkeypatch):
    from matplotlib import pyplot as plt

    days[19].labels, days[9].labels = ["span 20 missing"], ["span 7 again", "another"]
    changed(days[19], missing=(16, 18))
    lines = days_report.table(days).splitlines()
    assert lines[11] == (
        "| 10 | span 7 again, another | retrain: new_data | 4–10, 7 in version 2 | 0.030 | 4.000 | – | – |"
    )
    assert lines[21] == "| 20 | span 20 missing | keep | 13–19 without 16, 18 | 0.030 | 4.000 | 10.000 | – |"
    monkeypatch.setattr(plt, "close", lambda _: None)
    days_report.draw(days, tmp_path / "days.png")
    axes = plt.gcf().axes[0]
    monkeypatch.undo()
    plt.close("all")
    assert [text.get_text() for text in axes.texts] == ["span 7 again, another", "span 20 missing"]
    assert [len(shown.get_xdata()) for shown in axes.lines[2:7]] == [3, 1, 0, 1, 2]  # by cause, and directly
    assert (tmp_path / "days.png").read_bytes().startswith(b"\x89PNG")


def test_spans_come_as_the_calendar_says(retraining, tmp_path):
    """Late ones later, the missing one never, the one that comes again in version 2 with other trips."""
    from farebox.pipeline.settings.load import load_settings

    (tmp_path / "truth").mkdir()
    for day in range(1, 31):
        (tmp_path / "truth" / f"{day}.csv").write_text(f"trips of {day}\n")
    profile = load_settings("chicago", None).city
    deliveries = {day: retraining.deliver(tmp_path, profile, day, 20) for day in range(1, 31)}
    assert {day: each for day, each in deliveries.items() if each != ([], ((day, 1),))} == {
        6: (["span 6 late"], ()),
        9: (["tick killed"], ((9, 1),)),
        10: (["span 6 comes"], ((10, 1), (6, 1))),
        12: (["fares +30%"], ((12, 1),)),
        19: (["span 19 late"], ()),
        21: (["span 21 missing"], ()),
        24: (["span 19 comes"], ((24, 1), (19, 1))),
        26: (["span 20 again"], ((26, 1), (20, 2))),
    }
    lying = {path.parent.relative_to(tmp_path / "data").as_posix() for path in tmp_path.glob("data/*/*/_SUCCESS")}
    assert lying == {f"span-{span}/v-{version}" for _, comes in deliveries.values() for span, version in comes}
    assert (tmp_path / "data/span-6/v-1/trips.csv").read_text() == "trips of 6\n"
    assert len((tmp_path / "data/span-20/v-2/trips.csv").read_text().splitlines()) == 21


@pytest.fixture(scope="module")
def months(load_script):
    """The script of months in whole ticks."""
    return load_script("retraining_months")


def month_of_ticks(months, scenario: str, rmse: float, causes=((16, ("new_data",)),)) -> list:
    """The ticks of a month; the first one trains the first model."""
    causes = {9: ("new_data",), **dict(causes)}
    return [
        months.Tick(
            4, scenario, day, rmse * (day >= 12) + 1, causes.get(day, ()), 3 if day in causes else 0, "kept", 9.0
        )
        for day in range(9, 18)
    ]


def test_months_are_read_from_the_ticks_that_are_done(months, load_script, tmp_path):
    """RMSE of 1 before the change; 2 after it without one, 3 with a step: the ratio is 1.5."""
    scenarios = load_script("retraining_scenarios")
    months.append(tmp_path, month_of_ticks(months, "none", 1.0))
    months.append(tmp_path, month_of_ticks(months, "+30 %", 2.0, ((12, ("drift", "live_error")),)))
    ticks = months.read_ticks(tmp_path)
    plain, step = (months.month_of(ticks, 4, scenario) for scenario in ("none", "+30 %"))
    assert months.month_of(ticks, 4, "-15 %") is None and months.month_of(ticks, 3, "none") is None
    assert (step.causes, step.moved, scenarios.ratio(step, [plain, step])) == ({12: "drift+live_error"}, {12: 3}, 1.5)
    assert [each.ok for each in scenarios.conditions([plain, step])] == [True] * 3


@pytest.mark.parametrize(
    ("scenario", "rmse", "causes", "failed"),
    [
        ("+30 %", 2.3, (), "mean RMSE of days 12 to 17 at most 1.6 x that without a change"),  # 3.3 / 2
        ("none", 1.0, ((13, ("drift",)),), "no retrain without a cause in months without a change"),
        ("+30 %", 1.0, tuple((day, ("live_error",)) for day in range(12, 17)), "at most 4 retrains after a step"),
    ],
)
def test_a_month_that_breaks_a_condition_fails(months, load_script, scenario, rmse, causes, failed):
    scenarios = load_script("retraining_scenarios")
    by_name = {name: month_of_ticks(months, name, 1.0) for name in ("none", "+30 %")}
    by_name[scenario] = month_of_ticks(months, scenario, rmse, causes)
    played = [months.month_of(ticks, 4, name) for name, ticks in by_name.items()]
    assert [each.name for each in scenarios.conditions(played) if not each.ok] == [failed]


def test_longer_trips_are_longer_and_cost_what_they_did(months, tmp_path):
    """As many of them, drawn by length: the mean length of n trips becomes E[l²]/E[l], here for six times as many."""
    from farebox.pipeline.settings.load import load_settings

    profile = load_settings("chicago", None).city

    def lengths(scenario: str, day: int) -> np.ndarray:
        path = tmp_path / f"{scenario}-{day}.csv"
        months.write_trips(path, profile, scenario, day, seed=1)
        rows = [line.split(",") for line in path.read_text().splitlines()]
        places = [rows[0].index(getattr(profile.columns, name)) for name in months.COORDINATES]
        cells = np.array([[float(row[place] or "nan") for place in places] for row in rows[1:]])
        assert len(cells) == months.ROWS
        return np.hypot(*(cells[:, 2:] - cells[:, :2]).T)

    before, after = lengths("longer trips", 11), lengths("longer trips", 12)
    usual = lengths("none", 12)
    assert (before == lengths("none", 11))[np.isfinite(before)].all() and np.isfinite(after).all()
    inside = usual[usual < 1]  # degrees: others are out of the city
    assert after.mean() == pytest.approx((inside**2).mean() / inside.mean(), rel=0.1)


def test_executions_from_the_cache_are_none(retraining, tmp_path):
    """Span 3 executed and taken from the cache, span 4 twice executed, once without an end."""
    from ml_metadata.metadata_store import MetadataStore
    from ml_metadata.proto import metadata_store_pb2 as proto

    from farebox.pipeline.metadata.connection import connection_config

    settings = retraining.settings_of(tmp_path)
    store = MetadataStore(connection_config(settings))
    kind = store.put_execution_type(
        proto.ExecutionType(name="farebox.components.trip_example_gen.component.TripExampleGen")
    )
    store.put_execution_type(proto.ExecutionType(name="tfx.components.trainer.component.Trainer"))
    examples = store.put_artifact_type(proto.ArtifactType(name="Examples"))

    def execute(state: str, span: int | None) -> None:
        (execution,) = store.put_executions([proto.Execution(type_id=kind, last_known_state=state)])
        if span:
            artifact = proto.Artifact(type_id=examples)
            artifact.custom_properties["span"].int_value, artifact.custom_properties["version"].int_value = span, 1
            (written,) = store.put_artifacts([artifact])
            store.put_events([proto.Event(artifact_id=written, execution_id=execution, type=proto.Event.OUTPUT)])

    for state, span in (("COMPLETE", 3), ("CACHED", 3), ("COMPLETE", 4), ("COMPLETE", 4), ("RUNNING", None)):
        execute(state, span)
    assert retraining.ingests(settings) == {(3, 1): 1, (4, 1): 2, (0, 0): 1}
    assert retraining.executions(settings, "Trainer") == []


def test_a_condition_that_does_not_hold_ends_with_1_and_is_said(load_script, capsys):
    whole_runs = load_script("whole_runs")
    holds, fails = (whole_runs.Condition(f"condition {ok}", "something", ok) for ok in (True, False))
    whole_runs.insist("days", [holds])
    with pytest.raises(SystemExit) as end:
        whole_runs.insist("days", [holds, fails])
    assert (end.value.code, capsys.readouterr().err) == (1, "days: does not hold: condition False: something: no\n")


@pytest.mark.parametrize(
    ("script", "arguments", "line"),
    [
        ("retraining", ["--out", "new", "--rows", "1099"], "--rows=1099 must be at least 1100"),
        ("retraining", ["--out", "."], "--out=. must be a new folder"),
        ("retraining", [], "the following arguments are required: --out"),
        ("retraining_months", [], "the following arguments are required: --out"),
        ("retraining_months", ["--out", "new", "--seed", "-1"], "--seed=-1 must be at least 0"),
        ("retraining_years", ["--data", "none.csv", "--out", "new"], "--data=none.csv must be a file"),
        ("retraining_years", ["--data", __file__, "--out", "."], "--out=. must be a new folder"),
    ],
)
def test_bad_input_of_the_days_and_years_is_one_line(
    load_script, script, arguments, line, *, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{script}.py", *arguments])
    with pytest.raises(SystemExit) as end:
        load_script(script).main()
    assert (end.value.code, capsys.readouterr().err) == (2, f"{script}: {line}\n")


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, [True, True]),
        ({2012: {"causes": ("drift",)}}, [True, False]),  # 2012's model is not better
        ({2013: {"causes": ()}}, [False, False]),
        ({2013: {"causes": ()}, 2014: {"causes": ("drift",)}}, [False, True]),  # too late
        ({2013: {"outcome": "refused"}}, [True, False]),
        ({2013: {"rmse": 5.0}}, [True, False]),
    ],
)
def test_the_rise_of_2012_must_be_seen_and_followed(load_script, changes, holds):
    from farebox.pipeline.retraining.journal import Record, Spans

    script = load_script("retraining_years")
    years = []
    for year, causes, rmse in ((2011, ("new_data",), 5.0), (2012, (), 5.0), (2013, ("drift",), 4.5), (2014, (), 4.5)):
        change = changes.get(year, {})
        record = Record(
            str(year), "nyc", "retrain" if causes else "keep", change.get("causes", causes),
            spans=Spans(window=tuple((span, 1) for span in range(year - 2, year + 1))), drift={"fare": 0.03},
            outcome=change.get("outcome", "pushed" if causes else "kept"),
        )  # fmt: skip
        years.append(script.Year(year, record, change.get("rmse", rmse), 5.0))
    assert [each.ok for each in script.conditions(years)] == holds
    if not changes:
        assert script.table(years).splitlines()[4] == (
            "| 2013 | retrain: drift, pushed | 0.0300 | 2011–2013 | 4.500 | 5.000 |"
        )


def test_the_smallest_file_of_an_equal_error_is_bold(load_script):
    """Float32 has 100 B; 20 B err by 2 % more, so that 30 B and 25 B of gzip are the smallest of an equal error."""
    compressors = load_script("compressors")
    files = (("float32", 100, 90, 1.0), ("a", 20, 15, 1.02), ("b", 30, 28, 1.01), ("c", 40, 25, 0.99))
    lines = [compressors.Line(tool, raw, packed, error, 5.0) for tool, raw, packed, error in files]
    assert compressors.table("n", lines, {"d": "ValueError: no"}).splitlines()[2:] == [
        "| float32 | 100 | 90 | 1.0000 | 5.0 |",
        "| a | 20 | 15 | 1.0200 | 5.0 |",
        "| b | **30** | 28 | 1.0100 | 5.0 |",
        "| c | 40 | **25** | 0.9900 | 5.0 |",
        "| d | | | ValueError: no | |",
    ]


def test_compressors_measure_on_rows_that_no_tool_saw(load_script, tmp_path):
    compressors = load_script("compressors")
    np.savez(tmp_path / "rows.npz", label=np.arange(11), loss=np.array("mse"), x=np.arange(11)[:, None])
    parts = {part: compressors.rows_of(tmp_path, part)[1].tolist() for part in ("train", "evaluation", "test")}
    assert parts == {"train": [0, 1, 2, 3, 4, 5, 6], "evaluation": [7, 8], "test": [9, 10]}


def test_an_unknown_network_is_one_line(load_script, monkeypatch):
    compressors = load_script("compressors")
    monkeypatch.setattr(sys, "argv", ["compressors.py", "--networks", "mlp,nn"])
    with pytest.raises(InputError, match=r"^--networks=nn must be one of mlp, digits, store, "):
        compressors.parse()
