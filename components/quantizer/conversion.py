"""TFLite files of a network in each number format, and one raw-input file of what stands before it and the network.

The two parts are converted apart and joined afterwards: coordinates stay float32 whatever the network becomes, and no
name of a node has to be known for it.
Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference".
"""

from __future__ import annotations

import fnmatch
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.quantizer.settings import Rung
from farebox.components.tflite.int8_weights import int8_weights
from farebox.components.tflite.interpreter import schema
from farebox.components.tflite.join import join
from farebox.components.tflite.slim import slim

Function = Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]
Rows = Mapping[str, np.ndarray]
ANY_OPS = tf.lite.OpsSet.TFLITE_BUILTINS
INT8_OPS = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
INT16_OPS = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8


class Exported:
    """A SavedModel of a function, in a folder that goes with the object; from it every format is converted.

    captured: what holds the variables and tables that the function uses. No Keras layer or model: of each, SavedModel
    would trace functions of its own, which takes longer than the conversion.
    """

    def __init__(self, function: Function, signature: Mapping[str, tf.TensorSpec], captured: Any) -> None:
        self.names = tuple(signature)
        self._folder = tempfile.TemporaryDirectory()
        module = tf.Module()
        module.captured = captured
        serving = tf.function(function, input_signature=[dict(signature)], autograph=False)
        tf.saved_model.save(module, self._folder.name, signatures={"serving_default": serving})

    def converter(self) -> tf.lite.TFLiteConverter:
        """Built-in ops only: it raises where an op would need Flex."""
        converter = tf.lite.TFLiteConverter.from_saved_model(self._folder.name, signature_keys=["serving_default"])
        converter.target_spec.supported_ops = [ANY_OPS]
        return converter


def exported_network(network: keras.Model, answer: Function) -> Exported:
    """What `answer` makes of the network's own inputs."""
    signature = {
        name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name)
        for name, tensor in zip(network.input_names, network.inputs, strict=True)
    }
    return Exported(answer, signature, network.variables)


class Front:
    """What stands before a network: raw columns of shape (n, 1) in, the network's inputs out. Converted once."""

    def __init__(self, transform: Function, columns: Mapping[str, tf.DType]) -> None:
        self.transform, self.columns = transform, dict(columns)
        self._files: dict[tuple[str, ...], bytes] = {}

    def file(self, names: Sequence[str]) -> bytes:
        """The float32 file that gives these columns."""
        key = tuple(sorted(names))
        if key not in self._files:
            exported = self.exported(lambda found: {name: found[name] for name in key}, ())
            self._files[key] = exported.converter().convert()
        return self._files[key]

    def exported(self, then: Function, captured: Any) -> Exported:
        """The transform with something behind it, and what that captures."""
        signature = {name: tf.TensorSpec((None, 1), dtype, name) for name, dtype in self.columns.items()}
        return Exported(lambda raw: then(self.transform(raw)), signature, [_captured(self.transform), captured])


def _captured(transform: Function) -> Any:
    """What TFT's layer tracks of the graph that it has loaded; another function itself."""
    return getattr(transform, "_saved_model_loader_tracked_dict", transform)


