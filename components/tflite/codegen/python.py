"""Prints a program as pure Python: no NumPy, only the standard library."""

from __future__ import annotations

import math
from collections.abc import Sequence

from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.places import SCRATCH
from farebox.components.tflite.codegen.printer import Printer, bare, shortest

IMPORTS = """from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from ctypes import c_float
"""
CODES = {"f32": "f", "i32": "i", "i64": "q", "bool": "b", "i8": "b", "u8": "B", "i16": "h"}
HINTS = {"f32": "float", "i32": "int", "i64": "int", "bool": "bool"}


def _safe(name: str, call: str, otherwise: str) -> str:
    """A helper that returns a number where Python's own function raises an error."""
    arguments = "x, y" if "y" in call.partition("(")[2] else "x"
    return f"def {name}({arguments}):\n    try:\n        return r({call})\n    except {otherwise}\n\n\n"


class PythonPrinter(Printer):
    """Python: `r` rounds to float32, as storing in an `array("f")` does."""

    COMMENT = "# "
    TYPES = {"f32": "float", "i32": "int", "i64": "int", "bool": "bool", "index": "int"}
    TERNARY = "({1} if {0} else {2})"
    FUNCTIONS = {
        "neg": "-{0}", "abs": "abs({0})", "floor": "whole(math.floor, {0})", "ceil": "whole(math.ceil, {0})",
        "round": "whole(round, {0})", "sqrt": "sqrt({0})", "sin": "sin({0})", "cos": "cos({0})", "exp": "exp({0})",
        "log": "log({0})", "tanh": "r(math.tanh({0}))", "atan2": "r(math.atan2({0}, {1}))", "pow": "power({0}, {1})",
        "mod": "mod({0}, {1})", "mod i32": "({0} % {1})", "mod i64": "({0} % {1})", "neg i32": "wrap32(-{0})",
        "neg i64": "wrap64(-{0})", "abs i32": "wrap32(abs({0}))", "abs i64": "wrap64(abs({0}))",
    }  # fmt: skip
    HELPERS = {
        "whole": (
            "def whole(function, x):\n    return math.copysign(float(function(x)), x) if math.isfinite(x) else x\n\n\n"
        ),
        "divide": (
            "def divide(x, y):\n    if y:\n        return r(x / y)\n"
            "    if x != x or y != y or x == 0:\n        return math.nan\n"
            "    return math.copysign(math.inf, x) * math.copysign(1, y)\n\n\n"
        ),
        "divide_whole": (
            "def divide_whole(x, y):\n    quotient = abs(x) // abs(y)\n"
            "    return quotient if (x < 0) == (y < 0) else -quotient\n\n\n"
        ),
        "sqrt": _safe("sqrt", "math.sqrt(x)", "ValueError:\n        return math.nan"),
        "sin": _safe("sin", "math.sin(x)", "ValueError:\n        return math.nan"),
        "cos": _safe("cos", "math.cos(x)", "ValueError:\n        return math.nan"),
        "exp": _safe("exp", "math.exp(x)", "OverflowError:\n        return math.inf"),
        "log": _safe("log", "math.log(x)", "ValueError:\n        return -math.inf if x == 0 else math.nan"),
        "power": (
            "def power(x, y):\n    try:\n        return r(math.pow(x, y))\n    except OverflowError:\n"
            "        return -math.inf if x < 0 and y % 2 == 1 else math.inf\n"
            "    except ValueError:\n        return math.inf if x == 0 else math.nan\n\n\n"
        ),
        "mod": (
            "def mod(x, y):\n    if x != x or y != y or math.isinf(x) or y == 0:\n        return math.nan\n"
            "    rest = math.fmod(x, y)\n    return r(rest + y) if rest and (rest < 0) != (y < 0) else rest\n\n\n"
        ),
        "to_int": (
            "def to_int(x, bits):\n    limit = 1 << bits - 1\n"
            "    return 0 if x != x else limit - 1 if x >= limit else -limit if x <= -limit else int(x)\n\n\n"
        ),
        "wrap32": "def wrap32(x):\n    return (x + (1 << 31) & (1 << 32) - 1) - (1 << 31)\n\n\n",
        "wrap64": "def wrap64(x):\n    return (x + (1 << 63) & (1 << 64) - 1) - (1 << 63)\n\n\n",
    }

    def literal(self, kind: ir.Type, value: float | int | bool) -> str:
        return str(bool(value)) if kind == "bool" else super().literal(kind, value)

    def float_literal(self, value: float) -> str:
        if not math.isfinite(value):
            return "math.nan" if math.isnan(value) else "math.inf" if value > 0 else "-math.inf"
        return repr(float(value))

    def table_number(self, kind: ir.Type, value: float | int | bool) -> str:
        if kind == "f32" and math.isfinite(value):
            return shortest(value)
        return str(int(value)) if kind == "bool" else self.literal(kind, value)

    def load(self, load: ir.Load) -> str:
        text = self.element(load.array, load.index)
        if load.array in self._names:  # a caller's numbers are of Python's own types
            return {"f32": "r({0})", "i32": "wrap32(int({0}))", "i64": "wrap64(int({0}))"}.get(load.type, "{0}").format(
                text
            )
        return text

    def arithmetic(self, kind: ir.Type, operator: str, operands: Sequence[str]) -> str:
        if kind == "f32":
            is_divided = f"divide({bare(operands[0])}, {bare(operands[1])})"
            return is_divided if operator == "/" else f"r({operands[0]} {operator} {operands[1]})"
        inner = f"{operands[0]} {operator} {operands[1]}"
        if operator == "/":
            inner = f"divide_whole({bare(operands[0])}, {bare(operands[1])})"
        return f"wrap{kind[1:]}({inner})"

    def logic(self, operator: str, operands: Sequence[str]) -> str:
        return f"(not {operands[0]})" if operator == "not" else f"({operands[0]} {operator} {operands[1]})"

    def cast(self, source: ir.Type, target: ir.Type, value: str) -> str:
        inner = bare(value)
        if target == "f32":
            return f"r({inner})"
        if source == "f32":
            return f"to_int({inner}, {target[1:]})"
        return (
            f"wrap32({inner})" if (source, target) == ("i64", "i32") else f"int({inner})" if source == "bool" else value
        )

    def loop(self, variable: str, count: int) -> str:
        return f"for {variable} in range({count}):"

    def let(self, let: ir.Let, value: str) -> str:
        return f"{let.name} = {value}"

    def guard(self, condition: str) -> list[str]:
        return [f"if not ({bare(condition)}):", f"    {self.fail()}"]

    def fail(self) -> str:
        return "return math.nan" if self.is_scalar else f"return [math.nan] * {self.program.result_size}"

    def stored(self, store: ir.Store) -> str:
        text = bare(self.value(store.value))
        is_rounded = store.storage == "f32" and isinstance(store.value, ir.Apply | ir.Cast) and text.startswith("r(")
        return bare(text[1:]) if is_rounded and bare(text[1:]) != text[1:] else text

    def simple(self, statement: ir.Store | ir.Let | ir.Assign) -> str:
        return super().simple(statement).removesuffix(";")

    def nested(self, statement: ir.For, depth: int) -> list[str]:
        head = self.INDENT * depth + self.loop(statement.variable, statement.count)
        return [head, *self.statements(statement.body, depth + 1)]

    def files(self) -> dict[str, str]:
        """NAME.py."""
        program, name = self.program, self.facts.stem
        call = f"{name}({', '.join(each.name for each in program.parameters)})"
        scalars = {"f32": "r({0})", "i32": "wrap32(int({0}))", "i64": "wrap64(int({0}))"}
        coerced = [
            f"    {each.name} = {scalars[each.type].format(each.name)}"
            for each in program.parameters
            if each.is_scalar and each.type in scalars
        ]
        scratch = [
            f'    {SCRATCH[kind]} = array("{CODES[kind]}", [0]) * {size}'
            for kind, size in sorted(program.scratch.items())
        ]
        hints = [
            f"{e.name}: {HINTS[e.type] if e.is_scalar else f'Sequence[{HINTS[e.type]}]'}" for e in program.parameters
        ]
        result = f"    return {self.result}"
        if not self.is_scalar:
            result = f"    return [{self.result} for i0 in range({program.result_size})]"
        head = [
            f"def {name}(",
            *(f"    {hint}," for hint in hints),
            f") -> {'float' if self.is_scalar else 'list[float]'}:",
        ]
        body = [*coerced, *scratch, *self.statements(program.body, 1), result]
        function = "\n".join([*head, *body, ""])
        tables = [
            f'{each.name} = array("{CODES[each.storage]}", [\n' + "\n".join(self.numbers(each)) + "\n])"
            for each in program.constants
        ]
        about = "\n".join(line.rstrip() for line in self.about(f"from {name} import {name}; {call}"))
        rounding = "def r(x):\n    return c_float(x).value\n\n\n"
        parts = [
            f'"""{about}\n"""\n',
            IMPORTS,
            *tables,
            "\n",
            rounding + "".join(self.helpers(function)) + function,
        ]
        return {f"{name}.py": "\n".join(parts)}
