"""Calls of TensorFlow's converter and of the interpreter: native code, which can end the process that calls it.

Each function takes and returns plain values, so that it runs here (`here`) or in a process of its own (`child.Child`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.quantizer.rungs import Rung
from farebox.components.tflite import interpreter

Columns = Mapping[str, npt.NDArray[Any]]
Run = Callable[..., Any]  # (function of this module, its arguments) -> its result
MISSING = re.compile(r"'(tf\.\w+)' op is neither a custom op nor a flex op")  # in the converter's message
ROUNDS, INVOKES = 5, 300  # of timing, the files in turn


def here(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls the function in this process."""
    return function(*arguments)


def converted(
    folder: str, rung: Rung, calibration: Sequence[Columns], is_sparse: bool = False, only_calibrates: bool = False
) -> bytes:
    """Returns the `.tflite` of a SavedModel, with the options of a rung; it raises if an operator needs Flex.

    calibration: rows of shape (1, ...). only_calibrates: returns what `quantized` takes, for a rung that calibrates.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if is_sparse:
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    if rung.is_optimized:
        converter.optimizations = [*converter.optimizations, tf.lite.Optimize.DEFAULT]
    if rung.weight_type:
        converter.target_spec.supported_types = [tf.dtypes.as_dtype(rung.weight_type)]
    if rung.operators:
        operators = getattr(tf.lite.OpsSet, rung.operators)
        converter.target_spec.supported_ops = [operators, tf.lite.OpsSet.TFLITE_BUILTINS]
    if rung.io_type:
        converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(rung.io_type)
    if rung.calibrates:

        def representative() -> Iterator[dict[str, npt.NDArray[Any]]]:
            yield from map(dict, calibration)

        converter.representative_dataset = representative
    converter._experimental_calibrate_only = only_calibrates
    try:
        return bytes(converter.convert())
    except ConverterError as error:
        if missing := MISSING.findall(str(error)):
            raise RuntimeError(f"TFLite has no operator for {', '.join(sorted(set(missing)))}") from error
        raise


def quantized(calibrated: bytes, kept_float: Sequence[str]) -> bytes:
    """Returns the int8 file with the named nodes float; one calibration serves every choice of nodes."""
    from tensorflow.lite.python.convert import mlir_quantize

    return bytes(mlir_quantize(calibrated, denylisted_nodes=list(kept_float)))


def quantized_file(content: bytes, rows: Sequence[Sequence[npt.NDArray[Any]]]) -> bytes:
    """Returns a float file with int8 weights and activations, and float inputs and output.

    By the quantizer for files, not the one of `quantized`, which leaves out operators of other converters' files. rows:
    of the file's own batch, one array for each input in the file's order.
    """
    import tensorflow as tf
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    calibrator = Calibrator(content)
    return bytes(calibrator.calibrate_and_quantize(lambda: map(list, rows), tf.float32, tf.float32, allow_float=True))


def predictions(content: bytes, batches: Sequence[Columns], rows_at_once: int) -> list[npt.NDArray[Any]]:
    """Returns the file's predictions of each batch."""
    model = interpreter.TfliteModel(content, rows_at_once=rows_at_once)
    return [model.predict(columns) for columns in batches]


def latencies_us(contents: Sequence[bytes], row: Columns) -> list[tuple[float, float]]:
    """Returns p50 and p99 of one row, µs, by file. The files take turns, so that a busy machine slows all of them."""
    models = [interpreter.TfliteModel(content) for content in contents]
    rounds: list[list[tuple[float, float]]] = [[] for _ in models]
    for _ in range(ROUNDS):
        for model, times in zip(models, rounds, strict=True):
            times.append(interpreter.measure_latency_us(model, row, INVOKES, INVOKES // 10))
    medians = (np.median(times, axis=0) for times in rounds)
    return [(float(p50), float(p99)) for p50, p99 in medians]
