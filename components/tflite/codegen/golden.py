"""Golden rows: inputs and outputs of the real interpreter, which a test program beside the source repeats."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from farebox.components.errors import InputError
from farebox.components.tflite.codegen.ir import Parameter

TOLERANCE = 1e-5
TYPES = {"f32": "float32 numbers", "i32": "int32 numbers", "i64": "int64 numbers", "bool": "booleans"}
RANGES: Mapping[str, tuple[int, int]] = {"bool": (0, 1), "i32": (-(2**31), 2**31 - 1), "i64": (-(2**63), 2**63 - 1)}


@dataclasses.dataclass(frozen=True)
class GoldenRows:
    """inputs: by parameter, the numbers of each row; outputs: the numbers of each row. A missing number is NaN."""

    inputs: tuple[tuple[tuple[float, ...], ...], ...]
    outputs: tuple[tuple[float, ...], ...]

    @property
    def count(self) -> int:
        return len(self.outputs)

    @property
    def scale(self) -> float:
        """The median size of an answer, to three digits; at least 1."""
        sizes = np.abs([number for row in self.outputs for number in row])
        finite = sizes[np.isfinite(sizes)]
        return max(float(f"{np.median(finite):.3g}"), 1.0) if finite.size else 1.0


def read_golden(
    text: str | bytes, parameters: Sequence[Parameter], result: Parameter, origin: str = "golden.json"
) -> GoldenRows:
    """The rows of `{"inputs": {name: [number or null, ...]}, "outputs": {name: [...]}}`; origin: its name in errors.

    result: the output; if the rows do not have its column, the first column of outputs counts.

    Raises InputError: no such JSON, an input or the output is missing, a value is no number of its type, or lengths
    differ.
    """
    try:
        content = json.loads(text)
        inputs, outputs = content["inputs"], content["outputs"]
        wanted = outputs[result.column] if result.column in outputs else next(iter(outputs.values()))
        columns = [_rows(inputs[each.column], each) for each in parameters]
        answers = _rows(wanted, result)
    except KeyError as error:
        raise InputError(f"golden={origin} must have the rows of {error.args[0]}, as the model asks for") from error
    except _ValueOfOtherTypeError as error:
        raise InputError(f"golden={origin}: {error}") from error
    except (ValueError, TypeError, AttributeError, StopIteration) as error:
        raise InputError(f"golden={origin} must be JSON with inputs and outputs by name") from error
    lengths = {len(each) for each in (*columns, answers)}
    if len(lengths) != 1 or lengths == {0}:
        raise InputError(f"golden={origin} must have equally many rows in all columns, got {sorted(lengths)}")
    return GoldenRows(tuple(columns), answers)


class _ValueOfOtherTypeError(Exception):
    """A value that is no number of its column's type."""


def _rows(values: list[Any], end: Parameter) -> tuple[tuple[float, ...], ...]:
    rows = [each if isinstance(each, list) else [each] for each in values]
    if any(len(row) != end.size for row in rows):
        raise ValueError(f"rows must have {end.size} numbers")
    return tuple(tuple(_number(each, end) for each in row) for row in rows)


def _number(value: Any, end: Parameter) -> float:
    """The value in the column's type; null or NaN stands for a missing number."""
    if value is None or value != value:
        return math.nan
    low, high = RANGES.get(end.type, (-math.inf, math.inf))
    is_number = isinstance(value, (int, float)) and (end.type == "bool" or not isinstance(value, bool))
    if not is_number or not low <= value <= high or (end.type in RANGES and value != int(value)):
        name = end.column or "the output"
        raise _ValueOfOtherTypeError(f"{name} must hold {TYPES[end.type]} or null, got {json.dumps(value)[:40]}")
    with np.errstate(over="ignore"):
        return float(np.float32(value)) if end.type == "f32" else int(value)
