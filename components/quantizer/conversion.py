"""TFLite files of a network on each rung, joined with the transform before it: one file from raw columns.

The two parts are converted separately and then joined: coordinates stay float32 on every rung, and no node has to be
known by name.
Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference".
"""

from __future__ import annotations

import fnmatch
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.quantizer.bucket_search import without_searches
from farebox.components.quantizer.native import Columns, Run, converted, here, quantized
from farebox.components.quantizer.rungs import FLOAT32, RUNGS, Rung
from farebox.components.tflite.description import Description
from farebox.components.tflite.flatbuffer import opened
from farebox.components.tflite.integer_weights import integer_weights, nodes_with_weights
from farebox.components.tflite.interpreter import schema
from farebox.components.tflite.join import join
from farebox.components.tflite.merged_look_ups import with_merged_look_ups
from farebox.components.tflite.metadata import described
from farebox.components.tflite.portable import portable
from farebox.components.tflite.rounding import without_fine_rounding
from farebox.components.tflite.scale_folding import without_scaling
from farebox.components.tflite.slim import slim
from farebox.components.tflite.types import stored_type

Function = Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]


class Exported:
    """A SavedModel of a function, from which every rung is converted. Its folder is deleted with the object.

    captured: the variables and tables that the function uses, never a Keras layer or model: SavedModel would trace
    functions of its own for each, which takes longer than the conversion.
    """

    def __init__(self, function: Function, signature: Mapping[str, tf.TensorSpec], captured: Any) -> None:
        self.names = tuple(signature)
        self._aside = tempfile.TemporaryDirectory()
        self.folder = self._aside.name
        module = tf.Module()
        module.captured = captured
        serving = tf.function(function, input_signature=[dict(signature)], autograph=False)
        tf.saved_model.save(module, self.folder, signatures={"serving_default": serving})
        without_searches(self.folder)


def exported_network(network: keras.Model, answer: Function, batch: int | None = None) -> Exported:
    """Exports `answer` as a function of the network's inputs; batch: rows of a call, None for any number."""
    signature = {
        name: tf.TensorSpec((batch, *tensor.shape[1:]), stored_type(tensor.dtype.name), name)
        for name, tensor in zip(network.input_names, network.inputs, strict=True)
    }
    return Exported(answer, signature, network.variables)


class Front:
    """The transform before a network, from raw columns of shape (n, 1) to the network's inputs. Converted once."""

    def __init__(self, transform: Function, columns: Mapping[str, tf.DType]) -> None:
        self.transform, self.columns = transform, dict(columns)
        self._files: dict[tuple[str, ...], bytes] = {}

    def file(self, names: Sequence[str]) -> bytes:
        """Returns the float32 file whose outputs are the transformed columns `names`, without their fine rounding."""
        key = tuple(sorted(names))
        if key not in self._files:
            exported = self.exported(lambda transformed: {name: transformed[name] for name in key}, ())
            self._files[key] = without_fine_rounding(converted(exported.folder, FLOAT32, ()))
        return self._files[key]

    def exported(self, then: Function, captured: Any) -> Exported:
        """Exports the transform followed by `then`, which uses `captured`."""
        signature = {name: tf.TensorSpec((None, 1), dtype, name) for name, dtype in self.columns.items()}
        return Exported(lambda raw: then(self.transform(raw)), signature, [_captured(self.transform), captured])


def _captured(transform: Function) -> Any:
    """Returns what a layer of TFT tracks of the graph that it loaded; any other function as it is."""
    return getattr(transform, "_saved_model_loader_tracked_dict", transform)


