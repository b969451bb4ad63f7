"""Which weights a fine-tuned network keeps."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.networks import examples_io, fine_tuning

X = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]


def fine_tune(network, train, evaluation, **settings) -> float:
    return fine_tuning.fine_tune(network, train, evaluation, shuffle=np.random.RandomState(1), **settings)


@pytest.fixture
def line(quick_keras):
    """y = 0 * x + 0, and rows of y = x that it may learn from."""
    import tensorflow as tf
    import tf_keras as keras

    keras.utils.set_random_seed(1)
    x = keras.Input((1,), name="x")
    network = keras.Model(x, keras.layers.Dense(1, kernel_initializer="zeros", name="fare")(x))
    return network, tf.data.Dataset.from_tensor_slices(({"x": X}, X)).batch(8)


@pytest.mark.parametrize("keep_best", [True, False])
def test_the_error_it_returns_is_that_of_the_weights_it_keeps(line, keep_best):
    """At this learning rate the error swings around 0: of 4 epochs the last is not the best."""
    import tf_keras as keras

    network, batches = line
    errors = []
    record = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: errors.append(logs["val_error"]))
    rmse = fine_tune(network, batches, batches, epochs=4, learning_rate=1.0, callbacks=(record,), keep_best=keep_best)
    assert errors[-1] > min(errors)
    assert rmse == (min(errors) if keep_best else errors[-1])
    assert examples_io.network_error(network, batches).rmse == pytest.approx(rmse, rel=1e-4, abs=1e-6)


def test_keeps_the_weights_from_before_if_no_epoch_is_better(line):
    network, batches = line
    before = network.get_weights()
    assert fine_tune(network, batches, batches, epochs=2, learning_rate=0.01, start_error=1e-9) == 1e-9
    for weight, kept in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)


def test_callbacks_are_called(line):
    import tf_keras as keras

    network, batches = line
    epochs, steps = [], []
    count = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, _: epochs.append(epoch), on_batch_end=lambda batch, **_: steps.append(batch)
    )
    fine_tune(network, batches, batches, epochs=3, learning_rate=0.01, callbacks=(count,))
    assert epochs == [0, 1, 2] and steps == 3 * list(range(8))


def test_an_epoch_in_one_graph_takes_the_steps_that_callbacks_see(line):
    """The same weights after them, bit for bit, and after_step runs after each of the 3 times 8."""
    import tensorflow as tf
    import tf_keras as keras

    network, batches = line
    start, count, trained = network.get_weights(), tf.Variable(0), []
    for callbacks in ((), (keras.callbacks.Callback(),)):
        network.set_weights(start)
        count.assign(0)
        fine_tune(
            network,
            batches,
            batches,
            epochs=3,
            learning_rate=0.1,
            callbacks=callbacks,
            keep_best=False,
            after_step=lambda: count.assign_add(1),
        )
        assert int(count) == 24
        trained.append(network.get_weights())
    assert not np.array_equal(trained[0][0], start[0])
    for in_one_graph, step_by_step in zip(*trained, strict=True):
        np.testing.assert_array_equal(in_one_graph, step_by_step)


def test_losses_of_layers_are_minimized_too(line):
    """Weight decay of a layer's own: with nothing to learn, the weight falls."""
    import tf_keras as keras

    _, batches = line
    x = keras.Input((1,), name="x")
    decaying = keras.layers.Dense(1, kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(10.0))
    network = keras.Model(x, decaying(x))
    train = fine_tuning.imitating(batches, network)
    fine_tune(network, train, batches, epochs=3, learning_rate=0.1, keep_best=False)
    assert abs(float(decaying.kernel[0, 0])) < 0.5


def test_imitated_labels_are_predictions_of_the_source(line):
    """The source predicts 3 x, and the labels are x."""
    import tf_keras as keras

    _, batches = line
    x = keras.Input((1,), name="x")
    three = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(3.0))
    ((columns, labels),) = fine_tuning.imitating(batches.unbatch().batch(64), keras.Model(x, three(x)))
    np.testing.assert_allclose(labels, 3 * X, rtol=1e-6)
    np.testing.assert_array_equal(columns["x"], X)
