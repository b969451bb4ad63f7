"""Runs a file in one runtime, row by row, in a process of its own.

    python child.py HOW PACKAGE MODEL ROWS.npy DTYPE ANSWER.json

HOW is a name in `RUNNERS`, PACKAGE the runtime's distribution, DTYPE that of the file's output. ROWS.npy holds a
structured array: a field per input in the file's order, as the file stores them. ANSWER.json gets
{"version": ..., "outputs": [a number per row], "arena_bytes": ...}; the version is null if PACKAGE is not installed,
and outputs are missing if the runtime failed: its own words are on stderr, then Python's traceback.

Imports the standard library, NumPy and the runtime, never TensorFlow: any environment's Python from 3.10 on can run it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

LEAST_ARENA, SPARE_ARENA, ARENA_STEP = 1024, 2**20, 16  # bytes; tflite-micro crashes in an arena of a few hundred

Rows = npt.NDArray[np.void]
Answer = dict[str, Any]


def _fed(rows: Rows) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """The inputs of each row by name, each of shape (1, *tail)."""
    columns = {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}
    for i in range(len(rows)):
        yield {name: column[i : i + 1] for name, column in columns.items()}


def interpreter(package: str, content: bytes, rows: Rows, _dtype: str, delegates: bool = True) -> Answer:
    """Answers of an `Interpreter` class: of ai-edge-litert, or of its predecessor tflite-runtime."""
    module = importlib.import_module(f"{package.replace('-', '_')}.interpreter")
    kinds = module.OpResolverType
    resolver = kinds.AUTO if delegates else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    runner = module.Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=resolver)
    runner.allocate_tensors()
    inputs = [details["index"] for details in runner.get_input_details()]
    output = runner.get_output_details()[0]["index"]
    outputs = []
    for row in _fed(rows):
        for index, values in zip(inputs, row.values(), strict=True):
            runner.set_tensor(index, values)
        runner.reset_all_variables()  # rows are independent: an LSTM begins anew
        runner.invoke()
        outputs.append(runner.get_tensor(output).item(0))
    return {"outputs": outputs}


def builtin_kernels(package: str, content: bytes, rows: Rows, dtype: str) -> Answer:
    """Answers of an `Interpreter` with its own kernels in place of XNNPACK's."""
    return interpreter(package, content, rows, dtype, delegates=False)


def compiled_model(package: str, content: bytes, rows: Rows, dtype: str) -> Answer:
    """Answers of LiteRT's `CompiledModel` on the CPU, the API of Android and iOS; ai-edge-litert 1.4.0 and 2.3.0."""
    module = importlib.import_module(f"{package.replace('-', '_')}.compiled_model")
    model = module.CompiledModel.from_buffer(content)
    key, signature = next(iter(model.get_signature_list().items()))
    inputs = {name: model.create_input_buffer_by_name(key, name) for name in signature["inputs"]}
    outputs = {name: model.create_output_buffer_by_name(key, name) for name in signature["outputs"]}
    by_column = {name.split(":")[0].replace("serving_default_", "", 1): buffer for name, buffer in inputs.items()}
    answers = []
    for row in _fed(rows):
        for column, values in row.items():
            by_column[column].write(values)
        model.run_by_name(key, inputs, outputs)
        answers.append(next(iter(outputs.values())).read(1, getattr(np, dtype)).item(0))
    return {"outputs": answers}


def micro(package: str, content: bytes, rows: Rows, _dtype: str) -> Answer:
    """Answers of tflite-micro, and the bytes of the smallest arena that it takes the file in."""
    runtime = importlib.import_module(package.replace("-", "_")).runtime
    arena = 10 * len(content) + SPARE_ARENA
    runner = runtime.Interpreter.from_bytes(content, arena_size=arena)
    outputs = []
    for row in _fed(rows):
        for i, values in enumerate(row.values()):
            runner.set_input(values, i)
        runner.reset()
        runner.invoke()
        outputs.append(runner.get_output(0).item(0))
    return {"outputs": outputs, "arena_bytes": _smallest_arena(runtime, content, arena)}


def _smallest_arena(runtime: Any, content: bytes, enough: int) -> int:
    """The smallest arena in bytes, in steps of 16, by bisection: all memory is planned when the file is loaded."""
    too_small, enough = LEAST_ARENA - ARENA_STEP, -(-enough // ARENA_STEP) * ARENA_STEP
    while enough - too_small > ARENA_STEP:
        middle = (too_small + enough) // 2 // ARENA_STEP * ARENA_STEP
        try:
            runtime.Interpreter.from_bytes(content, arena_size=middle)
            enough = middle
        except RuntimeError:
            too_small = middle
    return enough


RUNNERS: dict[str, Callable[[str, bytes, Rows, str], Answer]] = {
    each.__name__: each for each in (interpreter, builtin_kernels, compiled_model, micro)
}


def main(arguments: Sequence[str]) -> None:
    """The process; the module's docstring has its arguments."""
    how, package, model, rows, dtype, answer = arguments
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        Path(answer).write_text(json.dumps({"version": None}))
        return
    Path(answer).write_text(json.dumps({"version": version}))  # if the runtime fails
    outputs = RUNNERS[how](package, Path(model).read_bytes(), np.load(rows), dtype)
    Path(answer).write_text(json.dumps({"version": version, **outputs}))


if __name__ == "__main__":
    main(sys.argv[1:])
