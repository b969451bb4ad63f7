"""The objective of the three nodes: as set, or as network and labels say."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.networks.labels import resolved
from farebox.components.networks.rows import Rows

NODES = {
    "reducer": ("pca_reducer", "PcaReducer", {}),
    "pruner": ("pruner", "Pruner", {}),
    "quantizer": (
        "quantizer", "Quantizer",
        {"model_inputs": "pickup_hour", "non_negative": 0, "bands": "{}", "description": ""},
    ),
}  # fmt: skip


@pytest.mark.parametrize("section", NODES)
def test_a_node_refuses_what_the_labels_contradict(section, run_node, toy_network):
    folder, name, properties = NODES[section]
    component, executor = (
        importlib.import_module(f"farebox.components.{folder}.{part}") for part in ("component", "executor")
    )
    run = getattr(executor, f"{name}Executor"), getattr(component, f"{name}Spec")
    networks = {"model": toy_network, "unreduced_model": toy_network}
    with pytest.raises(InputError, match=r"^objective=binary \(as set\): the rows: labels must be 0 and 1, got "):
        run_node(*run, networks, {"objective": "binary"}, **properties)


@pytest.mark.parametrize("section", NODES)
@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (
            {"objective": "ranking"},
            "objective=ranking must be auto, regression, binary, classes, multilabel",
        ),
        (
            {"objective": "binary", "metric": "rmse"},
            "metric=rmse must be log_loss or accuracy or auc with objective=",
        ),
        ({"metric": "f1"}, "metric=f1 must be auto, rmse, mae, log_loss, accuracy, auc"),
        ({"objective": "custom:m:f", "metric": "mae"}, "metric=mae must be auto: custom:m:f is the metric itself"),
    ],
)
def test_settings_name_the_objective_that_there_is_not(section, chosen, text):
    folder, name, _ = NODES[section]
    settings = importlib.import_module(f"farebox.components.{folder}.settings")
    kind = getattr(settings, {"reducer": "ReducerSettings"}.get(section, f"{name}Settings"))
    with pytest.raises(ValueError, match=f"^{section}.{text}"):
        kind(**chosen)


def test_ids_from_1_become_ids_from_0_in_every_split(quick_keras):
    """A logits head, as of TFX's penguins; all splits together decide where ids begin."""
    import tf_keras as keras

    keras.utils.set_random_seed(1)
    x = keras.Input((2,), name="x")
    network = keras.Model(x, keras.layers.Dense(3)(x))
    random = np.random.default_rng(0)

    def rows(labels: list[int]) -> Rows:
        return Rows({"x": random.normal(size=(len(labels), 2)).astype(np.float32)}, np.array(labels, np.float32), 8)

    resolution, splits = resolved(network, {"train": rows([1, 2, 3]), "eval": rows([2, 3])}, "auto", "accuracy")
    assert resolution.text.startswith("classes: its last layer is linear, the labels are ids")
    assert resolution.objective.is_logits and resolution.objective.metric == "accuracy"
    assert splits["train"].labels.tolist() == [[0], [1], [2]] and splits["eval"].labels.tolist() == [[1], [2]]


def test_a_reshape_behind_the_last_layer_hides_nothing(quick_keras):
    import tf_keras as keras

    from farebox.components.networks.objective import last_activation

    x = keras.Input((2,))
    chance = keras.layers.Dense(1, activation="sigmoid")(x)
    assert last_activation(keras.Model(x, keras.layers.Reshape((1,))(chance))) == "sigmoid"
