"""Checks that do not run the file: operators, inputs, sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from farebox.components.device_validator.request import Columns, Limits, Numbers
from farebox.components.errors import Check
from farebox.components.tflite import interpreter
from farebox.components.tflite.files import gzip_bytes

ALLOWED = {"f": (np.float32,), "i": (np.int64, np.int32), "u": (np.int64, np.int32)}


def file_checks(model: interpreter.TfliteModel, rows: Columns, limits: Limits) -> list[Check]:
    """Checks of custom operators, bytes, gzip bytes, unknown inputs, and inputs' types and shapes."""
    n_bytes, n_gzip, max_gzip = len(model.content), gzip_bytes(model.content), limits.settings.max_gzip_bytes
    unknown = [name for name in model.input_names if name not in limits.input_names]
    wrong = [fault for end in model.inputs if end.name in rows and (fault := _fault_of(end, rows[end.name]))]
    return [
        none_of(
            "custom_ops", model.custom_op_names,
            "replace these operators: a plain LiteRT runtime has only built-in ones",
        ),
        Check(
            "bytes", n_bytes, limits.settings.max_bytes, n_bytes <= limits.settings.max_bytes, "uncompressed",
            "shrink the model (reducer, pruner, quantizer), or raise device.max_bytes",
        ),
        Check(
            "gzip_bytes", n_gzip, max_gzip, max_gzip is None or n_gzip <= max_gzip, "in transit",
            "prune more or share weights (pruner.clusters), or raise device.max_gzip_bytes",
        ),
        none_of(
            "unknown_inputs", unknown,
            "use only columns that a device provides as inputs, or add the column to input_names",
        ),
        none_of(
            "input_types", wrong,
            "declare decimals as float32 and whole numbers as int64 or int32, one number a row, shape (n, 1)",
        ),
    ]  # fmt: skip


def none_of(name: str, faults: Sequence[str], hint: str) -> Check:
    """Holds without faults; its detail lists them."""
    return Check(name, len(faults), 0, not faults, ", ".join(faults), hint)


def _fault_of(end: interpreter.End, column: Numbers) -> str:
    """The fault of an input, empty without one; quantized inputs take any number."""
    allowed = ALLOWED.get(column.dtype.kind, ())
    names = " or ".join(np.dtype(each).name for each in allowed)
    if not end.is_quantized and end.dtype not in allowed:
        return f"{end.name} is {np.dtype(end.dtype).name}, must be {names}"
    return "" if end.tail == (1,) else f"{end.name} has shape {('n', *end.tail)}, must be (n, 1)".replace("'", "")
