"""The runtimes that DeviceValidator tries a file in, and the record of a trial. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Literal

LITERT_HINT = "convert the file anew; if operators are named, replace them by built-in ones"

Result = Literal["runs", "refused", "not tried"]


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A runtime and how a process runs a file in it.

    title: its name on screens. package: its distribution; it is not tried if that is not installed. how: the function
    in child.py. hint: what to do if it refuses a file. is_static: whether a release of it refuses a batch of -1.
    command: the program that answers, by default child.py in this environment; child.py describes arguments and answer.
    """

    title: str
    package: str
    how: str
    hint: str
    is_static: bool = False
    command: tuple[str, ...] = ()


# To try a file in a further runtime, add a line. command=("/env/bin/python", "-I", "/path/of/child.py") is another
# environment's Python; any other program is its own path.
RUNTIMES = {
    "interpreter": Runtime("Interpreter", "ai-edge-litert", "interpreter", LITERT_HINT),
    "interpreter_without_xnnpack": Runtime(
        "Interpreter without XNNPACK", "ai-edge-litert", "builtin_kernels", LITERT_HINT
    ),
    "compiled_model": Runtime(
        "CompiledModel", "ai-edge-litert", "compiled_model",
        "convert with a fixed batch of 1 and int32 instead of int64; use built-in operators only", is_static=True,
    ),
    "tflite_micro": Runtime(
        "tflite-micro", "tflite-micro", "micro",
        "replace the operator that the detail names; for a type, try another rung (quantizer.mode=int8_weights)",
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class RuntimeTrial:
    """A trial of the file in a runtime; the fields are JSON keys of device.json, summary.json and manifest.json.

    runtime: its name in `RUNTIMES`. version: of its package, None if it is not installed. detail: its own first line
    about an error. largest_difference: from the Interpreter's outputs, in the output's unit. arena_bytes: the smallest
    memory that the file runs in, if the runtime gets its memory from the caller.
    """

    runtime: str
    title: str
    version: str | None
    result: Result
    detail: str = ""
    largest_difference: float | None = None
    arena_bytes: int | None = None

    def __str__(self) -> str:
        """Title and version, with the arena if it is known."""
        arena = f" (arena {self.arena_bytes:,} B)" if self.arena_bytes else ""
        return f"{self.title}{f' {self.version}' if self.version else ''}{arena}"


def trials_from_json(content: Iterable[Mapping[str, Any]]) -> tuple[RuntimeTrial, ...]:
    """Trials from their JSON form."""
    return tuple(RuntimeTrial(**trial) for trial in content)


def describe_trials(trials: Iterable[RuntimeTrial]) -> str:
    """`runs on A 1.0, B 2.0; refused by C 3.0 (its reason); not tried: D`, as far as there are such."""
    groups: dict[str, list[str]] = {"runs": [], "refused": [], "not tried": []}
    for trial in trials:
        reason = f" ({trial.detail})" if trial.result == "refused" else ""
        groups[trial.result].append(f"{trial}{reason}")
    words = {"runs": "runs on", "refused": "refused by", "not tried": "not tried:"}
    return "; ".join(f"{words[result]} {', '.join(names)}" for result, names in groups.items() if names)
