"""What can be read off the file without running it: operators, inputs, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.device_validator.request import Columns, Limits
from farebox.components.errors import Check
from farebox.components.tflite import interpreter
from farebox.components.tflite.files import gzip_bytes

ALLOWED = {"f": (np.float32,), "i": (np.int64, np.int32), "u": (np.int64, np.int32)}


def file_checks(model: interpreter.TfliteModel, rows: Columns, limits: Limits) -> list[Check]:
    """Custom operators, bytes, gzip bytes, unknown inputs, and inputs of another type or shape than the rows have."""
    n_bytes, n_gzip = len(model.content), gzip_bytes(model.content)
    max_bytes, max_gzip = limits.settings.max_bytes, limits.settings.max_gzip_bytes
    unknown = [name for name in model.input_names if name not in limits.input_names]
    wrong = [text for end in model.inputs if end.name in rows and (text := _wrong(end, rows[end.name]))]
    return [
        none_of(
            "custom_ops", model.custom_op_names,
            "replace the operators named: a plain LiteRT runtime has built-in ones only",
        ),
        Check(
            "bytes", n_bytes, max_bytes, n_bytes <= max_bytes, "uncompressed",
            "shrink the model (reducer, pruner, quantizer), or raise device.max_bytes",
        ),
        Check(
            "gzip_bytes", n_gzip, max_gzip, max_gzip is None or n_gzip <= max_gzip, "in transit",
            "prune more or share weights (pruner.clusters), or raise device.max_gzip_bytes",
        ),
        none_of(
            "unknown_inputs", unknown,
            "let the model ask only for columns that a device provides, or add the column to them",
        ),
        none_of(
            "input_types", wrong,
            "declare decimals as float32 and whole numbers as int64 or int32, one number a row, shape (n, 1)",
        ),
    ]  # fmt: skip


def none_of(name: str, found: Sequence[str], hint: str) -> Check:
    """Holds where nothing was found; says what was."""
    return Check(name, len(found), 0, not found, ", ".join(found), hint)


def _wrong(end: interpreter.End, column: npt.NDArray[Any]) -> str:
    """What is wrong with an input, empty where nothing is; quantized inputs take any number."""
    allowed = ALLOWED.get(column.dtype.kind, ())
    names = " or ".join(np.dtype(each).name for each in allowed)
    if not end.is_quantized and end.dtype not in allowed:
        return f"{end.name} is {np.dtype(end.dtype).name}, must be {names}"
    return "" if end.tail == (1,) else f"{end.name} has shape {('n', *end.tail)}, must be (n, 1)".replace("'", "")