class Source:
    """A network and the transform before it, ready to be converted to any rung.

    calibration: rows for activation ranges, each of shape (1, ...): of the network's inputs, or of the raw columns for
    a rung that quantizes them. output: the name of the file's output. non_negative: the file returns 0 if the network
    returns less; the operator of the last Dense layer does it, at no cost. description: the file carries it. run: calls
    native code. batch: rows that the file takes at once, None for any number. keeps_names: of inner tensors.
    """

    def __init__(
        self,
        network: keras.Model,
        front: Front | None,
        calibration: Sequence[Columns],
        output: str,
        *,
        non_negative: bool = False,
        description: Description | None = None,
        run: Run = here,
        batch: int | None = None,
        keeps_names: bool = False,
    ) -> None:
        self.network, self._front, self._calibration = network, front, calibration
        self._output, self._non_negative, self._description = output, non_negative, description
        self._run, self.batch, self._keeps_names = run, batch, keeps_names
        self._exported = exported_network(network, self._answer, batch)
        self._calibrated: bytes | None = None
        self._float32: bytes | None = None

    def _answer(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Computes the file's output from the network's inputs; `inputs` may have more names."""
        output = self.network({name: inputs[name] for name in self.network.input_names}, training=False)
        return {self._output: tf.nn.relu(output) if self._non_negative else output}

    def file(self, rung: str, kept_float: Sequence[str] = (), *, is_sparse: bool = False) -> bytes:
        """Returns the whole file. Raises what the converter raises if it cannot convert.

        kept_float: nodes that stay float. is_sparse: kernels with many zeros are stored without them.
        """
        content = self._bare_file(rung, kept_float, is_sparse=is_sparse)
        return described(content, self._description) if self._description else content

    def _bare_file(self, rung: str, kept_float: Sequence[str] = (), *, is_sparse: bool = False) -> bytes:
        """Returns the file without a description."""
        row = RUNGS[rung]
        if row.is_of_raw_columns:
            front = self._front
            exported = front.exported(self._answer, self.network.variables) if front else self._exported
            return self._slim(portable(self._converted(row, exported), exported.names))
        is_calibrated = row.calibrates and row.can_keep_float
        part = self._calibrated_once(row, kept_float) if is_calibrated else self._part(row, kept_float, is_sparse)
        if self._front is None:
            return self._slim(portable(part, self._exported.names))
        whole = without_scaling(join(self._front.file(self.network.input_names), part))
        thin = self._slim(portable(whole, tuple(self._front.columns)))
        return min(thin, self._slim(with_merged_look_ups(thin)), key=len)

    def _slim(self, content: bytes) -> bytes:
        return slim(content, keeps_names=self._keeps_names)

    def _part(self, rung: Rung, kept_float: Sequence[str] = (), is_sparse: bool = False) -> bytes:
        """Converts the network without the transform before it; float32, which integer weights begin with, once."""
        if rung.is_optimized or is_sparse:
            return self._converted(rung, self._exported, is_sparse=is_sparse)
        self._float32 = self._float32 or self._converted(FLOAT32, self._exported)
        if rung.weight_bits is None:
            return self._float32
        channels = rung.has_channel_scales
        return integer_weights(self._float32, rung.weight_bits, with_channels=channels, kept_float=kept_float)

    def _converted(
        self, rung: Rung, exported: Exported, *, is_sparse: bool = False, only_calibrates: bool = False
    ) -> bytes:
        rows = self._calibration if rung.calibrates else ()
        calibration = [{name: row[name] for name in exported.names} for row in rows]
        content: bytes = self._run(converted, exported.folder, rung, calibration, is_sparse, only_calibrates)
        return content

    def _calibrated_once(self, rung: Rung, kept_float: Sequence[str]) -> bytes:
        """Converts the network with the named nodes float; one calibration serves every choice of nodes."""
        self._calibrated = self._calibrated or self._converted(rung, self._exported, only_calibrates=True)
        content: bytes = self._run(quantized, self._calibrated, tuple(kept_float))
        return content

    def nodes(self, rung: str) -> tuple[str, ...]:
        """Names of the nodes that a rung can quantize, in the network's order."""
        if RUNGS[rung].weight_bits is not None:
            return nodes_with_weights(self._part(FLOAT32))
        graph, *_ = opened(self._part(FLOAT32)).subgraphs
        tensors = (graph.tensors[int(operator.outputs[0])] for operator in graph.operators)
        return tuple(tensor.name.decode() for tensor in tensors if tensor.type == schema().TensorType.FLOAT32)


def matching(nodes: Sequence[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """Returns the nodes that a pattern matches. Raises InputError for a pattern that matches none."""
    for pattern in patterns:
        if not fnmatch.filter(nodes, pattern):
            raise InputError(f"quantizer.keep_float={pattern} must match a node, got none of {', '.join(nodes)}")
    return tuple(node for node in nodes if any(fnmatch.fnmatchcase(node, pattern) for pattern in patterns))


def calibration_rows(
    batches: Iterable[tuple[Columns, npt.NDArray[Any]]], n_rows: int
) -> list[dict[str, npt.NDArray[Any]]]:
    """Returns real rows of shape (1, ...): 3 in 10 with the highest labels, 1 in 10 with the lowest, then the first.

    batches: columns and labels of shape (n,). A range that misses the rare long trips saturates on them: calibrated on
    the first rows only, int8 cost 3 % of RMSE.
    """
    n_high, n_low = 3 * n_rows // 10, n_rows // 10
    kept: list[dict[str, npt.NDArray[Any]]] = []
    labels, ages = np.empty(0), np.empty(0, np.int64)
    n_seen = 0
    for columns, new in batches:
        labels, ages = np.concatenate([labels, new]), np.concatenate([ages, np.arange(n_seen, n_seen + len(new))])
        n_seen += len(new)
        kept += [{name: values[i : i + 1] for name, values in columns.items()} for i in range(len(new))]
        ranked = np.argsort(labels, kind="stable")
        extremes = {*ranked[len(ranked) - min(n_high, len(ranked)) :], *ranked[:n_low]}
        others = [i for i in np.argsort(ages) if i not in extremes][: max(n_rows - len(extremes), 0)]
        chosen = sorted((int(i) for i in {*extremes, *others}), key=lambda i: ages[i])
        labels, ages, kept = labels[chosen], ages[chosen], [kept[i] for i in chosen]
    return kept
