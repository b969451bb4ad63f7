"""golden.json: rows and the file's answers to them, with which any other runtime or port is compared.

The answers are those of LiteRT's interpreter, one thread, one row at a time, the shape that ships: without XNNPACK, or
with it if the file computes with integers. XNNPACK's integer kernels round as apps and exported source do; the plain
ones use fixed-point numbers, and differ by up to 0.25 USD in one trip of 20 to 50. Numbers are the shortest decimals
that mean the float32.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from farebox.components.device_validator.edges import changed
from farebox.components.device_validator.request import Changes, Columns, EdgeRows, Numbers
from farebox.components.tflite.arithmetic import has_integer_kernels
from farebox.components.tflite.description import Description
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.tflite.metadata import description_of

ROWS = 200


def golden(content: bytes, rows: Columns, named: EdgeRows) -> str:
    """JSON of `golden_rows` and the file's answers by name, null for NaN. rows: raw columns of shape (n,)."""
    model = TfliteModel(content, delegates=has_integer_kernels(content))
    columns, _ = golden_rows(model, rows, model.predict(rows), named)
    answers = [model.predict({name: values[[i]] for name, values in columns.items()}) for i in range(_length(columns))]
    return as_json(columns, {description_of(content).output.name: np.concatenate(answers)})


def golden_rows(model: TfliteModel, rows: Columns, outputs: Numbers, named: EdgeRows) -> tuple[dict[str, Numbers], int]:
    """The file's inputs in 200 rows, fewer if there are fewer real ones: columns of shape (n,); and how many are
    extremes, which come first.

    Extremes of one real row: each decimal in turn and all of them missing; each input at its least and its largest
    valid value, where the file tells them; decimals in opposite corners; the changes in `named`. Then real rows, spread
    evenly over the outputs, the least and the largest among them. outputs: of the rows, shape (n,).
    """
    inputs = {end.name: rows[end.name] for end in model.inputs}
    order = np.argsort(outputs, kind="stable")
    middle = {name: values[order[len(order) // 2]][None] for name, values in inputs.items()}
    changes = (*_extremes(middle, description_of(model.content)), *named.values())
    extremes = [changed(middle, each) for each in changes]
    spread = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), ROWS - len(extremes))).astype(int))]
    columns = {
        name: np.concatenate([*(row[name] for row in extremes), values[spread]]) for name, values in inputs.items()
    }
    typed = {end.name: columns[end.name].astype(_plain(end.dtype, columns[end.name])) for end in model.inputs}
    return typed, len(extremes)


def as_json(inputs: Mapping[str, Numbers], outputs: Mapping[str, Numbers]) -> str:
    """The content of golden.json, a column a line."""
    content = {
        "inputs": {name: _numbers(values) for name, values in inputs.items()},
        "outputs": {name: _numbers(values) for name, values in outputs.items()},
    }
    lines = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return lines.replace('],"', '],\n"').replace('},"', '},\n"') + "\n"


def _extremes(row: Columns, description: Description) -> Iterator[Changes]:
    """Changes of a row: missing decimals, bounds, corners."""
    decimals = [name for name, values in row.items() if values.dtype.kind == "f"]
    yield from ({name: "nan"} for name in decimals)
    yield dict.fromkeys(decimals, "nan")
    bounds: dict[str, tuple[float, float]] = {
        each.name: (each.minimum, each.maximum)
        for each in description.inputs
        if each.minimum is not None and each.maximum is not None
    }
    for least_or_largest in (0, 1):
        yield from ({name: bound[least_or_largest]} for name, bound in bounds.items())
    corners = [name for name in decimals if name in bounds]
    half = len(corners) // 2
    for first, last in ((0, 0), (0, 1), (1, 0), (1, 1)) if corners else ():
        yield {name: bounds[name][first if i < half else last] for i, name in enumerate(corners)}


def _plain(dtype: Any, values: Numbers) -> Any:
    """The file's type, or the column's own if the file's is quantized or takes no such number."""
    is_plain = np.dtype(dtype).name in ("float32", "int32", "int64")
    return dtype if is_plain and np.dtype(dtype).kind == values.dtype.kind else values.dtype


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _numbers(values: Numbers) -> list[float | int | None]:
    if values.dtype.kind in "iu":
        return [int(value) for value in values]
    return [None if np.isnan(value) else float(str(np.float32(value))) for value in values]
