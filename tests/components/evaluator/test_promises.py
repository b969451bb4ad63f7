"""Live errors against promises: rates of false alarms and of detection on the errors of real trips; messages; edges."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.evaluator.error_sums import DifferenceSums, ErrorSums, Measured, wilson
from farebox.components.evaluator.metrics import ALL_TRIPS, GROUPS, Estimate, jackknife_error, t_quantile
from farebox.components.evaluator.promises import Tolerance, checks, promise_of
from farebox.components.tflite import bands
from farebox.components.tflite.bands import Bands
from farebox.components.trip_example_gen.reader import read_trips
from farebox.pipeline.settings.load import load_settings
from farebox.pipeline.settings.spans import SpanSettings

DAYS, MONTHS = 30, 33
RATE, MARGIN = SpanSettings().live_alarm_rate, SpanSettings().live_margin


@dataclasses.dataclass(frozen=True)
class HeldBack:
    """Real trips that a booster was not fitted to, its predictions, and ranges fitted to a third of them."""

    predictions: np.ndarray
    fares: np.ndarray
    bands: Bands

    def day(self, random, n: int, rise: float = 1.0) -> Measured:
        """Errors on n trips, drawn with replacement, whose fares have risen."""
        rows = random.integers(len(self.fares), size=n)
        sums = ErrorSums(self.bands)
        sums.add(self.predictions[rows], self.fares[rows] * rise)
        return sums.measured()

    def promise(self, random, n: int) -> Measured:
        """Errors on a test split, with intervals by a jackknife of GROUPS groups, as Evaluator makes them."""
        rows, groups = random.integers(len(self.fares), size=n), random.integers(GROUPS, size=n)
        parts = [groups >= 0, *(groups != i for i in range(GROUPS))]
        measured = [self._errors(rows[part]) for part in parts]
        estimates = {}
        for name, value in measured[0].items():
            half = t_quantile(0.95) * jackknife_error(np.array([each[name] for each in measured[1:]]))
            estimates[name] = Estimate(value, value - half, value + half)
        return Measured(n, **estimates)

    def _errors(self, rows) -> dict[str, float]:
        error = self.predictions[rows] - self.fares[rows]
        covered = self.bands.covers(self.predictions[rows], self.fares[rows]).mean()
        return {"rmse": np.sqrt(np.mean(error**2)), "mae": np.abs(error).mean(), "bias": error.mean(),
                "coverage": covered}  # fmt: skip


@pytest.fixture(scope="module")
def held_back() -> HeldBack:
    """Chicago's trips: half of them fit LightGBM, the others give errors, a few of which are huge."""
    import lightgbm

    settings = load_settings("chicago", None)
    parts = [trips.examples for trips in read_trips(settings.data, settings.city)]
    columns = {name: np.concatenate([part.column(name).to_numpy() for part in parts]) for name in parts[0].schema.names}
    fares = columns.pop("fare").astype(float)
    rows = np.stack(list(columns.values()), axis=1).astype(float)
    rows = np.column_stack([rows, np.hypot(rows[:, 0] - rows[:, 2], rows[:, 1] - rows[:, 3])])
    half = np.random.default_rng(0).permutation(len(fares)) < len(fares) // 2
    options = {"objective": "regression", "num_threads": 1, "verbosity": -1}
    predictions = lightgbm.train(options, lightgbm.Dataset(rows[half], fares[half]), 100).predict(rows[~half])
    fares = fares[~half]
    fitted = bands.fit(predictions[::3], fares[::3], coverage=0.9, n_bands=5, min_rows=100)
    return HeldBack(predictions, fares, fitted)


def alarms(held_back: HeldBack, margin: float, *, tested: int, a_day: int, days: int, months: int, rise=1.0):
    """Number of months with an alarm, and of all alarms; each month has a new promise."""
    random, tolerance = np.random.default_rng(7), Tolerance(margin, RATE)
    counts = []
    for _ in range(months):
        promise = {ALL_TRIPS: held_back.promise(random, tested)}
        spans = [{ALL_TRIPS: held_back.day(random, a_day, rise)} for _ in range(days)]
        counts.append(sum(any(not check.ok for check in checks(span, promise, tolerance)) for span in spans))
    return sum(count > 0 for count in counts), sum(counts)


@pytest.mark.parametrize(("tested", "a_day"), [(840, 1200), (300, 300), (150, 1200)])
def test_without_a_change_alarms_are_as_rare_as_said(held_back, tested, a_day):
    """Without a margin, 990 spans may have 1 alarm on average; Poisson gives 6 or more with probability 0.0006.

    With a small test split RMSE alone would fail in 5 % of the spans, if its interval were trusted.
    """
    _, count = alarms(held_back, 0.0, tested=tested, a_day=a_day, days=DAYS, months=MONTHS)
    assert count <= 5
    assert alarms(held_back, MARGIN, tested=tested, a_day=a_day, days=DAYS, months=10)[1] <= 1


