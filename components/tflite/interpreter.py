"""Runs `.tflite` files: with ai-edge-litert if it is installed, else with tf.lite.

This module does not import TensorFlow if ai-edge-litert is installed.
"""

from __future__ import annotations

import collections
import dataclasses
import importlib.metadata
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError

BATCH_ROWS = 4096  # rows per invoke: the interpreter's memory grows with the batch, not with the rows to predict
_PLAIN_DTYPES = (np.float32, np.int32, np.int64)
_QUANTIZED_DTYPES = (np.int8, np.uint8, np.int16)


class EndsError(InputError):
    """A file with inputs or outputs that a table of numbers cannot feed and read."""


def _interpreter(content: bytes, num_threads: int, delegates: bool) -> Any:
    """An interpreter of the file; without delegates the built-in kernels run in place of XNNPACK."""
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        import tensorflow as tf

        Interpreter, OpResolverType = tf.lite.Interpreter, tf.lite.experimental.OpResolverType  # noqa: N806
    resolver = OpResolverType.AUTO if delegates else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(model_content=content, num_threads=num_threads, experimental_op_resolver_type=resolver)


def runtime() -> tuple[str, str]:
    """Name and version of the package whose interpreter runs here."""
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError:
        return "tensorflow", importlib.metadata.version("tensorflow")
    return "ai-edge-litert", importlib.metadata.version("ai-edge-litert")


def schema() -> Any:
    """The generated flatbuffer reader of the TFLite schema; both runtimes ship the same one."""
    try:
        from ai_edge_litert import schema_py_generated as generated
    except ImportError:
        from tensorflow.lite.python import schema_py_generated as generated
    return generated


def builtin_names() -> dict[int, str]:
    """Names of the built-in operators by their number."""
    operators = vars(schema().BuiltinOperator)
    return {code: name for name, code in operators.items() if isinstance(code, int)}


