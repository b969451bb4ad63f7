"""Thirty simulated days through `farebox retrain`: drift, late, missing and re-delivered spans, and a crash.

    python benchmarks/retraining.py --out FOLDER [--rows 1200] [--picture FILE] [--table FILE]

There are two ticks a day; the second must have nothing to do. Fares rise by 30 % on day 12, and no setting announces
it. After every day the shipped model predicts the next day's fares. After some runs that followed the drift,
`farebox run` trains another model on the same window. The exit code is 1 if a condition does not hold.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import retraining_report as report
from retraining_report import DRIFT_DAY, RISE, Day
from whole_runs import Parser, insist, one_line_errors

from farebox.components.errors import GateError, InputError
from farebox.components.trip_example_gen.profile import Bounds, CityProfile
from farebox.components.trip_example_gen.simulation import simulator
from farebox.pipeline.fare_model import evaluate
from farebox.pipeline.local import run as runs
from farebox.pipeline.retraining import tick
from farebox.pipeline.retraining.journal import Journal, Record, SpanVersion
from farebox.pipeline.settings.load import Settings, load_settings

CITY, FIRST_DAY, DAYS, LEAST_ROWS = "chicago", datetime.date(2024, 3, 4), 30, 1100  # a Monday; enough rows for DataGate
LATE, MISSING, REDELIVERED = {6: 10, 19: 24}, (21,), {20: 26}  # span: the day on which it is delivered
CRASH_DAY, CRASH_AFTER = 9, "Trainer"
PATTERN, MARKER = "span-{SPAN}/v-{VERSION}", "_SUCCESS"
SPANS = (
    f"spans.pattern={PATTERN}", f"spans.marker={MARKER}", f"spans.window={report.WINDOW}",
    f"spans.min_new_spans={report.NEW_SPANS}", "spans.warm_start=true",
)  # fmt: skip
SMALL = (
    "training.epochs=20", "training.teacher_weight=0", "training.pseudo_trips=0",
    "reducer.n_components=16", "pruner.final_sparsity=0", "quantizer.mode=int8_weights",
    "gates.max_rmse=12", "gates.max_ratio_to_yardstick=1.5",  # for a few hundred test trips and few epochs
)  # fmt: skip


def main() -> None:
    """Runs the command."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--rows", type=int, default=1200, help="trips a day")
    parser.add_argument("--picture", type=Path, help="a PNG of the errors by day")
    parser.add_argument("--table", type=Path, help="the table and the conditions, in Markdown")
    with one_line_errors("retraining"):
        options = parser.parse_args()
        check(options.out, options.rows)
        days = simulate(options.out, options.rows)
        add_direct(options.out, days)
    settings = settings_of(options.out)
    conditions = report.conditions(days, ingests(settings), len(executions(settings, "Trainer")))
    seconds = sum(record.seconds for day in days for record in day.records)
    lines = [*(f"- {condition.describe()}" for condition in conditions), f"- seconds of ticks: {seconds:.0f}"]
    text = "\n".join([report.table(days), "", *lines, ""])
    print(text)
    if options.table:
        options.table.write_text(text)
    if options.picture:
        report.draw(days, options.picture)
    insist("retraining", conditions)


def check(out: Path, rows: int) -> None:
    """Checks the options. Raises InputError."""
    if out.exists():
        raise InputError(f"--out={out} must be a new folder")
    if rows < LEAST_ROWS:
        raise InputError(f"--rows={rows} must be at least {LEAST_ROWS}")


def settings_of(out: Path) -> Settings:
    """Settings of the simulated city."""
    return load_settings(CITY, str(out / "data"), str(out / "work"), [*SPANS, *SMALL])


def simulate(out: Path, rows: int) -> list[Day]:
    """Runs two ticks a day, and measures the shipped model after them."""
    settings = settings_of(out)
    for number in range(1, DAYS + 2):
        write_trips(out / "truth" / f"{number}.csv", settings.city, number, rows, seed=number, factor=factor_of(number))
    days: list[Day] = []
    before_drift: Path | None = None
    for number in range(1, DAYS + 1):
        labels, delivered = deliver(out, settings.city, number, rows)
        pending = kill_a_tick(settings) if number == CRASH_DAY else None
        records = [result.record for result in (*tick.retrain(settings), *tick.retrain(settings))]
        latest = settings.models_dir / (settings.models_dir / "LATEST").read_text().strip() / "fare.tflite"
        before_drift = latest if number == DRIFT_DAY - 1 else before_drift
        day = Day(number, labels, delivered, records, error_of(latest, out, settings, number), pending)
        if before_drift:
            day.stale = error_of(before_drift, out, settings, number)
        days.append(day)
        print(report.line(day), file=sys.stderr, flush=True)
    return days


