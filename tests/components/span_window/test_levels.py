"""Levels and steps from residuals: known ones are found, chance and another mix of trips are none."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.span_window.levels import Step, level_of, step_between

NOISE = 0.1  # standard deviation of the relative error of a prediction


def trips(random, n: int = 600, *, base: float = 0.0, rate: float = 1.0, long: float = 6.0):
    """Makes n trips: labels `base + rate * prediction` with noise, and the predictions."""
    predictions = 5 + random.exponential(long, n)
    return (base + rate * predictions) * random.lognormal(0, NOISE, n), predictions


def steps(random, n_pairs: int, old=None, new=None) -> list[Step | None]:
    pairs = ((level_of(*trips(random, **(old or {}))), level_of(*trips(random, **(new or {})))) for _ in range(n_pairs))
    return [step_between(*pair) for pair in pairs]


@pytest.mark.parametrize(("base", "rate"), [(0.0, 1.3), (0.0, 0.85), (2.5, 1.0), (-1.0, 1.2)])
def test_a_level_is_base_and_rate_however_wild_a_few_labels_are(base, rate):
    """Within 1.5 % at a short and at a long trip: five standard errors of 2,000 rows. One label of 100 is tenfold."""
    labels, predictions = trips(np.random.default_rng(1), 2000, base=base, rate=rate)
    labels[::100] *= 10
    level = level_of(labels, predictions)
    for prediction in (6.0, 30.0):
        assert level.base + level.rate * prediction == pytest.approx(base + rate * prediction, rel=0.015)


def test_the_covariance_is_that_of_repeated_samples():
    """Draws 300 samples with heavy tails: the mean estimated variance is near the variance of the estimates."""
    random, found = np.random.default_rng(2), []
    for _ in range(300):
        predictions = 5 + random.exponential(6, 400)
        found.append(level_of(predictions * (1 + 0.1 * random.standard_t(3, 400)), predictions))
    told = np.mean([level.covariance for level in found], axis=0)
    measured = np.cov([[level.rate, level.base] for level in found], rowvar=False)
    assert np.diag(told) == pytest.approx(np.diag(measured), rel=0.25)


def test_the_step_maps_old_labels_to_the_new_level():
    """A label y = 1 + p, with the prediction p, moves to the level 3 + 1.5 p, which is 3 + 1.5 (y - 1)."""
    random = np.random.default_rng(3)
    old, new = (level_of(*trips(random, 4000, base=base, rate=rate)) for base, rate in ((1, 1), (3, 1.5)))
    moved = step_between(old, new).apply(np.array([8.0, 21.0]))
    assert moved == pytest.approx([3 + 1.5 * 7, 3 + 1.5 * 20], rel=0.02)


def test_chance_makes_no_step():
    """Two samples of one level differ by more than LEAST_STEP in 100 rows, and yet in no pair of 300 is it a step."""
    random = np.random.default_rng(4)
    assert steps(random, 300, {"n": 100}, {"n": 100}) == [None] * 300


def test_a_step_of_a_few_percent_is_found_and_a_smaller_one_is_none():
    random = np.random.default_rng(5)
    assert None not in steps(random, 20, {}, {"rate": 1.1})
    assert steps(random, 5, {"n": 20_000}, {"n": 20_000, "rate": 1.02}) == [None] * 5


def test_another_mix_of_trips_makes_no_step():
    """Trips of twice the length, at the same fares."""
    assert steps(np.random.default_rng(6), 100, {}, {"long": 12.0}) == [None] * 100


def test_predictions_that_are_no_fares_and_few_rows_tell_no_level():
    labels, predictions = trips(np.random.default_rng(7), 110)
    spoilt = np.where(np.arange(110) < 5, [[np.nan], [0.0]], predictions)
    assert [level_of(labels, each).rate for each in spoilt] == [level_of(labels[5:], predictions[5:]).rate] * 2
    assert level_of(labels[:99], predictions[:99]) is None
