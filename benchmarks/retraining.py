"""Thirty simulated days through `farebox retrain`: drift, late, missing and re-delivered spans, and a crash.

    python benchmarks/retraining.py --out FOLDER [--days 30] [--rows 1200] [--picture FILE] [--table FILE]

A tick a day. Fares rise by 30 % on day 12 and nobody says so. After every tick the shipped model is asked for the next
day's fares. Where a run followed the drift, another model is trained on its window directly, by `farebox run`.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime
import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from whole_runs import one_line_errors

from components.errors import GateError
from components.trip_example_gen import simulator
from components.trip_example_gen.profile import Bounds, CityProfile
from pipeline import offline, runs
from pipeline.retraining import tick
from pipeline.retraining.journal import Journal, Record
from pipeline.settings import Settings, load_settings

CITY, FIRST_DAY = "chicago", datetime.date(2024, 3, 4)  # a Monday
DRIFT_DAY, RISE = 12, 1.3
LATE, MISSING, REDELIVERED, CRASH_DAY = {6: 9, 19: 24}, (21,), {20: 26}, 9  # span: the day on which it comes
PATTERN, MARKER = "span-{SPAN}/v-{VERSION}", "_SUCCESS"
SPANS = (
    f"spans.pattern={PATTERN}", f"spans.marker={MARKER}", "spans.window=7", "spans.min_new_spans=7",
    "spans.warm_start=true",
)  # fmt: skip
SMALL = (
    "training.epochs=20", "training.teacher_weight=0", "training.pseudo_trips=0",
    "reducer.n_components=16", "pruner.final_sparsity=0", "quantizer.mode=float16",
    "gates.max_rmse=8", "gates.max_ratio_to_yardstick=1.5",  # of a few hundred test trips, with few epochs
)  # fmt: skip


@dataclasses.dataclass
class Day:
    """What happened on a day; rmse: of the shipped model on the next day's trips, stale: of the one before the drift,
    direct: of one trained on the window by `farebox run`."""

    number: int
    events: list[str]
    record: Record
    rmse: float
    stale: float | None = None
    direct: float | None = None


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rows", type=int, default=1200, help="trips a day")
    parser.add_argument("--picture", type=Path, help="a PNG of the errors by day")
    parser.add_argument("--table", type=Path, help="the table, in Markdown")
    options = parser.parse_args()
    with one_line_errors("retraining"):
        days = simulate(options.out, options.days, options.rows)
        add_direct(options.out, days)
    text = f"{table(days)}\n\n{verdict(options.out, days)}"
    print(text)
    if options.table:
        options.table.write_text(text + "\n")
    if options.picture:
        draw(days, options.picture)


def simulate(out: Path, days: int, rows: int) -> list[Day]:
    """A tick a day, and what the shipped model is worth after it."""
    settings = load_settings(CITY, str(out / "data"), str(out / "work"), [*SPANS, *SMALL])
    for number in range(1, days + 2):
        write_trips(out / "truth" / f"{number}.csv", settings.city, number, rows, seed=number)
    found: list[Day] = []
    before_drift: Path | None = None
    for number in range(1, days + 1):
        events = deliver(out, settings.city, number, rows)
        if number == CRASH_DAY:
            events.append(f"killed after {kill_a_tick(out)}")
        record = tick.retrain(settings, quiet=True)[-1]
        latest = settings.models_dir / (settings.models_dir / "LATEST").read_text().strip() / "fare.tflite"
        if number == DRIFT_DAY - 1:
            before_drift = latest
        tomorrow = dataclasses.replace(settings, data=str(out / "truth" / f"{number + 1}.csv"))
        day = Day(number, events, record, rmse(latest, tomorrow))
        if before_drift:
            day.stale = rmse(before_drift, tomorrow)
        found.append(day)
        print(line(day), file=sys.stderr, flush=True)
    return found


def deliver(out: Path, profile: CityProfile, day: int, rows: int) -> list[str]:
    """Writes the spans that come on a day; what is special about them."""
    events = ["fares rise by 30 %"] if day == DRIFT_DAY else []
    if day in MISSING:
        events.append(f"span {day} never comes")
    elif day in LATE:
        events.append(f"span {day} is late")
    else:
        place(out, day, 1, out / "truth" / f"{day}.csv")
    for span in (span for span, comes in LATE.items() if comes == day):
        events.append(f"span {span} comes late")
        place(out, span, 1, out / "truth" / f"{span}.csv")
    for span in (span for span, comes in REDELIVERED.items() if comes == day):
        events.append(f"span {span} comes again, version 2")
        again = out / "truth" / f"{span}-2.csv"
        write_trips(again, profile, span, rows, seed=1000 + span)
        place(out, span, 2, again)
    return events


def place(out: Path, span: int, version: int, trips: Path) -> None:
    """A delivery, complete when its marker is there."""
    folder = out / "data" / f"span-{span}" / f"v-{version}"
    folder.mkdir(parents=True)
    shutil.copy(trips, folder / "trips.csv")
    (folder / MARKER).touch()


def write_trips(path: Path, profile: CityProfile, day: int, rows: int, seed: int) -> None:
    """A day's trips. The simulator's fares go with the highest plausible one."""
    if day >= DRIFT_DAY:
        profile = dataclasses.replace(profile, fare=Bounds(profile.fare.min, profile.fare.max * RISE))
    since = FIRST_DAY + datetime.timedelta(days=day - 1)
    simulator.simulate(profile, simulator.Order(rows, seed, since=str(since), days=1), str(path))


def kill_a_tick(out: Path) -> str:
    """Starts the day's tick as a command and kills it when Trainer has ended; the node that it had finished last."""
    overrides = [part for setting in (*SPANS, *SMALL) for part in ("--set", setting)]
    places = ("--data", str(out / "data"), "--out", str(out / "work"))
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "retrain", "--city", CITY, *places]
    last = "nothing"
    with subprocess.Popen([*command, *overrides], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        assert run.stdout is not None
        for printed in run.stdout:
            if "✓" in printed:
                last = printed.split()[1]
            if last == "Trainer":
                run.kill()
    return last


def rmse(model: Path, settings: Settings) -> float:
    """Of a model on the settings' trips."""
    return float(offline.evaluate(str(model), settings)["rmse"])


def add_direct(out: Path, days: Sequence[Day]) -> None:
    """For the first run after the drift, the one after it, and the last: a model trained on the window directly."""
    trained = [day for day in days if day.number >= DRIFT_DAY and day.record.outcome == "pushed"]
    for day in {id(day): day for day in (*trained[:2], *trained[-1:])}.values():
        folder = out / "direct" / str(day.number)
        (folder / "data").mkdir(parents=True)
        for span, version in day.record.spans.window:
            source = out / "data" / f"span-{span}" / f"v-{version}" / "trips.csv"
            shutil.copy(source, folder / "data" / f"{span}.csv")
        settings = load_settings(CITY, str(folder / "data"), str(folder), SMALL)
        try:
            pushed = runs.run(settings, quiet=True)["pushed"]
        except GateError:
            continue
        tomorrow = dataclasses.replace(settings, data=str(out / "truth" / f"{day.number + 1}.csv"))
        day.direct = rmse(Path(pushed) / "fare.tflite", tomorrow) if pushed else None


def table(days: Sequence[Day]) -> str:
    """A line per day, in Markdown."""
    head = (
        "| day | what comes | decision | window | drift of fare | RMSE next day | before the drift's model | direct |"
    )
    return "\n".join([head, "|---" * 8 + "|", *map(line, days)])


def line(day: Day) -> str:
    """A day in the table."""
    record, window = day.record, [span for span, _ in day.record.spans.window]
    decided = f"{record.decision}: {', '.join(record.causes)}" if record.causes else record.decision
    drift = f"{record.drift['fare']:.3f}" if record.drift else "–"
    errors = " | ".join("–" if error is None else f"{error:.3f}" for error in (day.rmse, day.stale, day.direct))
    spans = f"{window[0]}–{window[-1]}" if window else "none"
    if holes := record.spans.missing:
        spans += f" without {', '.join(map(str, holes))}"
    ended = "" if record.outcome == "pushed" or record.decision == "keep" else f", {record.outcome}"
    return f"| {day.number} | {'; '.join(day.events)} | {decided}{ended} | {spans} | {drift} | {errors} |"


def verdict(out: Path, days: Sequence[Day]) -> str:
    """What must hold, and whether it does."""
    counts = ingests(out)
    ratios = [day.rmse / day.direct for day in days if day.direct]
    causes = collections.Counter(cause for day in days for cause in day.record.causes)
    records = len(Journal(out / "work" / "runs" / CITY).records())
    return "\n".join(
        [
            f"- ExampleGen ran {sum(counts.values())} times for {len(counts)} span versions, "
            f"at most {max(counts.values())} time each.",
            f"- {records} records of {len(days)} days; {sum(day.record.decision == 'retrain' for day in days)} "
            f"retrains, by cause: {dict(causes)}.",
            f"- After the drift, retrained over trained directly: {', '.join(f'{ratio:.3f}' for ratio in ratios)}, "
            "at most 1.05.",
            f"- Seconds of ticks: {sum(day.record.seconds for day in days):.0f}.",
        ]
    )


def ingests(out: Path) -> collections.Counter[tuple[int, int]]:
    """How often TripExampleGen's executor wrote each span version: what comes from the cache has no new artifact."""
    from ml_metadata.metadata_store import MetadataStore

    from pipeline.database import connection_config

    settings = load_settings(CITY, str(out / "data"), str(out / "work"), SPANS)
    found: Any = MetadataStore(connection_config(settings)).get_artifacts_by_type("Examples")
    return collections.Counter(
        (artifact.custom_properties["span"].int_value, artifact.custom_properties["version"].int_value)
        for artifact in found
        if artifact.custom_properties["ingest"].string_value
    )


def draw(days: Sequence[Day], path: Path) -> None:
    """RMSE by day: the shipped model, and the one that was shipped before the drift."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
    numbers = [day.number for day in days]
    axes.plot(
        numbers, [day.stale if day.stale else math.nan for day in days], "--", color="0.6", label="day 11's model"
    )
    axes.plot(numbers, [day.rmse for day in days], color="tab:blue", label="the shipped model")
    for cause, colour in (("new_data", "tab:blue"), ("drift", "tab:red")):
        chosen = [day for day in days if day.record.causes[:1] == (cause,)]
        axes.plot(
            [day.number for day in chosen], [day.rmse for day in chosen], "o", color=colour, label=f"retrained: {cause}"
        )
    direct = [day for day in days if day.direct]
    axes.plot(
        [day.number for day in direct],
        [day.direct or math.nan for day in direct],
        "x",
        color="black",
        label="trained directly",
    )
    top = max(max(day.rmse, day.stale or 0) for day in days)
    for day in days:
        if day.events:
            axes.axvline(day.number, color="0.9", zorder=0)
            axes.text(day.number, top, "\n".join(day.events), rotation=90, va="top", ha="right", fontsize=6)
    axes.set(xlabel="day", ylabel="RMSE on the next day's trips, USD", ylim=(0, top * 1.02))
    axes.legend(loc="lower right", fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