def deliver(out: Path, profile: CityProfile, day: int, rows: int) -> tuple[list[str], tuple[SpanVersion, ...]]:
    """Writes the spans that come on a day; returns labels for special ones, and the (span, version) pairs."""
    labels = [f"fares +{RISE - 1:.0%}"] if day == DRIFT_DAY else []
    labels += ["tick killed"] if day == CRASH_DAY else []
    labels += [f"span {day} missing"] if day in MISSING else [f"span {day} late"] if day in LATE else []
    delivered = [] if day in MISSING or day in LATE else [(day, 1)]
    for span in (span for span, on in LATE.items() if on == day):
        labels.append(f"span {span} comes")
        delivered.append((span, 1))
    for span in (span for span, on in REDELIVERED.items() if on == day):
        labels.append(f"span {span} again")
        write_trips(out / "truth" / f"{span}-2.csv", profile, span, rows, seed=1000 + span, factor=factor_of(span))
        delivered.append((span, 2))
    for span, version in delivered:
        place(out, span, version)
    return labels, tuple(delivered)


def place(out: Path, span: int, version: int) -> None:
    """Writes a delivery; the marker, written last, completes it."""
    folder = out / "data" / f"span-{span}" / f"v-{version}"
    folder.mkdir(parents=True)
    shutil.copy(out / "truth" / (f"{span}.csv" if version == 1 else f"{span}-{version}.csv"), folder / "trips.csv")
    (folder / MARKER).touch()


def write_trips(path: Path, profile: CityProfile, day: int, rows: int, *, seed: int, factor: float) -> None:
    """Writes the trips of a day, with fares times a factor. The simulator's scale with the highest plausible fare."""
    profile = dataclasses.replace(profile, fare=Bounds(profile.fare.min, profile.fare.max * factor))
    since = FIRST_DAY + datetime.timedelta(days=day - 1)
    simulator.simulate(profile, simulator.Order(rows, seed, since=str(since), days=1), str(path))


def factor_of(day: int) -> float:
    """The day's fares over those of the first day."""
    return RISE if day >= DRIFT_DAY else 1.0


def kill_a_tick(settings: Settings) -> Record | None:
    """Starts the day's tick as a command and kills it after a node; returns its decision, if it had decided."""
    overrides = [part for setting in (*SPANS, *SMALL) for part in ("--set", setting)]
    places = ("--data", settings.data, "--out", settings.out)
    command = [
        sys.executable,
        "-c",
        "from farebox.pipeline.cli import main; main()",
        "retrain",
        "--city",
        CITY,
        *places,
    ]
    with subprocess.Popen([*command, *overrides], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        assert run.stdout is not None
        if any(f"✓ {CRASH_AFTER}" in printed for printed in run.stdout):
            run.kill()
    return Journal(settings.runs_dir).pending()


def error_of(model: Path, out: Path, settings: Settings, day: int) -> float:
    """RMSE of a model on the next day's trips."""
    tomorrow = dataclasses.replace(settings, data=str(out / "truth" / f"{day + 1}.csv"))
    return evaluate(model, tomorrow).rmse


def add_direct(out: Path, days: Sequence[Day]) -> None:
    """Trains a model on the window directly, for three runs.

    These are the first that saw the drift, the first whose window has nothing from before it, and the last.
    """
    trained = [day for day in days if day.number >= DRIFT_DAY and day.record.outcome == "pushed"]
    after = [day for day in trained if day.record.spans.window[0][0] >= DRIFT_DAY]
    for day in {day.number: day for day in (*trained[:1], *after[:1], *trained[-1:])}.values():
        folder = out / "direct" / str(day.number)
        (folder / "data").mkdir(parents=True)
        for span, version in day.record.spans.window:
            source = out / "data" / f"span-{span}" / f"v-{version}" / "trips.csv"
            shutil.copy(source, folder / "data" / f"{span}.csv")
        settings = load_settings(CITY, str(folder / "data"), str(folder), SMALL)
        if not (pushed := runs.run(settings).pushed):
            raise GateError(f"the model trained on day {day.number}'s window directly")
        day.direct = error_of(pushed / "fare.tflite", out, settings, day.number)


def ingests(settings: Settings) -> collections.Counter[SpanVersion]:
    """Number of TripExampleGen executions per span version; (0, 0) counts executions without output."""
    return collections.Counter(
        (outputs[0].custom_properties["span"].int_value, outputs[0].custom_properties["version"].int_value)
        if outputs
        else (0, 0)
        for outputs in executions(settings, "TripExampleGen")
    )


def executions(settings: Settings, node: str) -> list[list[Any]]:
    """Output artifacts of each execution of a node in MLMD, without executions that came from the cache."""
    from ml_metadata.metadata_store import MetadataStore
    from ml_metadata.proto import metadata_store_pb2 as proto

    from farebox.pipeline.metadata.connection import connection_config

    store = MetadataStore(connection_config(settings))
    (name,) = (each.name for each in store.get_execution_types() if each.name.endswith(f".{node}"))
    outputs = []
    for execution in store.get_executions_by_type(name):
        if execution.last_known_state != proto.Execution.CACHED:
            events = store.get_events_by_execution_ids([execution.id])
            written = [event.artifact_id for event in events if event.type == proto.Event.OUTPUT]
            outputs.append(store.get_artifacts_by_id(written))
    return outputs


if __name__ == "__main__":
    main()
