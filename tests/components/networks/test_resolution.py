"""The objective of a network: as set, as compiled, or as its last layer says; labels that contradict it are refused."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.networks.metrics import METRICS
from farebox.components.networks.resolution import Head, resolve, score_named

IDS = np.array([0, 2, 1, 2])
ONE_HOT = np.eye(3)[IDS]
SHARES = np.array([0.1, 0.9, 0.5, 0.3])
CHANCES, LOGITS = np.full((4, 3), 1 / 3), np.array([[4.0, -1, 0]] * 4)


def network(units: int, activation: str | None = None, loss=None):
    import tf_keras as keras

    x = keras.Input((2,), name="x")
    made = keras.Model(x, keras.layers.Dense(units, activation=activation)(x))
    if loss is not None:
        made.compile(loss=loss() if isinstance(loss, type) else loss)
    return made


def objective(made, labels, predictions=CHANCES, kind="auto", metric="auto"):
    resolution = resolve(Head.of(made), np.asarray(labels, float), predictions, kind, metric)
    return resolution, resolution.labels("rows", np.asarray(labels, float))


@pytest.mark.parametrize(
    ("units", "activation", "labels", "expected"),
    [
        (3, "softmax", IDS, IDS),
        (3, "softmax", IDS + 1, IDS),
        (3, "softmax", ONE_HOT, IDS),
        (3, None, IDS, IDS),
    ],
    ids=["ids", "from_1", "one_hot", "logits"],
)
def test_classes_take_ids_from_0_or_1_and_one_hot(units, activation, labels, expected):
    found, ids = objective(network(units, activation), labels, CHANCES if activation else LOGITS)
    assert (found.objective.kind, found.objective.is_logits) == ("classes", activation is None)
    np.testing.assert_array_equal(ids, expected)


def test_a_shift_of_the_ids_is_told():
    found, _ = objective(network(3, "softmax"), IDS + 1)
    assert found.why.endswith("labels 1 to 3 are classes 0 to 2")


def test_several_labels_and_several_targets():
    found, labels = objective(network(3, "sigmoid"), ONE_HOT)
    assert (found.objective.kind, found.objective.n_columns, labels.shape) == ("multilabel", 1, (4, 3))
    found, labels = objective(network(2), np.ones((4, 2)) * 0.5)
    assert (found.objective.kind, labels.shape) == ("regression", (4, 2))


def test_the_compiled_loss_decides_before_the_last_layer():
    import tf_keras as keras

    assert objective(network(1, "sigmoid", "mse"), SHARES)[0].objective.kind == "regression"
    assert objective(network(1, None, "mae"), [0, 1, 1, 0])[0].objective.kind == "regression"
    from_logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert objective(network(3, None, from_logits), IDS, CHANCES)[0].objective.is_logits
    from_logits = keras.losses.BinaryCrossentropy(from_logits=True)
    found, _ = objective(network(1, None, from_logits), [0, 1, 1, 0], SHARES[:, None])
    assert (found.objective.kind, found.objective.is_logits) == ("binary", True)


@pytest.mark.parametrize(
    ("units", "activation", "labels", "text"),
    [
        (
            1,
            "sigmoid",
            SHARES,
            r"objective=binary \(its last layer is sigmoid\): the rows: labels must be 0 and 1, got 0.1",
        ),
        (3, "sigmoid", np.full((4, 3), 0.5), "objective=multilabel .* labels must be 0 and 1, got 0.5"),
        (3, "softmax", [0, 1, 2, 3.0], r"objective=classes .* labels must be class ids from 0 to 2, got 3"),
        (
            3,
            "softmax",
            np.full((4, 3), 1 / 3),
            "labels must be class ids, or 1 for one of the 3 classes and 0 elsewhere",
        ),
        (1, None, [0, 1, 1, 0], "the labels are 0 and 1, which may be numbers or classes"),
        (2, None, SHARES, "objective=regression .* labels must hold 2 numbers a row, got 1"),
    ],
)
def test_labels_that_contradict_a_guess_are_refused(units, activation, labels, text):
    with pytest.raises(
        InputError, match=text + ".*; set objective to regression, binary, classes, multilabel or custom"
    ):
        objective(network(units, activation), labels)


def test_what_is_set_is_taken():
    found, _ = objective(network(1, "sigmoid"), SHARES, kind="regression", metric="mae")
    assert (found.objective.kind, found.objective.metric, found.why) == ("regression", "mae", "as set")
    with pytest.raises(InputError, match="^metric=auc must be rmse or mae for objective=regression$"):
        objective(network(1), SHARES, kind="regression", metric="auc")
    with pytest.raises(InputError, match="^objective=ranking must be auto, regression, binary, classes, multilabel or"):
        objective(network(1), SHARES, kind="ranking")
    with pytest.raises(InputError, match="labels must be 0 and 1, got 0.1$"):  # no hint: it was set
        objective(network(1, "sigmoid"), SHARES, kind="binary")


def worst_row(predictions, labels):
    return np.abs(predictions - labels).max()


def test_a_function_is_an_objective():
    found, labels = objective(network(2), ONE_HOT[:, :2], kind=worst_row)
    running = found.objective.running()
    running.update(np.zeros((4, 2), np.float32), labels)
    assert (running.error, found.objective.metric) == (1.0, "worst_row")
    assert score_named("custom:statistics:fmean")([1, 3]) == 2
    assert objective(network(1), SHARES, kind="custom:statistics:covariance")[0].objective.metric == "covariance"
    with pytest.raises(InputError, match="^objective=custom:nothing:f must name a function as custom:MODULE:FUNCTION"):
        score_named("custom:nothing:f")


def test_each_kind_has_metrics():
    assert all(METRICS.values())