@dataclasses.dataclass(frozen=True)
class End:
    """An input or the output: column name, tensor index, dtype, shape after the batch axis, and for quantized numbers
    the scale and zero point that make them real."""

    name: str
    index: int
    dtype: type[np.generic]
    tail: tuple[int, ...]
    scale: float
    zero_point: int

    @property
    def is_quantized(self) -> bool:
        return self.dtype in _QUANTIZED_DTYPES and self.scale > 0

    def stored(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Numbers in the file's dtype, shape (n, *tail)."""
        if self.is_quantized:
            limits = np.iinfo(np.dtype(self.dtype).name)
            real = np.nan_to_num(values.astype(np.float64), posinf=np.inf, neginf=-np.inf)
            values = np.clip(np.rint(real / self.scale) + self.zero_point, limits.min, limits.max)
        elif np.issubdtype(self.dtype, np.integer):
            limits = np.iinfo(np.dtype(self.dtype).name)
            values = np.clip(values, limits.min, limits.max)  # a cast alone would wrap a large number around
        return values.astype(self.dtype).reshape(-1, *self.tail)

    def real(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The numbers that stored values stand for, float32."""
        if self.is_quantized:
            return ((values.astype(np.float32) - self.zero_point) * self.scale).astype(np.float32)
        return values


def column_name(tensor_name: str) -> str:
    """The column of a tensor: `serving_default_pickup_hour:0` is `pickup_hour`, as TFMA reads it."""
    return tensor_name.removeprefix("serving_default_").split(":")[0]


class TfliteModel:
    """A `.tflite` from numeric columns to one number, or one vector, per row.

    Quantized inputs and outputs (int8, uint8, int16) are taken and returned as the numbers they stand for.
    `dynamic_inputs` are those with a size of -1, such as a batch that is not fixed; `own_batch` is the file's.

    origin: the name in errors of bytes that were read elsewhere. rows_at_once: 1 for a file that takes no more, or its
    own batch if that cannot be resized: the last batch is then filled up.

    Raises:
        EndsError: inputs that are not numbers, or not exactly one output of numbers.
        InputError: absent, empty or corrupt file.
    """

    def __init__(
        self,
        path_or_bytes: str | Path | bytes,
        num_threads: int = 1,
        delegates: bool = True,
        origin: Path | str = "<bytes>",
        rows_at_once: int = BATCH_ROWS,
    ) -> None:
        self._rows_at_once = rows_at_once
        self.content, self._origin = _read(path_or_bytes, origin)
        try:
            self._interpreter = _interpreter(self.content, num_threads, delegates)
        except (ValueError, RuntimeError) as error:
            raise InputError(f"model={self._origin} must be a TFLite file, got: {_first_line(error)}") from error
        details = self._interpreter.get_input_details()
        self._inputs = tuple(map(self._end, details))
        self.own_batch = int(details[0]["shape"][0]) if details else 1
        self.dynamic_inputs = tuple(column_name(each["name"]) for each in details if -1 in each["shape_signature"])
        self._output = self._single_output()
        self._batch_rows = 0
        self._has_state = has_state(self.content)

    def _end(self, details: Mapping[str, Any]) -> End:
        name, dtype, shape = column_name(details["name"]), details["dtype"], tuple(map(int, details["shape"]))
        end = End(name, details["index"], dtype, shape[1:], *details["quantization"])
        if not (dtype in _PLAIN_DTYPES or end.is_quantized) or not shape:
            raise EndsError(
                f"model={self._origin}: input {name} must be float32, int32, int64 or quantized, of shape (n, ...), "
                f"got {np.dtype(dtype).name} {shape}"
            )
        return end

    def _single_output(self) -> End:
        outputs = self._interpreter.get_output_details()
        dtypes = [np.dtype(details["dtype"]).name for details in outputs]
        ends = [End("", each["index"], each["dtype"], (), *each["quantization"]) for each in outputs]
        if len(ends) != 1 or not (dtypes == ["float32"] or ends[0].is_quantized) or not self._inputs:
            raise EndsError(
                f"model={self._origin} must have inputs and one output of float32 or quantized numbers, got "
                f"{len(self._inputs)} inputs and outputs {dtypes}"
            )
        return ends[0]

    @property
    def inputs(self) -> tuple[End, ...]:
        """The inputs, in the file's order."""
        return self._inputs

    @property
    def output(self) -> End:
        """The output; its name is empty."""
        return self._output

    @property
    def input_names(self) -> tuple[str, ...]:
        """The columns of the inputs, in the file's order."""
        return tuple(each.name for each in self._inputs)

    def op_names(self) -> dict[str, int]:
        """Counts of each operator; see `op_names`."""
        return op_names(self.content)

    @property
    def custom_op_names(self) -> tuple[str, ...]:
        """The operators that a plain TFLite runtime lacks: Flex and custom kernels."""
        return tuple(sorted(set(self.op_names()) - set(builtin_names().values())))

    @property
    def is_builtin_only(self) -> bool:
        """Whether a plain TFLite runtime has every operator."""
        return not self.custom_op_names

    def predict(self, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """float32 of shape (n,), or (n, width) if the file returns more than one number a row.

        Columns of shape (n,) or (n, width), as the file has them; columns that are not inputs are ignored.

        Raises:
            InputError: a column is missing, is not numeric or differs in length; the file cannot run here.
        """
        feed = self.feed(columns)
        step = self._rows_at_once
        n_rows = len(feed[0])
        if step == self.own_batch:
            feed = [np.concatenate([values, np.repeat(values[-1:], -n_rows % step, axis=0)]) for values in feed]
        starts = range(0, len(feed[0]), step)
        batches = [self._predict_batch([values[start : start + step] for values in feed]) for start in starts]
        return np.concatenate(batches)[:n_rows] if batches else np.zeros(0, np.float32)

    def feed(self, columns: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """The columns as the file stores them, one array of shape (n, *tail) per input, in the file's order.

        Raises:
            InputError: a column is missing, is not numeric or differs in length.
        """
        feed = [self._values(each, columns) for each in self._inputs]
        n_rows = len(feed[0])
        for each, values in zip(self._inputs, feed, strict=True):
            if len(values) != n_rows:
                raise InputError(
                    f"column {each.name}: rows={len(values)} must be {n_rows}, as {self.input_names[0]} has"
                )
        return feed

    def _values(self, end: End, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """One column in the file's dtype, shape (n, *tail)."""
        if end.name not in columns:
            raise InputError(
                f"column {end.name} is missing: {self._origin} asks for {', '.join(self.input_names)}, "
                f"got {', '.join(columns) or 'nothing'}"
            )
        values = np.asarray(columns[end.name])
        width = math.prod(end.tail)
        fits = (values.ndim == 1 and width == 1) or (values.ndim > 1 and math.prod(values.shape[1:]) == width)
        if not fits or values.dtype.kind not in "fiub":
            shape = "(n,) or (n, 1)" if width == 1 else f"(n, {', '.join(map(str, end.tail))})"
            raise InputError(f"column {end.name} must be numbers of shape {shape}, got {values.dtype} {values.shape}")
        whole = np.issubdtype(end.dtype, np.integer) and not end.is_quantized
        if whole and not np.isfinite(values).all():
            raise InputError(f"column {end.name} must be whole numbers, got NaN or infinity")
        return end.stored(values)

    def _predict_batch(self, feed: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        try:
            self._set_inputs(feed)
            if self._has_state:  # rows are independent
                self._interpreter.reset_all_variables()
            self.invoke()
            outputs = self._output.real(self._interpreter.get_tensor(self._output.index)).reshape(len(feed[0]), -1)
            return outputs[:, 0] if outputs.shape[1] == 1 else outputs
        except (ValueError, RuntimeError) as error:
            reason = f"it needs {', '.join(self.custom_op_names)}" if self.custom_op_names else _first_line(error)
            raise InputError(f"model={self._origin} must run on built-in TFLite ops: {reason}") from error

    def _set_inputs(self, feed: list[npt.NDArray[Any]]) -> None:
        """Copies one array per input, in the file's order, into the interpreter."""
        n_rows = len(feed[0])
        if n_rows != self._batch_rows:  # allocation plans memory and costs far more than a small invoke
            self._batch_rows = 0
            for each in self._inputs:
                self._interpreter.resize_tensor_input(each.index, (n_rows, *each.tail))
            self._interpreter.allocate_tensors()
            self._batch_rows = n_rows
        for each, values in zip(self._inputs, feed, strict=True):
            self._interpreter.set_tensor(each.index, values)

    def invoke(self) -> None:
        """Runs the network on the inputs that were set last."""
        self._interpreter.invoke()


def has_state(content: bytes) -> bool:
    """Whether the file keeps numbers from one call to the next, as a fused LSTM does."""
    model = schema().Model.GetRootAs(content, 0)
    graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
    return any(graph.Tensors(i).IsVariable() for graph in graphs for i in range(graph.TensorsLength()))


def op_names(content: bytes) -> dict[str, int]:
    """Counts of each operator in all subgraphs; a custom op has its own code as name, such as `FlexAsin`."""
    model, builtin = schema().Model.GetRootAs(content, 0), builtin_names()
    codes = [_op_name(model.OperatorCodes(i), builtin) for i in range(model.OperatorCodesLength())]
    graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
    operators = [graph.Operators(i) for graph in graphs for i in range(graph.OperatorsLength())]
    return dict(sorted(collections.Counter(codes[operator.OpcodeIndex()] for operator in operators).items()))


def _read(path_or_bytes: str | Path | bytes, origin: Path | str) -> tuple[bytes, str]:
    """Content, and its name in errors."""
    if isinstance(path_or_bytes, bytes):
        content = path_or_bytes
    else:
        origin = path_or_bytes
        try:
            content = Path(path_or_bytes).read_bytes()
        except OSError as error:
            raise InputError(f"model={origin} must be a readable file: {error.strerror}") from error
    if not content:
        raise InputError(f"model={origin} must be a TFLite file, got 0 bytes")
    return content, str(origin)


def _op_name(operator_code: Any, builtin: Mapping[int, str]) -> str:
    """Codes above 127 stand in `builtin_code` only, and older files fill only the deprecated field."""
    if operator_code.CustomCode():
        return str(operator_code.CustomCode().decode())
    code = max(operator_code.BuiltinCode(), operator_code.DeprecatedBuiltinCode())
    return builtin.get(code, f"UNKNOWN_{code}")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def measure_latency_us(
    model: TfliteModel, columns_one_row: Mapping[str, npt.NDArray[Any]], repeats: int, warmup: int
) -> tuple[float, float]:
    """(p50, p99) in microseconds of one invoke on one row, inputs already copied, as in a device's runtime."""
    model.predict(columns_one_row)
    for _ in range(warmup):
        model.invoke()
    nanoseconds = np.empty(repeats)
    for i in range(repeats):
        start = time.perf_counter_ns()
        model.invoke()
        nanoseconds[i] = time.perf_counter_ns() - start
    p50, p99 = np.percentile(nanoseconds, (50, 99)) / 1e3
    return float(p50), float(p99)
