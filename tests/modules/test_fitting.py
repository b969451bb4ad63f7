"""Trainer's fit: what it learns, which weights it keeps, and that it repeats itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from farebox.components.networks.rows import Rows
from farebox.modules import columns, fitting, model
from farebox.modules.settings import TrainingSettings

QUICK = TrainingSettings(epochs=30, batch_size=64)


@pytest.fixture(scope="module")
def saddle():
    """fare = 10 + 4 x y on a grid: no plane explains any of its variance (its standard deviation is 1.4)."""
    x, y = (axis.reshape(-1).astype(np.float32) for axis in np.meshgrid(*[np.linspace(-1, 1, 32)] * 2))
    return Rows({columns.NUMERIC: np.stack([x, y], axis=1)}, (10 + 4 * x * y).astype(np.float64), 64)


def _network(seed: int = 3, **more):
    import tf_keras as keras

    keras.utils.set_random_seed(seed)
    return model.build_network((16, 8), {}, {}, width=2, **more)


def _with_fares(rows: Rows, fares: np.ndarray) -> Rows:
    return dataclasses.replace(rows, labels=fares)


def _rmse(network, rows: Rows) -> float:
    predicted = network(rows.columns[columns.NUMERIC]).numpy().reshape(-1)
    return float(np.sqrt(np.mean((predicted - rows.labels) ** 2)))


def test_fits_a_saddle_in_the_unit_of_the_fares(saddle):
    network = _network()
    figures = fitting.fit(network, saddle, saddle, QUICK)
    assert _rmse(network, saddle) < 0.25
    assert _rmse(network, saddle) == pytest.approx(figures["eval_rmse"], rel=1e-4)
    assert (figures["parameters"], figures["epochs"]) == ((2 * 16 + 16) + (16 * 8 + 8) + (8 + 1), 30)


def test_keeps_the_best_epoch(saddle):
    """On rows of the opposite sign every step raises the error, so the best epoch is an early one."""
    network, opposite = _network(), _with_fares(saddle, 20 - saddle.labels)
    figures = fitting.fit(network, saddle, opposite, QUICK)
    assert figures["best_epoch"] < 5
    assert _rmse(network, opposite) == pytest.approx(figures["eval_rmse"], rel=1e-4)


def test_equal_seeds_give_equal_networks(saddle):
    settings = dataclasses.replace(QUICK, epochs=4)
    once, again = (_network() for _ in range(2))
    errors = [fitting.fit(network, saddle, saddle, settings)["eval_rmse"] for network in (once, again)]
    assert errors[0] == pytest.approx(errors[1], abs=1e-6)
    for expected, repeated in zip(once.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(repeated, expected, atol=1e-6)


def test_huber_loss_limits_the_effect_of_outliers(saddle):
    """One row in 32 costs 200 more: squared, it lifts the mean by 6; beyond the delta it counts linearly."""
    wild = _with_fares(saddle, saddle.labels + 200.0 * (np.arange(len(saddle)) % 32 == 0))
    errors = {}
    for delta in (0.02, np.inf):
        network = _network()
        fitting.fit(network, wild, saddle, QUICK, huber_delta=delta)
        errors[delta] = _rmse(network, saddle)
    assert errors[0.02] < 0.5 * errors[np.inf]


def test_max_steps_bounds_the_epochs(saddle):
    """1,024 rows of 64 are 16 steps an epoch: 40 steps end in the third epoch."""
    figures = fitting.fit(_network(), saddle, saddle, dataclasses.replace(QUICK, max_steps=40))
    assert figures["epochs"] == 3


def test_constant_fares_can_be_fitted(saddle):
    network, constant = _network(), _with_fares(saddle, np.full(1024, 7.0))
    fitting.fit(network, constant, constant, QUICK)
    assert _rmse(network, constant) < 0.1


def test_learning_rate_rises_then_falls_to_zero():
    rates = [float(fitting.Schedule(0.1, 10, 100)(step)) for step in (0, 4, 9, 54, 99)]
    assert rates == pytest.approx([0.01, 0.05, 0.1, 0.05, 0.0], abs=1e-6)


def test_without_warm_up_the_learning_rate_starts_at_its_peak():
    assert float(fitting.Schedule(0.1, 0, 100)(0)) == pytest.approx(0.1, rel=1e-3)


def test_warm_start_predicts_what_the_base_does(saddle):
    """Even if the new fares have another mean and scale; before a step, so the best epoch is 0."""
    base, network = _network(), _network(seed=4)
    fitting.fit(base, saddle, saddle, QUICK)
    still = dataclasses.replace(QUICK, epochs=1, learning_rate=1e-12)
    shifted = _with_fares(saddle, 3 * saddle.labels + 7)
    figures = fitting.fit(network, shifted, saddle, still, base=base)
    assert (figures["best_epoch"], figures["begun_with"]) == (0, 1.0)
    assert _rmse(network, saddle) == pytest.approx(_rmse(base, saddle), rel=1e-4)
    assert figures["eval_rmse"] == pytest.approx(_rmse(base, saddle), rel=1e-4)


def test_warm_start_leaves_layers_of_other_shapes(saddle):
    """With 4 units in place of 8 in the second layer only the first layer fits: 48 of 48 + 68 + 5 weights."""
    import tf_keras as keras

    base = _network()
    keras.utils.set_random_seed(5)
    narrower = model.build_network((16, 4), {}, {}, width=2)
    figures = fitting.fit(narrower, saddle, saddle, dataclasses.replace(QUICK, epochs=2), base=base)
    assert figures["begun_with"] == pytest.approx(48 / (48 + 68 + 5))


def test_a_warm_start_needs_fewer_epochs(saddle):
    base = _network()
    fitting.fit(base, saddle, saddle, QUICK)
    moved = _with_fares(saddle, saddle.labels * 1.3)
    few = dataclasses.replace(QUICK, epochs=3)
    warm, cold = (fitting.fit(_network(seed=6), moved, moved, few, base=start)["eval_rmse"] for start in (base, None))
    assert warm < cold / 2
