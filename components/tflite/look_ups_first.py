"""Puts look-ups, and what their ids come from, before the other operators.

XNNPACK takes all operators that are ready together, and each such part takes some 0.3 µs to start. With a Dense layer
of the numbers before a look-up, one network becomes two parts.
"""

from __future__ import annotations

from typing import Any

from farebox.components.tflite.distinct_rows import look_ups_of
from farebox.components.tflite.flatbuffer import code_of
from farebox.components.tflite.interpreter import schema

# Operators whose order is more than what reads what.
STATEFUL = (
    "ASSIGN_VARIABLE", "CALL_ONCE", "CUSTOM", "HASHTABLE_IMPORT", "IF", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM",
    "READ_VARIABLE", "VAR_HANDLE", "WHILE",
)  # fmt: skip


def look_ups_first(model: Any, graph: Any) -> None:
    """Sorts a graph's operators: those that look-ups need, in their order, then the others in theirs."""
    stateful = {getattr(schema().BuiltinOperator, name) for name in STATEFUL}
    if any(code_of(model, operator) in stateful for operator in graph.operators):
        return
    look_ups = [each.operator for each in look_ups_of(model, graph)]
    needed: set[int] = set()
    first, then = list[Any](), list[Any]()
    for operator in reversed(graph.operators):
        is_needed = any(operator is each for each in look_ups) or not needed.isdisjoint(map(int, operator.outputs))
        if is_needed:
            needed |= {int(end) for end in operator.inputs}
        (first if is_needed else then).append(operator)
    graph.operators = [*first[::-1], *then[::-1]]
