"""Printed errors hold on rows that `compress` never saw, with ids that its rows lack among them."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.tflite.interpreter import TfliteModel

SHOPS, SEEN = 200, 20  # ids that training had, and those of the rows
RANDOM = np.random.default_rng(6)
EFFECTS, SLOPES = RANDOM.normal(size=SHOPS) * 10, RANDOM.normal(size=(4, 3))


def rows(n: int, shops: int, seed: int, kind: str):
    """Inputs and labels of a shop's sales, or of its best seller of three."""
    random = np.random.default_rng(seed)
    columns = {"shop": random.integers(0, shops, (n, 1)), "x": random.normal(size=(n, 4)).astype(np.float32)}
    effect = EFFECTS[columns["shop"][:, 0]]
    if kind == "sales":
        return columns, (effect + columns["x"] @ [3, 2, 1, 0.5] + 2 * random.normal(size=n)).astype(np.float32)
    chances = columns["x"] @ SLOPES + effect[:, None] * [0.3, 0, -0.3] + random.gumbel(size=(n, 3))
    return columns, chances.argmax(axis=1)


@pytest.fixture(scope="module", params=["sales", "best_seller"])
def case(request, quick_keras):
    """(kind, result, float32 network)."""
    import tf_keras as keras

    from farebox.components import compress

    keras.utils.set_random_seed(2)
    layers, kind = keras.layers, request.param
    shop, x = keras.Input((1,), dtype="int64", name="shop"), keras.Input((4,), name="x")
    table = layers.Flatten()(layers.Embedding(SHOPS, 12, name="shops")(shop))
    hidden = layers.Dense(32, activation="relu")(layers.Concatenate()([table, x]))
    network = keras.Model([shop, x], layers.Dense(1 if kind == "sales" else 3)(layers.Dense(16, "relu")(hidden)))
    loss = "mse" if kind == "sales" else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(0.01), loss)
    network.fit(*rows(12_000, SHOPS, 1, kind), epochs=12, batch_size=128, verbose=0)
    given = {
        name: rows(n, SEEN, seed, kind)
        for name, n, seed in (("train", 900, 2), ("evaluation", 300, 3), ("test", 600, 4))
    }
    return kind, compress(network, **given, budget="2%"), network


def error_of(kind: str, predictions: np.ndarray, labels: np.ndarray) -> float:
    """RMSE, or log loss of logits."""
    from scipy.special import log_softmax

    if kind == "sales":
        return float(np.sqrt(np.mean((predictions.reshape(-1) - labels) ** 2)))
    return float(-log_softmax(predictions, axis=1)[np.arange(len(labels)), labels].mean())


@pytest.mark.slow
def test_the_error_on_new_rows_lies_in_its_interval(case):
    kind, result, _ = case
    columns, labels = rows(40_000, SEEN, 5, kind)
    error = error_of(kind, TfliteModel(result.content).predict(columns), labels)
    assert result.test.shipped.low <= error <= result.test.shipped.high
    assert (
        result.metric == ("rmse" if kind == "sales" else "log_loss") and result.bytes.shipped < result.bytes.float32 / 2
    )


@pytest.mark.slow
def test_ids_that_the_rows_lack_are_answered_as_well(case):
    """The budget of 2 % holds for them too: where rows lack their ids, no row of a table is taken for untrained."""
    kind, result, network = case
    columns, labels = rows(40_000, SHOPS, 6, kind)
    before = error_of(kind, network(columns).numpy(), labels)
    after = error_of(kind, TfliteModel(result.content).predict(columns), labels)
    assert after <= 1.03 * before
    assert result.notes[0].startswith(f"the rows lack {SHOPS - SEEN} of {SHOPS} ids of shop; on rows made with them")
