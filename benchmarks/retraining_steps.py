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
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import retraining_scenarios as scenarios
from retraining_report import NEW_SPANS
from retraining_scenarios import BEGIN, CHANGE, END, LONGER_TRIPS, MORE_TRIPS, SCENARIOS, Month
from whole_runs import Parser, one_line_errors

from farebox.components.trip_example_gen.profile import Bounds
from farebox.components.trip_example_gen.simulation.simulated_trips import Trips, draw_trips
from farebox.pipeline.settings.load import Settings, load_settings

CITY, FIRST_DAY, ROWS = "chicago", datetime.date(2024, 3, 4), 1200  # a Monday; trips a day
FAST = ("training.epochs=20", "training.teacher_weight=0", "training.pseudo_trips=0")

Columns = dict[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]


def main() -> None:
    """Runs the command."""
    parser = Parser(description=__doc__.splitlines()[0])
    scenarios.add_options(parser)
    parser.add_argument("--keep-fares", action="store_true", help="spans.move_fares=false")
    with one_line_errors("retraining_steps"):
        options = parser.parse_args()
        scenarios.check_seeds(options.seed)
    settings = load_settings(CITY, ".", ".", [*FAST, f"spans.move_fares={'false' if options.keep_fares else 'true'}"])
    months: list[Month] = []
    for seed, scenario in scenarios.months_of(options):
        months.append(play(settings, scenario, seed))
        print(scenarios.line(months[-1], months), file=sys.stderr, flush=True)
    scenarios.show("retraining_steps", months, options)


# Trips


def trips_of(settings: Settings, scenario: str, day: int, seed: int) -> Columns:
    """A day's examples, columns of shape (n, 1). The simulator's fares scale with the highest plausible fare."""
    fare = settings.city.fare
    profile = dataclasses.replace(settings.city, fare=Bounds(fare.min, fare.max * SCENARIOS[scenario](day)))
    random = np.random.default_rng([day + 1000 * seed, 0])
    first = np.datetime64(FIRST_DAY + datetime.timedelta(days=day - 1))
    is_longer = scenario == LONGER_TRIPS and day >= CHANGE
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