@pytest.mark.parametrize("rise", [1.3, 0.85])
def test_a_step_in_fares_is_seen_on_its_first_day(held_back, rise):
    """With the settings' own margin: 1,200 trips a day, and a test split of a week of them."""
    seen, _ = alarms(held_back, MARGIN, tested=840, a_day=1200, days=1, months=100, rise=rise)
    assert seen >= 98


def test_a_check_says_what_is_beyond_and_a_smaller_error_is_no_alarm():
    def measured(rmse: float, mae: float, bias: float, rows: int = 10_000) -> Measured:
        return Measured(rows, *(Estimate(each, each - 0.02, each + 0.02) for each in (rmse, mae, bias)))

    promise = {ALL_TRIPS: measured(3.0, 2.0, 0.1), "airport=none": measured(3.0, 2.0, 0.0, 20)}
    live = {
        ALL_TRIPS: measured(3.0, 2.6, -0.5),
        "airport=none": measured(9.0, 9.0, 0.0),
        "airport=new": measured(9, 9, 9),
    }
    made = {check.name: check for check in checks(live, promise, Tolerance(0.25, RATE))}
    assert list(made) == ["rmse", "mae", "bias"]  # a slice of 20 rows promises nothing, a new one neither
    assert [name for name, check in made.items() if not check.ok] == ["mae", "bias"]
    assert (made["bias"].value, made["mae"].value) == (pytest.approx(0.6), 2.6)
    assert 2.5 < made["mae"].bound < 2.6 and 0.5 < made["bias"].bound < 0.6
    better = {ALL_TRIPS: measured(1.0, 0.5, 0.1)}
    assert all(check.ok for check in checks(better, promise, Tolerance(0.0, RATE)))


def test_errors_that_are_not_numbers_hold_no_promise_and_few_rows_break_none():
    sums, few = ErrorSums(), ErrorSums()
    sums.add(np.array([np.nan, *[2.0] * 29]), np.ones(30))
    few.add(np.array([99.0] * 29), np.ones(29))
    promise = promise_of({"metrics": {"rmse": 3.0, "mae": 2.0, "bias": 0.1}})
    made = checks({ALL_TRIPS: sums.measured()}, promise, Tolerance(0.25, RATE))
    assert len(made) == 3 and not any(check.ok for check in made)
    assert checks({ALL_TRIPS: few.measured()}, promise, Tolerance(0.25, RATE)) == []
    assert checks({ALL_TRIPS: sums.measured()}, {}, Tolerance(0.25, RATE)) == []


def test_a_promise_of_an_earlier_farebox_has_no_intervals():
    metrics = {"rmse": 3.0, "mae": 2.0, "bias": 0.1, "p95_absolute_error": 6.0}
    (measured,) = promise_of({"metrics": metrics}).values()
    assert (measured.rows, measured.rmse.value, measured.mae.upper, measured.coverage) == (0, 3.0, 2.0, None)
    assert promise_of({"metrics": {"rmse": 3.0}}) == {} == promise_of({})


def test_ranges_are_covered_as_often_as_measured():
    bands = Bands(0.9, (), (-1.0,), (2.0,))
    sums = ErrorSums(bands)
    sums.add(np.array([10.0, 10.0, 10.0, 10.0]), np.array([9.0, 12.0, 12.1, 10.0]))
    coverage = sums.measured().coverage
    assert (coverage.value, coverage) == (0.75, wilson(0.75, 4))
    # Wilson's interval of 3 in 4 at 95 %, by hand: (0.75 + z2/8 ± z sqrt(0.75 * 0.25 / 4 + z2/64)) / (1 + z2/4)
    assert (coverage.lower, coverage.upper) == pytest.approx((0.3006, 0.9544), abs=1e-4)


def test_predictions_that_are_not_numbers_are_no_error_of_zero():
    sums, differences = ErrorSums(), DifferenceSums()
    sums.add(np.array([1.0, np.nan]), np.array([1.0, 1.0]))
    differences.add(np.array([np.inf, 0.0]), np.array([1.0, 1.0]))
    measured = sums.measured()
    assert np.isnan(measured.rmse.value) and np.isnan(measured.mae.lower)
    assert measured.to_json()["rmse"] == [None, None, None]
    assert np.isnan(Measured.from_json(measured.to_json()).rmse.value)
    assert not np.isfinite(differences.estimate().value)


@pytest.mark.parametrize(
    "content", [None, {"rows": 1}, {"rows": "many", "rmse": 1}, {"rows": 1, "rmse": [1], "mae": 2}]
)
def test_errors_that_are_none_are_refused(content):
    with pytest.raises(InputError, match=r"^errors="):
        Measured.from_json(content)
