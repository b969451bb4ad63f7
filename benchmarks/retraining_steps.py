"""Months in which fares step, creep or only the mix of trips changes: does retraining follow, within a day?

    python benchmarks/retraining_steps.py [--seed N]... [--scenario NAME]... [--keep-fares] [--picture FILE]

Ticks without TFX, seconds each instead of minutes: the product's features, training, live-error policy and steps of the
fares, in one process. A day's tick retrains if seven spans are new or the shipped network breaks its promise on the
newest one; drift of the features, the later nodes and the gates are left out. After each tick the network predicts the
next day's fares. --keep-fares: leaves older fares as they are. The exit code is 1 if a condition does not hold.
"""

from __future__ import annotations

import dataclasses
import datetime
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import retraining_report as report
from whole_runs import Condition, Parser, insist, one_line_errors

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.profile import Bounds
from farebox.components.trip_example_gen.simulation.simulated_trips import Trips, draw_trips
from farebox.pipeline.settings.load import Settings, load_settings

CITY, FIRST_DAY, ROWS = "chicago", datetime.date(2024, 3, 4), 1200  # a Monday; trips a day
BEGIN, CHANGE, END = 9, report.DRIFT_DAY, 17  # day of the first network, of the change, and of the last tick
MOST, NEW_SPANS, MORE_TRIPS = 1.6, report.NEW_SPANS, 6
SCENARIOS: dict[str, Callable[[int], float]] = {
    "none": lambda _: 1.0,
    "+30 %": lambda day: 1.3 if day >= CHANGE else 1.0,
    "-15 %": lambda day: 0.85 if day >= CHANGE else 1.0,
    "+1 % a day": lambda day: 1.01 ** max(0, day - CHANGE + 1),
    "longer trips": lambda _: 1.0,
}
FAST = ("training.epochs=20", "training.teacher_weight=0", "training.pseudo_trips=0")

Columns = dict[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]


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


