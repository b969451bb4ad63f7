"""Months in which fares step, creep or only the mix of trips changes: their changes, table, conditions and picture.

Shared by retraining_steps.py (one process without TFX) and retraining_months.py (whole ticks). Nothing is run here.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import retraining_report as report
from whole_runs import Condition, insist

from farebox.components.errors import InputError

BEGIN, CHANGE, END = 9, report.DRIFT_DAY, 17  # day of the first tick, of the change, and of the last tick
MOST, MOST_RETRAINS = 1.6, 4  # ratio of errors; retrains after a step: one more than the 3 before levels were moved
UNDRIFTED, LONGER_TRIPS, MORE_TRIPS = "none", "longer trips", 6
SCENARIOS: dict[str, Callable[[int], float]] = {
    UNDRIFTED: lambda _: 1.0,
    "+30 %": lambda day: 1.3 if day >= CHANGE else 1.0,
    "-15 %": lambda day: 0.85 if day >= CHANGE else 1.0,
    "+1 % a day": lambda day: 1.01 ** max(0, day - CHANGE + 1),
    LONGER_TRIPS: lambda _: 1.0,
}
STEPS = ("+30 %", "-15 %")


@dataclasses.dataclass(frozen=True)
class Month:
    """RMSE in USD on the next day's trips by day of the tick, and the causes by day of a retrain.

    moved: how many spans' fares the run moved, by day.
    """

    scenario: str
    seed: int
    rmse: Mapping[int, float]
    causes: Mapping[int, str]
    moved: Mapping[int, int]

    @property
    def after(self) -> float:
        """Mean RMSE of the ticks from the day of the change on."""
        return statistics.fmean(error for day, error in self.rmse.items() if day >= CHANGE)

    @property
    def retrains_after(self) -> int:
        """Number of retrains from the day of the change on."""
        return sum(day >= CHANGE for day in self.causes)


def months_of(options: argparse.Namespace) -> list[tuple[int, str]]:
    """Seed and scenario of the months to play: of each seed first the one without a change, which others need."""
    scenarios = dict.fromkeys([UNDRIFTED, *(options.scenario or SCENARIOS)])
    return [(seed, scenario) for seed in dict.fromkeys(options.seed or range(4)) for scenario in scenarios]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options for the months, the table and the picture."""
    seeds = "of the trips; several are allowed, by default 0 to 3"
    parser.add_argument("--seed", type=int, action="append", help=seeds)
    parser.add_argument("--scenario", action="append", choices=[*SCENARIOS], help="several are allowed, by default all")
    parser.add_argument("--table", type=Path, help="the table and the conditions, in Markdown")
    parser.add_argument("--picture", type=Path, help="a PNG of the errors by day")


def check_seeds(seeds: Sequence[int] | None) -> None:
    """Raises InputError if a seed is negative."""
    if any(seed < 0 for seed in seeds or ()):
        raise InputError(f"--seed={min(seeds or ())} must be at least 0")


def show(name: str, months: Sequence[Month], options: argparse.Namespace) -> None:
    """Prints table and conditions, writes the files, and ends the process with 1 if a condition does not hold."""
    checked = conditions(months)
    text = "\n".join([table(months), "", *(f"- {each.describe()}" for each in checked), ""])
    print(text)
    if options.table:
        options.table.write_text(text)
    if options.picture:
        draw(months, options.picture)
    insist(name, checked)


def conditions(months: Sequence[Month]) -> list[Condition]:
    """Errors after a change stay near those of the same month without one, and nothing retrains without a cause."""
    changed = [each for each in months if each.scenario != UNDRIFTED]
    ratios = {f"{each.scenario}, seed {each.seed}": ratio(each, months) for each in changed}
    worst = max(ratios, key=lambda name: ratios[name], default="")
    found = f"{ratios[worst]:.2f} at most ({worst})" if worst else "no month with a change"
    without = [cause for each in months if each.scenario == UNDRIFTED for cause in each.causes.values()]
    alarms = [cause for cause in without if cause != "new_data"]
    runs = max((each.retrains_after for each in months if each.scenario in STEPS), default=0)
    return [
        Condition(
            f"mean RMSE of days {CHANGE} to {END} at most {MOST} x that without a change",
            found,
            bool(ratios) and ratios[worst] <= MOST,
        ),
        Condition(
            "no retrain without a cause in months without a change",
            f"{len(without)} retrains, {len(alarms)} for another cause than {report.NEW_SPANS} new spans",
            not alarms,
        ),
        Condition(f"at most {MOST_RETRAINS} retrains after a step", f"{runs} at most", runs <= MOST_RETRAINS),
    ]


def ratio(month: Month, months: Sequence[Month]) -> float:
    """Mean RMSE after the change over that of the month of the same seed without one."""
    (undrifted,) = (each for each in months if (each.scenario, each.seed) == (UNDRIFTED, month.seed))
    return month.after / undrifted.after


def table(months: Sequence[Month]) -> str:
    """A line per month, in Markdown."""
    days = range(CHANGE - 1, END + 1)
    head = f"| change | seed | {' | '.join(map(str, days))} | mean from {CHANGE} | ratio | retrained |"
    return "\n".join([head, "|---|--:|" + "--:|" * (len(days) + 2) + "---|", *(line(each, months) for each in months)])


def line(month: Month, months: Sequence[Month]) -> str:
    """A month in the table."""
    errors = " | ".join(f"{month.rmse[day]:.2f}" for day in range(CHANGE - 1, END + 1))
    causes = ", ".join(f"{day} {cause} ({month.moved[day]} moved)" for day, cause in month.causes.items()) or "–"
    ends = f"{month.after:.2f} | {ratio(month, months):.2f} | {causes}"
    return f"| {month.scenario} | {month.seed} | {errors} | {ends} |"


def draw(months: Sequence[Month], path: Path) -> None:
    """Draws RMSE by day, a line per scenario: the mean of its seeds, with their range."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    for scenario in dict.fromkeys(each.scenario for each in months):
        errors = np.array([list(each.rmse.values()) for each in months if each.scenario == scenario])
        days = list(next(each for each in months if each.scenario == scenario).rmse)
        (drawn,) = axes.plot(days, errors.mean(axis=0), marker=".", label=scenario)
        axes.fill_between(days, errors.min(axis=0), errors.max(axis=0), alpha=0.15, color=drawn.get_color())
    axes.set(xlabel="day of the tick", ylabel="RMSE on the next day's trips, USD", ylim=(0, None))
    axes.legend(title="change on day 12", fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
