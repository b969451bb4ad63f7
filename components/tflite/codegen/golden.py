"""Golden rows: inputs and outputs of the real interpreter, which a test program beside the source repeats."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from farebox.components.errors import InputError
from farebox.components.tflite.codegen.ir import Program

TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class GoldenRows:
    """inputs: by parameter, the numbers of each row; outputs: the numbers of each row. A missing number is NaN."""

    inputs: tuple[tuple[tuple[float, ...], ...], ...]
    outputs: tuple[tuple[float, ...], ...]

    @property
    def count(self) -> int:
        return len(self.outputs)


def read_golden(text: str | bytes, program: Program, origin: str) -> GoldenRows:
    """The rows of `{"inputs": {name: [number or null, ...]}, "outputs": {name: [...]}}`; origin: its name in errors.

    Raises InputError: no such JSON, an input or the output is missing, or lengths differ.
    """
    try:
        content = json.loads(text)
        inputs, outputs = content["inputs"], content["outputs"]
        result = outputs[program.result_column] if program.result_column in outputs else next(iter(outputs.values()))
        columns = [_rows(inputs[each.column], each.size) for each in program.parameters]
        answers = _rows(result, program.result_size)
    except KeyError as error:
        raise InputError(f"golden={origin} must have the rows of {error.args[0]}, as the model asks for") from error
    except (ValueError, TypeError, AttributeError, StopIteration) as error:
        raise InputError(f"golden={origin} must be JSON with inputs and outputs by name") from error
    lengths = {len(each) for each in (*columns, answers)}
    if len(lengths) != 1 or lengths == {0}:
        raise InputError(f"golden={origin} must have equally many rows in all columns, got {sorted(lengths)}")
    return GoldenRows(tuple(columns), answers)


def _rows(values: list[Any], size: int) -> tuple[tuple[float, ...], ...]:
    rows = [each if isinstance(each, list) else [each] for each in values]
    if any(len(row) != size for row in rows):
        raise ValueError(f"rows must have {size} numbers")
    return tuple(tuple(math.nan if each is None else each for each in row) for row in rows)
