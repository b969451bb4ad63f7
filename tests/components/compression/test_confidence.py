"""Intervals of errors: how often they hold, and that both files are resampled together."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from farebox.components.compression import confidence
from farebox.components.networks.objective import Objective


@pytest.mark.parametrize(
    ("objective", "truth"), [(Objective(), 1.0), (Objective(metric="mae"), np.sqrt(2 / np.pi))], ids=["rmse", "mae"]
)
def test_nineteen_of_twenty_intervals_hold_the_error_on_all_rows(objective, truth, monkeypatch):
    """Standard normal errors, 200 rows, 300 times: 95 % with a standard error of 1.3 %."""
    monkeypatch.setattr(confidence, "RESAMPLES", 300)
    random = np.random.default_rng(1)
    held = 0
    for seed in range(300):
        errors = random.normal(size=200)
        interval = confidence.measured(objective, errors, errors, np.zeros(200), seed, bound=float).shipped
        held += interval.low <= truth <= interval.high
    assert 0.91 <= held / 300 <= 0.985


def test_the_increase_is_known_far_better_than_the_errors():
    random = np.random.default_rng(2)
    labels, errors = random.normal(size=500), random.normal(size=500)
    found = confidence.measured(Objective(), labels + errors, labels + 1.01 * errors, labels, 3, bound=float)
    assert found.increase.value == pytest.approx(0.01 * found.float32.value)
    assert found.increase.low > 0 and found.increase.high - found.increase.low < 0.002
    assert found.shipped.high - found.shipped.low > 0.1 and (found.rows, found.confidence) == (500, 0.95)


def test_an_error_of_all_rows_at_once_is_resampled_too():
    labels, scores = np.repeat([0.0, 1.0], 50), np.linspace(0, 1, 100)
    found = confidence.measured(Objective("binary", "auc", 2), scores, scores[::-1], labels, 3, bound=float)
    assert (found.float32.value, found.shipped.value) == (0, 1) and found.increase.low == found.increase.high == 1


def test_how_sure_the_budget_holds_is_its_share_of_samples(monkeypatch):
    """The increase is a mean of 400 normal numbers of mean 0.1 and deviation 1. The centre of a sample is off, too: the
    mean share of at most 0.1 + z / 20 is Phi(z / sqrt(2))."""
    monkeypatch.setattr(confidence, "RESAMPLES", 300)
    random, normal = np.random.default_rng(5), statistics.NormalDist()
    labels, before = np.zeros(400), np.full(400, 10.0)
    for z in (-1.0, 1.5):
        shares = [
            confidence.measured(
                Objective(metric="mae"), before, before + random.normal(0.1, 1, 400), labels, seed,
                bound=lambda error, z=z: error + 0.1 + z / 20,
            ).holds
            for seed in range(40)
        ]  # fmt: skip
        assert np.mean(shares) == pytest.approx(normal.cdf(z / 2**0.5), abs=0.1), z


def test_rows_that_make_half_of_the_error_are_counted():
    """Squares 16, 9, 9, 4 and 1 have a sum of 39: the first two rows make more than half of it."""
    labels = np.array([3.0, -1, 4, 2, -3])
    result = confidence.measured(Objective(), labels, np.zeros(5), labels, 1, bound=lambda error: error)
    assert result.half_rows == 2
    assert confidence.measured(Objective(), labels, labels, labels, 1, bound=lambda error: error).half_rows is None
