"""What a last layer says about the error that counts, and log loss by hand."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.networks import examples_io, fine_tuning
from farebox.components.networks.errors import RunningLogLoss
from farebox.components.networks.objective import NUMBERS, Objective, objective_of


def network(units: int, activation: str | None):
    import tf_keras as keras

    x = keras.Input((2,), name="x")
    return keras.Model(x, keras.layers.Dense(units, activation=activation)(x))


@pytest.mark.parametrize(
    ("units", "activation", "metric", "n_classes"),
    [(1, None, "rmse", 0), (3, None, "rmse", 0), (1, "relu", "rmse", 0), (1, "sigmoid", "log_loss", 2),
     (3, "softmax", "log_loss", 3), (2, "softmax", "log_loss", 2)],
)  # fmt: skip
def test_the_last_layer_decides(units, activation, metric, n_classes):
    objective = objective_of(network(units, activation))
    assert (objective.metric, objective.n_classes) == (metric, n_classes)


def test_a_wrapped_last_layer_is_looked_into():
    import tensorflow_model_optimization as tfmot

    pruned = tfmot.sparsity.keras.prune_low_magnitude(network(3, "softmax"))
    assert objective_of(pruned).n_classes == 3


def test_several_outputs_are_refused():
    import tf_keras as keras

    x = keras.Input((2,), name="x")
    both = keras.Model(x, [keras.layers.Dense(1, name=name)(x) for name in ("fare", "tip")])
    with pytest.raises(ValueError, match=r"outputs=\['fare', 'tip'\] must be one"):
        objective_of(both)


def test_log_loss_by_hand():
    """Probabilities 0.5 and 0.25 of the true class, the first a hit: (ln 2 + ln 4) / 2, then a 0 held at 1e-7."""
    loss = RunningLogLoss()
    loss.update(np.array([[0.5, 0.3, 0.2], [0.7, 0.25, 0.05]]), np.array([[0], [1]]))
    assert loss.figures == pytest.approx({"log_loss": 1.5 * np.log(2), "accuracy": 0.5, "max_error": 2 * np.log(2)})
    one = RunningLogLoss()
    one.update(np.array([[0.75], [1.0]]), np.array([1, 0]))
    assert one.error == pytest.approx((np.log(4 / 3) - np.log(1e-7)) / 2)


def lines(units: int, activation: str | None, *slopes: float):
    """Networks of one input, slope times x in the last unit; rows x = 1 and 3 with labels that none of them fits."""
    import tensorflow as tf

    made = [network(units, activation) for _ in slopes]
    for one, slope in zip(made, slopes, strict=True):
        kernel = np.zeros((2, units))
        kernel[0, -1] = slope
        one.set_weights([kernel, np.zeros(units)])
    columns = {"x": np.array([[1.0, 0], [3, 0]], np.float32)}
    return *made, tf.data.Dataset.from_tensor_slices((columns, np.zeros((2, 1), np.int64))).batch(1)


def test_expected_error_of_numbers_by_hand():
    """Predictions x and 3x depart by 2 and 6, whose mean square is 20: the root of 4² + 20, whatever the labels are."""
    source, changed, rows = lines(1, None, 1.0, 3.0)
    assert examples_io.expected_error(changed, source, 4.0, rows) == pytest.approx(6.0)


@pytest.mark.parametrize(("units", "activation"), [(1, "sigmoid"), (2, "softmax")])
def test_expected_error_of_classes_is_the_divergence_from_the_source(units, activation):
    from scipy.special import expit, rel_entr

    source, changed, rows = lines(units, activation, 0.5, 1.5)
    old, new = (np.stack([expit(-s * np.array([1, 3])), expit(s * np.array([1, 3]))]) for s in (0.5, 1.5))
    divergence = rel_entr(old, new).sum(axis=0).mean()
    assert examples_io.expected_error(changed, source, 0.3, rows) == pytest.approx(0.3 + divergence, rel=1e-5)
    assert divergence > 0.05


@pytest.mark.usefixtures("quick_keras")
@pytest.mark.parametrize(("units", "activation"), [(1, "sigmoid"), (2, "softmax"), (3, "softmax")])
def test_fine_tuning_returns_the_log_loss_of_the_weights_it_keeps(units, activation):
    """Class ids as labels of eval, probabilities of a source as those of train."""
    import tensorflow as tf

    x = np.random.default_rng(0).normal(size=(96, 2)).astype(np.float32)
    ids = (x[:, :1] > 0).astype(np.int64) + (x[:, 1:] > 1 if units == 3 else 0)
    batches = tf.data.Dataset.from_tensor_slices(({"x": x}, ids)).batch(32)
    source, student = network(units, activation), network(units, activation)
    train = fine_tuning.imitating(batches, source)
    before = examples_io.network_error(student, batches).error
    kept = fine_tuning.fine_tune(
        student, train, batches, epochs=3, learning_rate=0.05, shuffle=np.random.default_rng(0), start_error=before
    )
    assert examples_io.network_error(student, batches).error == pytest.approx(kept, rel=1e-4)


def test_numbers_are_the_rest():
    assert NUMBERS.n_classes == 0 and not hasattr(NUMBERS.running(), "hits")


def test_logits_count_as_their_probabilities():
    from scipy.special import expit, softmax

    logits, ids = np.array([[2.0, -1, 0.5], [0, 0, 3]]), np.array([0, 1])
    as_logits, as_chances = RunningLogLoss(is_logits=True), RunningLogLoss()
    as_logits.update(logits, ids)
    as_chances.update(softmax(logits, axis=1), ids)
    assert as_logits.figures == pytest.approx(as_chances.figures)
    one, other = RunningLogLoss(is_logits=True), RunningLogLoss()
    one.update(logits[:, :1], ids)
    other.update(expit(logits[:, :1]), ids)
    assert one.figures == pytest.approx(other.figures)


def test_area_under_the_curve_is_scikit_learns():
    from sklearn.metrics import roc_auc_score

    from farebox.components.networks.errors import auc_error

    random = np.random.default_rng(3)
    labels, scores = random.integers(0, 2, (60, 3)), random.integers(0, 9, (60, 3)) / 9  # with ties
    assert 1 - auc_error(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
@pytest.mark.parametrize("kind", ["classes", "multilabel"])
def test_row_losses_sum_up_to_the_error(kind, metric):
    random = np.random.default_rng(4)
    objective = Objective(kind, metric, 3 if kind == "classes" else 2, is_logits=True)
    predictions = random.normal(size=(50, 4, 3))  # four pixels a row
    labels = random.integers(0, 3, (50, 4)) if kind == "classes" else random.integers(0, 2, (50, 4, 3))
    running = objective.running()
    running.update(predictions, labels)
    losses = objective.row_losses(predictions, labels)
    assert losses.shape == (50,) and objective.of_mean_loss(losses.mean()) == pytest.approx(running.error)


def test_expected_accuracy_by_hand():
    """A row of two keeps its winner; the other one's had 0.6 and its new one 0.3: (0 + 0.3) / 2."""
    before, after = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1]]), np.array([[0.5, 0.4, 0.1], [0.2, 0.7, 0.1]])
    objective = Objective("classes", "accuracy", 3)
    departure = objective.running_departure()
    departure.update(after, before)
    assert objective.with_departure(0.1, departure.error) == pytest.approx(0.25)