def main() -> None:
    """Runs the command."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seed", type=int, action="append", help="of the trips; several are allowed, by default 0 to 3"
    )
    parser.add_argument("--scenario", action="append", choices=[*SCENARIOS], help="several are allowed, by default all")
    parser.add_argument("--keep-fares", action="store_true", help="spans.move_fares=false")
    parser.add_argument("--table", type=Path, help="the table and the conditions, in Markdown")
    parser.add_argument("--picture", type=Path, help="a PNG of the errors by day")
    with one_line_errors("retraining_steps"):
        options = parser.parse_args()
        if any(seed < 0 for seed in options.seed or ()):
            raise InputError(f"--seed={min(options.seed)} must be at least 0")
    settings = load_settings(CITY, ".", ".", [*FAST, f"spans.move_fares={'false' if options.keep_fares else 'true'}"])
    months = []
    for seed in options.seed or range(4):
        for scenario in dict.fromkeys(["none", *(options.scenario or SCENARIOS)]):
            months.append(play(settings, scenario, seed))
            print(line(months[-1], months), file=sys.stderr, flush=True)
    checked = conditions(months)
    text = "\n".join([table(months), "", *(f"- {each.describe()}" for each in checked), ""])
    print(text)
    if options.table:
        options.table.write_text(text)
    if options.picture:
        draw(months, options.picture)
    insist("retraining_steps", checked)


def conditions(months: Sequence[Month]) -> list[Condition]:
    """Errors after a change stay near those of the same month without one, and nothing retrains without a cause."""
    changed = [each for each in months if each.scenario != "none"]
    ratios = {f"{each.scenario}, seed {each.seed}": ratio(each, months) for each in changed}
    worst = max(ratios, key=lambda name: ratios[name], default="")
    alarms = [each.seed for each in months if each.scenario == "none" and "live_error" in each.causes.values()]
    found = f"{ratios[worst]:.2f} at most ({worst})" if worst else "no month with a change"
    name = f"mean RMSE of days {CHANGE} to {END} at most {MOST} x that without a change"
    return [
        Condition(name, found, bool(ratios) and ratios[worst] <= MOST),
        Condition("no retrain without a cause in months without a change", f"in {len(alarms)} months", not alarms),
    ]


def ratio(month: Month, months: Sequence[Month]) -> float:
    """Mean RMSE after the change over that of the month of the same seed without one."""
    (undrifted,) = (each for each in months if (each.scenario, each.seed) == ("none", month.seed))
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


# Trips


def trips_of(settings: Settings, scenario: str, day: int, seed: int) -> Columns:
    """A day's examples, columns of shape (n, 1). The simulator's fares scale with the highest plausible fare."""
    fare = settings.city.fare
    profile = dataclasses.replace(settings.city, fare=Bounds(fare.min, fare.max * SCENARIOS[scenario](day)))
    random = np.random.default_rng([day + 1000 * seed, 0])
    first = np.datetime64(FIRST_DAY + datetime.timedelta(days=day - 1))
    is_longer = scenario == "longer trips" and day >= CHANGE
    trips = draw_trips(profile, ROWS * (MORE_TRIPS if is_longer else 1), first, 1, random)
    if is_longer:
        lengths = np.hypot(*(trips.places[1] - trips.places[0]).T)
        chosen = random.choice(len(lengths), ROWS, replace=False, p=lengths / lengths.sum())
        trips = Trips(trips.places[:, chosen], *(each[chosen] for each in (trips.epoch, trips.passengers, trips.fare)))
    return examples_of(trips, n_changes=len(settings.city.tariff_changes))


def examples_of(trips: Trips, n_changes: int) -> Columns:
    """The trips in the last era of the tariff, as TripExampleGen writes them."""
    places = np.moveaxis(trips.places, 1, 2).reshape(4, -1)
    names = ("pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude")
    columns = {name: values.astype(np.float32) for name, values in zip(names, places, strict=True)}
    whole = {"passenger_count": trips.passengers, "pickup_hour": trips.hour(), "pickup_weekday": trips.weekday()}
    whole["pickup_era"] = np.full(len(trips.fare), n_changes)
    columns |= {name: values.astype(np.int64) for name, values in whole.items()}
    return {name: values[:, None] for name, values in {**columns, "fare": trips.fare.astype(np.float32)}.items()}


# The ticks of a month


def play(settings: Settings, scenario: str, seed: int) -> Month:
    """The ticks from BEGIN to END, and the error of the shipped network on the next day's trips after each."""
    days = {day: trips_of(settings, scenario, day, seed) for day in range(1, END + 2)}
    fares = {day: each["fare"].reshape(-1).astype(np.float64) for day, each in days.items()}
    is_eval = {day: np.random.default_rng(day).integers(2, size=ROWS) == 0 for day in days}
    errors, causes, moved = {}, {}, {}
    shipped: Shipped | None = None
    for day in range(BEGIN, END + 1):
        cause = cause_of(shipped, day, fares[day], settings) if shipped else ""
        if cause or shipped is None:
            window = range(max(1, day - settings.spans.window + 1), day + 1)
            labels, n_moved = {each: fares[each] for each in window}, 0
            if shipped and settings.spans.move_fares:
                labels, n_moved = moved_fares(fares, shipped.predicted, window, is_eval[day])
            network = Network(settings, [days[each] for each in window], labels, is_eval[day])
            predicted = {each: network.predict(days[each]) for each in days}
            is_test = ~is_eval[day]
            shipped = Shipped(day, predicted, errors_of(predicted[day][is_test], fares[day][is_test]))
            if cause:
                causes[day], moved[day] = cause, n_moved
        errors[day] = float(np.sqrt(np.mean((shipped.predicted[day + 1] - fares[day + 1]) ** 2)))
    return Month(scenario, seed, errors, causes, moved)


@dataclasses.dataclass(frozen=True)
class Shipped:
    """A shipped network: the day on which it was trained, its predictions by day, and its errors on its test trips."""

    day: int
    predicted: Mapping[int, Floats]
    promise: Mapping[str, Any]


def cause_of(shipped: Shipped, day: int, fares: Floats, settings: Settings) -> str:
    """The cause to retrain on a day; empty if there is none."""
    from farebox.components.evaluator.promises import Tolerance, checks

    tolerance = Tolerance(settings.spans.live_margin, settings.spans.live_alarm_rate)
    live = errors_of(shipped.predicted[day], fares)
    if any(not check.ok for check in checks(live, shipped.promise, tolerance)):
        return "live_error"
    return "new_data" if day - shipped.day >= NEW_SPANS else ""


def errors_of(predictions: Floats, fares: Floats) -> dict[str, Any]:
    """Errors on all trips, as live errors and promises have them."""
    from farebox.components.evaluator.error_sums import ErrorSums
    from farebox.components.evaluator.metrics import ALL_TRIPS

    sums = ErrorSums(None)
    sums.add(predictions, fares)
    return {ALL_TRIPS: sums.measured()}


