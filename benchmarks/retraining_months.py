"""Months in which fares step, creep or only the mix of trips changes, through whole ticks of `farebox retrain`.

    python benchmarks/retraining_months.py --out FOLDER [--seed N]... [--scenario NAME]... [--picture FILE]

Each day is a span. The first tick is that of day 9, on days 2 to 9; the change comes on day 12. After every tick the
shipped model predicts the next day's fares. FOLDER/ticks.jsonl has every tick of a whole month: a run that was stopped
goes on after the last whole month. The days before the change are run once per seed. The exit code is 1 if a condition
does not hold. retraining_steps.py plays the same months in seconds a tick, without TFX.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import retraining
import retraining_scenarios as scenarios
from retraining_scenarios import BEGIN, CHANGE, END, LONGER_TRIPS, MORE_TRIPS, SCENARIOS, UNDRIFTED, Month
from whole_runs import Parser, one_line_errors

from farebox.components.errors import GateError
from farebox.components.trip_example_gen.columns import COORDINATES
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.simulation import simulator
from farebox.pipeline.local.meter import cpu_seconds
from farebox.pipeline.retraining import tick

ROWS = 1200  # trips a day
LIVE, BEFORE, TICKS = "month", "before-the-change", "ticks.jsonl"


@dataclasses.dataclass(frozen=True)
class Tick:
    """A tick: RMSE of the shipped model on the next day's trips, in USD.

    causes: of a retrain, empty without one. moved: number of spans whose fares its run moved. cpu_s: with measuring.
    """

    seed: int
    scenario: str
    day: int
    rmse: float
    causes: tuple[str, ...]
    moved: int
    outcome: str
    cpu_s: float


def main() -> None:
    """Runs the command."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a folder; its ticks.jsonl is gone on with")
    scenarios.add_options(parser)
    with one_line_errors("retraining_months"):
        options = parser.parse_args()
        scenarios.check_seeds(options.seed)
        asked, out = scenarios.months_of(options), options.out.absolute()
        out.mkdir(parents=True, exist_ok=True)
        for seed, scenario in asked:
            if month_of(read_ticks(out), seed, scenario) is None:
                append(out, play(out, seed, scenario))
                print(f"seed {seed}, {scenario}: done", file=sys.stderr, flush=True)
    ticks = read_ticks(out)
    months = [month for seed, scenario in asked if (month := month_of(ticks, seed, scenario))]
    print(f"{sum(each.cpu_s for each in ticks):.0f} CPU seconds for {len(ticks)} ticks", file=sys.stderr)
    scenarios.show("retraining_months", months, options)


def read_ticks(out: Path) -> list[Tick]:
    """The ticks of the months that are done."""
    path = out / TICKS
    lines = path.read_text().splitlines() if path.is_file() else []
    contents: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [Tick(**{**content, "causes": tuple(content["causes"])}) for content in contents]


def append(out: Path, ticks: Sequence[Tick]) -> None:
    """Appends the ticks of a month."""
    with (out / TICKS).open("a") as file:
        file.write("".join(json.dumps(dataclasses.asdict(each)) + "\n" for each in ticks))


def month_of(ticks: Sequence[Tick], seed: int, scenario: str) -> Month | None:
    """The month that the ticks make; None if it is not done."""
    chosen = [each for each in ticks if (each.seed, each.scenario) == (seed, scenario)]
    if not chosen:
        return None
    later = [each for each in chosen if each.causes and each.day > BEGIN]
    causes = {each.day: "+".join(each.causes) for each in later}
    moved = {each.day: each.moved for each in later}
    return Month(scenario, seed, {each.day: each.rmse for each in chosen}, causes, moved)


def play(out: Path, seed: int, scenario: str) -> list[Tick]:
    """The ticks of a month. MLMD knows absolute paths, so every month lies in the same folder."""
    live, before = out / LIVE, out / f"{BEFORE}-{seed}"
    if not before.is_dir():
        shutil.rmtree(live, ignore_errors=True)
        begun = [tick_of(live, seed, UNDRIFTED, day) for day in range(BEGIN, CHANGE)]
        (live / TICKS).write_text(json.dumps([dataclasses.asdict(each) for each in begun]))
        live.rename(before)
    shutil.rmtree(live, ignore_errors=True)
    shutil.copytree(before, live, symlinks=True)
    begun = [Tick(**{**each, "scenario": scenario}) for each in json.loads((live / TICKS).read_text())]
    begun[-1] = dataclasses.replace(begun[-1], rmse=error_of_next_day(live, seed, scenario, CHANGE - 1))
    return [*begun, *(tick_of(live, seed, scenario, day) for day in range(CHANGE, END + 1))]


def tick_of(live: Path, seed: int, scenario: str, day: int) -> Tick:
    """Delivers the day, and before the first tick the days before it; ticks, and measures the shipped model."""
    settings = retraining.settings_of(live)
    for each in range(BEGIN - settings.spans.window + 1 if day == BEGIN else day, day + 1):
        write_trips(live / "truth" / f"{each}.csv", settings.city, scenario, each, seed)
        retraining.place(live, each, version=1)
    started = cpu_seconds()
    (result,) = tick.retrain(settings)
    record, steps = result.record, result.run.steps.steps if result.run else ()
    if day == BEGIN and record.outcome != "pushed":
        raise GateError("; ".join(record.reasons))
    rmse = error_of_next_day(live, seed, scenario, day)
    moved = len({each.span for each in steps})
    done = Tick(seed, scenario, day, rmse, record.causes, moved, record.outcome, round(cpu_seconds() - started, 1))
    print(done, file=sys.stderr, flush=True)
    return done


def error_of_next_day(live: Path, seed: int, scenario: str, day: int) -> float:
    """RMSE of the shipped model on the next day's trips."""
    settings = retraining.settings_of(live)
    write_trips(live / "truth" / f"{day + 1}.csv", settings.city, scenario, day + 1, seed)
    latest = settings.models_dir / (settings.models_dir / "LATEST").read_text().strip() / "fare.tflite"
    rmse: float = retraining.error_of(latest, live, settings, day)
    return rmse


def write_trips(path: Path, profile: CityProfile, scenario: str, day: int, seed: int) -> None:
    """Writes the trips of a day; longer trips are drawn from more of them, in proportion to their length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    is_longer = scenario == LONGER_TRIPS and day >= CHANGE
    rows, number = ROWS * (MORE_TRIPS if is_longer else 1), day + 1000 * seed
    retraining.write_trips(path, profile, day, rows, seed=number, factor=SCENARIOS[scenario](day))
    if is_longer:
        draw_longer(path, profile, np.random.default_rng(number))


def draw_longer(path: Path, profile: CityProfile, random: np.random.Generator) -> None:
    """Leaves ROWS of the trips, drawn in proportion to their length; those without all coordinates go."""
    head, *lines = path.read_text().splitlines()
    names = simulator.plain_names(profile)
    cells = [[row[names[each]] or "nan" for each in COORDINATES] for row in csv.DictReader([head, *lines])]
    pickup, dropoff = np.moveaxis(np.array(cells, float).reshape(-1, 2, 2), 1, 0)
    lengths = np.nan_to_num(np.hypot(*(dropoff - pickup).T))
    lengths[lengths > np.hypot(profile.box.east - profile.box.west, profile.box.north - profile.box.south)] = 0
    chosen = random.choice(len(lines), ROWS, replace=False, p=lengths / lengths.sum())
    path.write_text("\n".join([head, *(lines[row] for row in chosen)]) + "\n")


if __name__ == "__main__":
    main()
