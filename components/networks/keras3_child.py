"""A process for Keras 3, in which no other Keras is used: reads a model, or exports it.

Its functions are called through `quantizer.child.Child`; no other module imports `keras`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.networks.keras3 import MODELS, Weights

Array = npt.NDArray[Any]
SAMPLE_ROWS = 8
CAUSE = "Exception encountered: "  # in a message of Keras


def read(path: str, imports: Sequence[str], is_safe: bool) -> dict[str, Any]:
    """Returns config, weights and loss of a model, and its answers to a few rows.

    Raises InputError, without the model's name, if it cannot be loaded.
    """
    model = _loaded(path, imports, is_safe)
    inputs = {tensor.name: _sample(tensor) for tensor in model.inputs}
    return {
        "class_name": type(model).__name__,
        "config": model.get_config(),
        "weights": _weights(model),
        "loss": _loss(model),
        "inputs": inputs,
        "answers": np.asarray(_answer(model, list(inputs.values()))),
    }


def export(path: str, imports: Sequence[str], is_safe: bool, folder: str, batch: int | None) -> None:
    """Writes a SavedModel of the model, whose signature has its input names."""
    import tensorflow as tf

    model = _loaded(path, imports, is_safe)
    specs = {each.name: tf.TensorSpec((batch, *each.shape[1:]), each.dtype, each.name) for each in model.inputs}
    module = tf.Module()
    module.variables_of_model = [each.value for each in model.variables]
    serving = tf.function(
        lambda inputs: {"output": _answer(model, [inputs[name] for name in specs])},
        input_signature=[specs],
        autograph=False,
    )
    tf.saved_model.save(module, folder, signatures={"serving_default": serving})


def _loaded(path: str, imports: Sequence[str], is_safe: bool) -> Any:
    os.environ["KERAS_BACKEND"] = "tensorflow"  # this process has no other Keras
    import keras

    own = own_parts([importlib.import_module(module) for module in imports])
    for is_compiled in (True, False):
        try:
            model = keras.saving.load_model(path, own, compile=is_compiled, safe_mode=is_safe)
            break
        except Exception as error:  # Keras raises errors of all kinds for a damaged archive
            if not is_compiled:
                raise InputError(f"cannot be loaded by Keras {keras.__version__}: {_first_line(error)}") from error
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise InputError(f"must be a functional or a sequential model, got {type(model).__name__}")
    if len(model.outputs) != 1:
        raise InputError(f"must have one output, got {', '.join(each.name for each in model.outputs)}")
    return model


def own_parts(modules: Sequence[Any]) -> dict[str, Any]:
    """The classes and functions that modules define, by name: a Keras finds those that are not registered so."""
    values = ((name, value, module) for module in modules for name, value in vars(module).items())
    return {
        name: value
        for name, value, module in values
        if callable(value) and getattr(value, "__module__", "") == module.__name__
    }


def _first_line(error: Exception) -> str:
    """The first line of an error, or of the innermost one that it tells of."""
    lines = [*str(error).strip().splitlines(), type(error).__name__]
    inner = [line.removeprefix(CAUSE) for line in lines if line.startswith(CAUSE)]
    return inner[-1].partition(". Full object config")[0].rstrip(".") if inner else lines[0]


def _answer(model: Any, tensors: Sequence[Any]) -> Any:
    import keras

    is_chain = isinstance(model, keras.Sequential)
    inputs = tensors[0] if is_chain else keras.tree.pack_sequence_as(model.input, list(tensors))
    (output,) = keras.tree.flatten(model(inputs, training=False))
    return output


def _sample(tensor: Any) -> Array:
    """Rows of an input: normal numbers, or ids that every table has."""
    random, shape = np.random.default_rng(0), (SAMPLE_ROWS, *(size or 1 for size in tensor.shape[1:]))
    if "int" in tensor.dtype:
        return random.integers(0, 2, shape).astype(tensor.dtype)
    return random.normal(size=shape).astype(tensor.dtype)


def _weights(model: Any) -> Weights:
    return {
        layer.name: _weights(layer) if type(layer).__name__ in MODELS else layer.get_weights() for layer in model.layers
    }


def _loss(model: Any) -> tuple[str, dict[str, Any]]:
    """Name of the loss that the model was compiled with, and its arguments; empty without one."""
    loss = getattr(model, "loss", None)
    if isinstance(loss, str):
        return loss, {}
    if loss is None or not hasattr(loss, "get_config"):
        return getattr(loss, "__name__", ""), {}
    return type(loss).__name__, {key: value for key, value in loss.get_config().items() if key == "from_logits"}