class Source:
    """A network and what stands before it, ready to be converted to any rung.

    calibration: rows for ranges, each of shape (1, ...): of the network's inputs, and of the raw columns for int8_io
    where there is a front. output: the name of the file's output. non_negative: the file answers 0 where the network
    answers less: the last Dense layer's operator does it, at no cost.
    """

    def __init__(
        self,
        network: keras.Model,
        front: Front | None,
        calibration: Sequence[Rows],
        output: str,
        non_negative: bool = False,
    ) -> None:
        self.network, self._front, self._calibration = network, front, calibration
        self._output, self._non_negative = output, non_negative
        self._exported = exported_network(network, self._answer)
        self._calibrated: bytes | None = None

    def _answer(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The file's output from the network's inputs, which may be among others."""
        found = self.network({name: inputs[name] for name in self.network.input_names}, training=False)
        return {self._output: tf.nn.relu(found) if self._non_negative else found}

    def file(self, rung: Rung, kept_float: Sequence[str] = (), is_sparse: bool = False) -> bytes:
        """The whole file. Raises what the converter raises, where it cannot.

        kept_float: nodes that int8 leaves float. is_sparse: kernels with many zeros are written without them.
        """
        if rung == "int8_io":
            return slim(self._all_integer())
        part = self._int8(kept_float) if rung == "int8" else self._part(rung, is_sparse)
        return slim(join(self._front.file(self.network.input_names), part) if self._front else part)

    def _part(self, rung: Rung, is_sparse: bool = False) -> bytes:
        """The network alone."""
        converter = self._exported.converter()
        if is_sparse:
            converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
        if rung not in ("float32", "int8_weights"):
            converter.optimizations = [*converter.optimizations, tf.lite.Optimize.DEFAULT]
        if rung == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if rung == "int16x8":
            converter.target_spec.supported_ops = [INT16_OPS, ANY_OPS]
            converter.representative_dataset = self._representative(self._exported)
        content = converter.convert()
        return int8_weights(content) if rung == "int8_weights" else content

    def _int8(self, kept_float: Sequence[str]) -> bytes:
        """The network alone with int8 weights and activations, but for the nodes named."""
        from tensorflow.lite.python.convert import mlir_quantize

        if self._calibrated is None:
            converter = self._exported.converter()
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = self._representative(self._exported)
            converter._experimental_calibrate_only = True  # one calibration serves every choice of nodes
            self._calibrated = converter.convert()
        return mlir_quantize(self._calibrated, denylisted_nodes=list(kept_float))

    def _all_integer(self) -> bytes:
        """Everything in int8, what stands before the network too."""
        exported = self._front.exported(self._answer, self.network.variables) if self._front else self._exported
        converter = exported.converter()
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [INT8_OPS, ANY_OPS]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converter.representative_dataset = self._representative(exported)
        return converter.convert()

    def _representative(self, exported: Exported) -> Callable[[], Iterator[dict[str, np.ndarray]]]:
        return lambda: ({name: row[name] for name in exported.names} for row in self._calibration)

    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes that int8 can quantize, in the network's order."""
        read = schema()
        model = read.ModelT.InitFromObj(read.Model.GetRootAs(self._part("float32"), 0))
        (graph,) = model.subgraphs
        tensors = (graph.tensors[int(operator.outputs[0])] for operator in graph.operators)
        return tuple(tensor.name.decode() for tensor in tensors if tensor.type == read.TensorType.FLOAT32)


def matching(nodes: Sequence[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """The nodes that a pattern matches. Raises InputError for a pattern that matches none."""
    for pattern in patterns:
        if not fnmatch.filter(nodes, pattern):
            raise InputError(f"quantizer.keep_float={pattern} must match a node, got none of {', '.join(nodes)}")
    return tuple(node for node in nodes if any(fnmatch.fnmatchcase(node, pattern) for pattern in patterns))


def calibration_rows(batches: Iterable[tuple[Rows, np.ndarray]], n_rows: int) -> list[dict[str, np.ndarray]]:
    """Real rows, each of shape (1, ...): those with the highest (3 in 10) and lowest (1 in 10) labels, and the first.

    batches: columns and labels of shape (n,). A range that misses the rare long trips saturates on them: calibrated on
    the first rows alone, int8 cost 3 % of RMSE.
    """
    n_high, n_low = 3 * n_rows // 10, n_rows // 10
    kept: list[dict[str, np.ndarray]] = []
    labels, ages = np.empty(0), np.empty(0, np.int64)
    seen = 0
    for columns, found in batches:
        labels, ages = np.concatenate([labels, found]), np.concatenate([ages, np.arange(seen, seen + len(found))])
        seen += len(found)
        kept += [{name: values[i : i + 1] for name, values in columns.items()} for i in range(len(found))]
        ranked = np.argsort(labels, kind="stable")
        extremes = {*ranked[len(ranked) - min(n_high, len(ranked)) :], *ranked[:n_low]}
        others = [i for i in np.argsort(ages) if i not in extremes][: max(n_rows - len(extremes), 0)]
        chosen = sorted((int(i) for i in {*extremes, *others}), key=lambda i: ages[i])
        labels, ages, kept = labels[chosen], ages[chosen], [kept[i] for i in chosen]
    return kept
