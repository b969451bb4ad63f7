"""The training loop: what it learns, keeps and repeats."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from farebox.modules import columns, fitting, model
from farebox.modules.settings import TrainingSettings

QUICK = TrainingSettings(epochs=30, batch_size=64)


@pytest.fixture(scope="module")
def saddle():
    """fare = 10 + 4 x y on a grid: no plane explains any of its variance (its standard deviation is 1.4)."""
    x, y = (axis.reshape(-1).astype(np.float32) for axis in np.meshgrid(*[np.linspace(-1, 1, 32)] * 2))
    return {columns.NUMERIC: np.stack([x, y], axis=1)}, (10 + 4 * x * y).astype(np.float64)


def _network(seed: int = 3, **more):
    import tf_keras as keras

    keras.utils.set_random_seed(seed)
    return model.build_network((16, 8), {}, {}, width=2, **more)


def _rmse(network, rows) -> float:
    return float(np.sqrt(np.mean((network(rows[0][columns.NUMERIC]).numpy().reshape(-1) - rows[1]) ** 2)))


def test_it_fits_what_no_plane_can_in_the_fares_unit(saddle):
    network = _network()
    figures = fitting.fit(network, saddle, saddle, QUICK)
    assert _rmse(network, saddle) < 0.25
    assert _rmse(network, saddle) == pytest.approx(figures["eval_rmse"], rel=1e-4)
    assert (figures["parameters"], figures["epochs"]) == ((2 * 16 + 16) + (16 * 8 + 8) + (8 + 1), 30)


def test_the_best_epoch_stays(saddle):
    """On rows of the opposite sign every step makes it worse: the best epoch is the first."""
    features, fares = saddle
    network = _network()
    figures = fitting.fit(network, saddle, (features, 20 - fares), QUICK)
    assert figures["best_epoch"] < 5
    assert _rmse(network, (features, 20 - fares)) == pytest.approx(figures["eval_rmse"], rel=1e-4)


def test_equal_seeds_give_equal_networks(saddle):
    settings = dataclasses.replace(QUICK, epochs=4)
    once, again = (_network() for _ in range(2))
    errors = [fitting.fit(network, saddle, saddle, settings)["eval_rmse"] for network in (once, again)]
    assert errors[0] == pytest.approx(errors[1], abs=1e-6)
    for one, other in zip(once.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_huber_loss_forgives_a_wild_fare(saddle):
    """One row in 32 costs 200 more: squared, it lifts the mean by 6; beyond the delta it counts linearly."""
    features, fares = saddle
    wild = fares + 200.0 * (np.arange(len(fares)) % 32 == 0)
    errors = {}
    for delta in (0.02, np.inf):
        network = _network()
        fitting.fit(network, (features, wild), saddle, QUICK, delta)
        errors[delta] = _rmse(network, saddle)
    assert errors[0.02] < 0.5 * errors[np.inf]


def test_steps_are_bounded_not_epochs_alone(saddle):
    """1,024 rows of 64 are 16 steps an epoch: 40 steps end in the third."""
    figures = fitting.fit(_network(), saddle, saddle, dataclasses.replace(QUICK, max_steps=40))
    assert figures["epochs"] == 3


def test_fares_that_never_vary_are_no_division_by_zero(saddle):
    network = _network()
    fitting.fit(network, (saddle[0], np.full(1024, 7.0)), (saddle[0], np.full(1024, 7.0)), QUICK)
    assert _rmse(network, (saddle[0], np.full(1024, 7.0))) < 0.1


def test_the_rate_rises_then_falls_to_nothing():
    rates = [float(fitting.Schedule(0.1, 10, 100)(step)) for step in (0, 4, 9, 54, 99)]
    assert rates == pytest.approx([0.01, 0.05, 0.1, 0.05, 0.0], abs=1e-6)


def test_without_a_warm_up_the_rate_starts_at_its_peak():
    assert float(fitting.Schedule(0.1, 0, 100)(0)) == pytest.approx(0.1, rel=1e-3)


def test_a_network_begins_with_anothers_weights_in_the_fares_unit(saddle):
    """Fitted to fares of another mean and scale, it predicts at once what the other does, before a step: epoch 0."""
    base, network = _network(), _network(seed=4)
    fitting.fit(base, saddle, saddle, QUICK)
    still = dataclasses.replace(QUICK, epochs=1, learning_rate=1e-12)
    shifted = saddle[0], 3 * saddle[1] + 7
    figures = fitting.fit(network, shifted, saddle, still, base=base)
    assert (figures["best_epoch"], figures["begun_with"]) == (0, 1.0)
    assert _rmse(network, saddle) == pytest.approx(_rmse(base, saddle), rel=1e-4)
    assert figures["eval_rmse"] == pytest.approx(_rmse(base, saddle), rel=1e-4)


def test_layers_of_other_shapes_begin_anew(saddle):
    """Of (2 + 1) x 16, 17 x 8 and 9 weights the first layer's fit one with 4 units behind it: 48 of 48 + 68 + 5."""
    import tf_keras as keras

    base = _network()
    keras.utils.set_random_seed(5)
    other = model.build_network((16, 4), {}, {}, width=2)
    figures = fitting.fit(other, saddle, saddle, dataclasses.replace(QUICK, epochs=2), base=base)
    assert figures["begun_with"] == pytest.approx(48 / (48 + 68 + 5))


def test_a_warm_start_needs_fewer_epochs(saddle):
    base = _network()
    fitting.fit(base, saddle, saddle, QUICK)
    moved = saddle[0], saddle[1] * 1.3
    few = dataclasses.replace(QUICK, epochs=3)
    warm, cold = (fitting.fit(_network(seed=6), moved, moved, few, base=start)["eval_rmse"] for start in (base, None))
    assert warm < cold / 2