def moved_fares(
    fares: Mapping[int, Floats], predicted: Mapping[int, Floats], window: range, is_eval: npt.NDArray[np.bool_]
) -> tuple[dict[int, Floats], int]:
    """The fares of the window's days on the newest day's level, as SpanWindow moves them, and of how many they were."""
    from farebox.components.span_window.levels import level_of, step_between

    newest = window[-1]
    new = level_of(fares[newest][is_eval], predicted[newest][is_eval])
    labels, n_moved = {day: fares[day] for day in window}, 0
    for day in window[:-1]:
        old = level_of(fares[day], predicted[day])
        step = step_between(old, new, len(window) - 1) if old and new else None
        if step:
            labels[day], n_moved = step.apply(fares[day]), n_moved + 1
    return labels, n_moved


class Network:
    """The product's network, fitted to all days of a window but the newest, which is eval where `is_eval` holds."""

    def __init__(
        self,
        settings: Settings,
        days: Sequence[Columns],
        labels: Mapping[int, Floats],
        is_eval: npt.NDArray[np.bool_],
    ) -> None:
        from farebox.modules import columns, model, training
        from farebox.pipeline.node_configs import feature_config

        self.config = feature_config(settings)
        self.learned: list[Any] = []
        older = {name: np.concatenate([day[name] for day in days[:-1]]) for name in days[0]}
        train = dataclasses.replace(self._rows(older), labels=np.concatenate([*labels.values()][:-1]))
        evaluation = self._rows({name: values[is_eval] for name, values in days[-1].items()})
        ids = {cross: train.columns[cross] for cross in columns.CROSSES}
        by_data = model.embeddings_by_data(ids, settings.crosses.min_rows) if training.has_many_places(train) else {}
        architecture = model.resolved(settings.model, settings.features, by_data)
        task = training.Task(train, evaluation, settings.features, settings.crosses, architecture, settings.training)
        self.network, _ = training.fit_network(task, train)

    def predict(self, raw: Columns) -> Floats:
        """Fares of raw columns, shape (n,)."""
        import tensorflow as tf

        inputs = self._rows(raw).columns
        fares = self.network({name: tf.constant(inputs[name]) for name in self.network.input_names}, training=False)
        return np.asarray(fares, np.float64).reshape(-1)

    def _rows(self, raw: Columns) -> Any:
        """Transform's features of raw columns; the first call learns the statistics, as Transform does from train."""
        import tensorflow as tf

        from farebox.components.networks.rows import Rows
        from farebox.modules import preprocessing
        from farebox.modules.settings import TrainingSettings

        with analyzers(self.learned):
            inputs = {name: tf.constant(values) for name, values in raw.items()}
            features = {
                name: each.numpy() for name, each in preprocessing.preprocessing_fn(inputs, self.config).items()
            }
        labels = features.pop("fare").astype(np.float64).reshape(-1)
        return Rows(features, labels, TrainingSettings().batch_size)


class analyzers:  # noqa: N801 - a context, as contextlib names them
    """Within it, tft's analyzers compute on the rows at hand; or give `learned`, if it holds what a first use found."""

    def __init__(self, learned: list[Any]) -> None:
        self.learned, self.replay = learned, iter(list(learned)) if learned else None

    def __enter__(self) -> None:
        import tensorflow as tf
        import tensorflow_transform as tft

        self.module, self.kept = tft, {}
        eager: dict[str, Callable[[Any], Any]] = {
            "mean": lambda x: tf.reduce_mean(x, 0),
            "var": lambda x: tf.math.reduce_variance(x, 0),
            "min": lambda x: tf.reduce_min(x, 0),
            "max": lambda x: tf.reduce_max(x, 0),
            "quantiles": lambda x: tf.constant(np.quantile(x, np.arange(1, 100) / 100)[None].astype(np.float32)),
        }
        for name, compute in eager.items():
            self.kept[name] = getattr(tft, name)
            setattr(tft, name, self._first_or_again(compute))

    def __exit__(self, *_: object) -> None:
        for name, analyzer in self.kept.items():
            setattr(self.module, name, analyzer)

    def _first_or_again(self, compute: Callable[[Any], Any]) -> Callable[..., Any]:
        def analyze(values: Any, *_: Any, **__: Any) -> Any:
            if self.replay is not None:
                return next(self.replay)
            self.learned.append(compute(values))
            return self.learned[-1]

        return analyze


if __name__ == "__main__":
    main()
