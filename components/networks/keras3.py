"""Keras 3 models built anew of tf_keras' layers, where both have them; `keras3_child` reads them."""

from __future__ import annotations

import inspect
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Weights = Mapping[str, Any]  # by layer, arrays, or Weights of a model inside the model

CLOSE = 1e-4  # of the largest answer
NEW_KEYS = ("quantization_config", "build_config")  # that tf_keras lacks
MODELS = ("Functional", "Sequential")
MERGES = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")


def is_keras3(path: Path) -> bool:
    """Whether a file is a `.keras` archive of Keras 3."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        if "metadata.json" not in archive.namelist():
            return False
        version = json.loads(archive.read("metadata.json")).get("keras_version", "")
    return str(version).split(".")[0] == "3"


def rebuilt(described: Mapping[str, Any]) -> Any | None:
    """Returns the model that `read` described in tf_keras, which answers alike; None if tf_keras lacks something."""
    try:
        network = _model(described["class_name"], described["config"], described["weights"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, NotImplementedError):
        return None  # a layer, or one of its arguments, that tf_keras does not have
    answers, expected = np.asarray(network(described["inputs"], training=False)), described["answers"]
    largest = float(np.abs(expected).max())
    if answers.shape != expected.shape or not np.abs(answers - expected).max() <= CLOSE * largest:
        return None
    _compile(network, *described["loss"])
    return network


def _compile(network: Any, loss: str, arguments: Mapping[str, Any]) -> None:
    """Compiles with the loss, which tells the objective; with none that tf_keras lacks."""
    import tf_keras as keras

    if loss and hasattr(keras.losses, loss):
        known = getattr(keras.losses, loss)
        network.compile(loss=known(**arguments) if isinstance(known, type) else loss)


def _model(class_name: str, config: Mapping[str, Any], weights: Weights) -> Any:
    import tf_keras as keras

    tensors: dict[tuple[str, int, int], Any] = {}
    if class_name == "Sequential":
        return _sequential(config, weights)
    waiting = list(config["layers"])
    while waiting:
        ready = [each for each in waiting if all(key in tensors for key in _sources(each["inbound_nodes"]))]
        if not ready:
            raise ValueError("nodes that wait for each other, as of a layer that is used on its own answers")
        for each in ready:
            waiting.remove(each)
            layer = _layer(each, weights)
            for number, node in enumerate(each["inbound_nodes"] or [None]):
                output = layer if node is None else _called(layer, each, node, tensors)
                for place, tensor in enumerate(output if isinstance(output, list | tuple) else [output]):
                    tensors[each["name"], number, place] = tensor
            _set_weights(layer, weights.get(each["name"]))
    ends = {end: [tensors[tuple(key)] for key in _keys(config[end])] for end in ("input_layers", "output_layers")}
    return keras.Model(ends["input_layers"], ends["output_layers"], name=config["name"])


def _keys(ends: Any) -> list[Any]:
    """(layer, node, tensor) of inputs or outputs: one of them, or a list or a dict of several."""
    if isinstance(ends, Mapping):
        return [key for each in ends.values() for key in _keys(each)]
    if ends and isinstance(ends[0], str):
        return [ends]
    return [key for each in ends for key in _keys(each)]


def _sequential(config: Mapping[str, Any], weights: Weights) -> Any:
    import tf_keras as keras

    first, *others = config["layers"]
    shape = first["config"]["batch_shape"] if first["class_name"] == "InputLayer" else config["build_input_shape"]
    name = first["config"]["name"] if first["class_name"] == "InputLayer" else "input"
    dtype = first["config"].get("dtype", "float32") if first["class_name"] == "InputLayer" else "float32"
    start = keras.Input(tuple(shape[1:]), name=name, dtype=_plain(dtype))
    x = start
    for each in others if first["class_name"] == "InputLayer" else config["layers"]:
        layer = _layer({**each, "name": each["config"]["name"]}, weights)
        x = layer(x)
        _set_weights(layer, weights.get(each["config"]["name"]))
    return keras.Model(start, x, name=config["name"])


def _layer(described: Mapping[str, Any], weights: Weights) -> Any:
    """A layer, a model, or an input's tensor."""
    import tf_keras as keras

    kind, config = described["class_name"], described["config"]
    if kind == "InputLayer":
        return keras.Input(tuple(config["batch_shape"][1:]), name=config["name"], dtype=_plain(config["dtype"]))
    if kind in MODELS:
        return _model(kind, config, weights[config["name"]])
    if _is_merge(described):
        return getattr(keras.layers, kind)(name=config["name"])
    if not str(described.get("module", "")).startswith("keras.layers"):
        raise ValueError(f"{kind} is no layer of Keras")
    layer = getattr(keras.layers, kind)
    known = {*inspect.signature(layer.__init__).parameters, "trainable", "name", "dtype"}
    is_idle = {
        key for key, value in config.items() if key not in known and value in (None, False)
    }  # only Keras 3 has it
    return layer.from_config({key: _plain(value) for key, value in config.items() if key not in (*is_idle, *NEW_KEYS)})


def _is_merge(described: Mapping[str, Any]) -> bool:
    """Whether it is the operation of a sign between two tensors, such as +, which tf_keras has as a layer."""
    return str(described.get("module", "")).startswith("keras.src.ops") and described["class_name"] in MERGES


def _called(layer: Any, described: Mapping[str, Any], node: Mapping[str, Any], tensors: Mapping[Any, Any]) -> Any:
    """The layer's answer to what a node hands it."""
    arguments = _put(node["args"], tensors)
    if _is_merge(described):
        return layer(arguments)
    return layer(*arguments, **_kwargs(node, tensors))


def _plain(value: Any) -> Any:
    """A setting as tf_keras writes it: policies of types by name."""
    if isinstance(value, Mapping) and value.get("class_name") == "DTypePolicy":
        return value["config"]["name"]
    return value


def _set_weights(layer: Any, weights: Any) -> None:
    if weights and not isinstance(weights, Mapping):
        layer.set_weights(weights)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__"


def _sources(nodes: Any) -> list[tuple[str, int, int]]:
    """The tensors that nodes read."""
    if _is_tensor(nodes):
        return [tuple(nodes["config"]["keras_history"])]
    parts = nodes.values() if isinstance(nodes, Mapping) else nodes if isinstance(nodes, list | tuple) else ()
    return [key for each in parts for key in _sources(each)]


def _put(value: Any, tensors: Mapping[tuple[str, int, int], Any]) -> Any:
    """Arguments with tensors in place of their names."""
    if _is_tensor(value):
        return tensors[tuple(value["config"]["keras_history"])]
    if isinstance(value, list | tuple):
        return [_put(each, tensors) for each in value]
    return {key: _put(each, tensors) for key, each in value.items()} if isinstance(value, Mapping) else value


def _kwargs(node: Mapping[str, Any], tensors: Mapping[tuple[str, int, int], Any]) -> dict[str, Any]:
    """Arguments by name; those without a value are left to tf_keras."""
    return {key: _put(value, tensors) for key, value in node["kwargs"].items() if value is not None}
