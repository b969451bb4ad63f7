"""Prints a program as one Swift file."""

from __future__ import annotations

import math
from collections.abc import Sequence

from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.names import camel
from farebox.components.tflite.codegen.places import SCRATCH
from farebox.components.tflite.codegen.printer import Printer, bare, shortest

STORED = {
    "f32": "Float", "i32": "Int32", "i64": "Int64", "bool": "Bool", "i8": "Int8", "u8": "UInt8", "i16": "Int16",
}  # fmt: skip
ZERO = {"f32": "0", "i32": "0", "i64": "0", "bool": "false"}


class SwiftPrinter(Printer):
    """Swift: an enum without cases holds the constants and the function."""

    TYPES = {"f32": "Float", "i32": "Int32", "i64": "Int64", "bool": "Bool", "index": "Int"}
    FUNCTIONS = {
        "neg": "(-{0})", "abs": "abs({0})", "floor": "floor({0})", "ceil": "ceil({0})", "round": "rint({0})",
        "sqrt": "sqrtf({0})", "sin": "sinf({0})", "cos": "cosf({0})", "exp": "expf({0})", "log": "logf({0})",
        "tanh": "tanhf({0})", "atan2": "atan2f({0}, {1})", "pow": "powf({0}, {1})", "mod": "modulo({0}, {1})",
        "mod i32": "moduloWhole({0}, {1})", "mod i64": "moduloWhole({0}, {1})", "neg i32": "(0 &- {0})",
        "neg i64": "(0 &- {0})", "abs i32": "({0} < 0 ? 0 &- {0} : {0})", "abs i64": "({0} < 0 ? 0 &- {0} : {0})",
    }  # fmt: skip
    HELPERS = {
        "modulo": (
            "    private static func modulo(_ a: Float, _ b: Float) -> Float {\n        let rest = fmodf(a, b)\n"
            "        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest\n    }\n"
        ),
        "moduloWhole": (
            "    private static func moduloWhole<T: FixedWidthInteger & SignedInteger>(_ a: T, _ b: T) -> T {\n"
            "        let rest = b == -1 ? 0 : a % b\n"
            "        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest\n    }\n"
        ),
        "divided": (
            "    private static func divided<T: FixedWidthInteger & SignedInteger>(_ a: T, _ b: T) -> T {\n"
            "        return b == -1 ? 0 &- a : a / b\n    }\n"
        ),
        "whole": (
            "    // Truncates; out of range is the nearest limit, NaN is 0.\n"
            "    private static func whole<T: FixedWidthInteger>(_ x: Float, _ type: T.Type) -> T {\n"
            "        if x.isNaN { return 0 }\n"
            "        return x >= Float(T.max) ? T.max : x <= Float(T.min) ? T.min : T(x)\n    }\n"
        ),
    }

    def parameter_name(self, name: str) -> str:
        return camel(name)

    def float_literal(self, value: float) -> str:
        if not math.isfinite(value):
            return "Float.nan" if math.isnan(value) else "Float.infinity" if value > 0 else "-Float.infinity"
        return shortest(value)

    def load(self, load: ir.Load) -> str:
        text = self.element(load.array, load.index)
        return f"Int32({text})" if load.storage in ("i8", "u8", "i16") else text

    def arithmetic(self, kind: ir.Type, operator: str, operands: Sequence[str]) -> str:
        if kind == "f32":
            return super().arithmetic(kind, operator, operands)
        if operator == "/":
            return f"divided({bare(operands[0])}, {bare(operands[1])})"
        return f"({operands[0]} &{operator} {operands[1]})"

    def cast(self, source: ir.Type, target: ir.Type, value: str) -> str:
        if source == "bool":
            return f"({value} ? {self.literal(target, 1)} : {self.literal(target, 0)})"
        if source == "f32":
            return f"whole({bare(value)}, {self.TYPES[target]}.self)"
        if (source, target) == ("i64", "i32"):
            return f"Int32(truncatingIfNeeded: {bare(value)})"
        return f"{self.TYPES[target]}({bare(value)})"

    def loop(self, variable: str, count: int) -> str:
        return f"for {variable} in 0..<{count}"

    def let(self, let: ir.Let, value: str) -> str:
        return f"{'var' if let.changes else 'let'} {let.name}: {self.TYPES[let.value.type]} = {value}"

    def guard(self, condition: str) -> list[str]:
        return [f"if !({bare(condition)}) {{ {self.fail()} }}"]

    def fail(self) -> str:
        size = self.program.result_size
        return "return Float.nan" if self.is_scalar else f"return [Float](repeating: Float.nan, count: {size})"

    def simple(self, statement: ir.Store | ir.Let | ir.Assign) -> str:
        return super().simple(statement).removesuffix(";")

    def one_line(self, head: str, body: str) -> str:
        return f"{head} {{ {body} }}"

    def files(self) -> dict[str, str]:
        """Name.swift."""
        program, name = self.program, camel(self.facts.stem)
        title = name[0].upper() + name[1:]
        names = [self._names[each.name] for each in program.parameters]
        call = f"{title}.{name}({', '.join(f'{each}: {each}' for each in names)})"
        kinds = [self.TYPES[e.type] if e.is_scalar else f"[{self.TYPES[e.type]}]" for e in program.parameters]
        parameters = ",\n".join(f"        {n}: {kind}" for n, kind in zip(names, kinds, strict=True))
        body = [
            *(
                f"        var {SCRATCH[kind]} = [{STORED[kind]}](repeating: {ZERO[kind]}, count: {size})"
                for kind, size in sorted(program.scratch.items())
            ),
            *self.statements(program.body, 2),
        ]
        result = self.result if self.is_scalar else f"(0..<{program.result_size}).map {{ i0 in {self.result} }}"
        returned = "Float" if self.is_scalar else "[Float]"
        function = "\n".join(
            [
                f"    public static func {name}(\n{parameters}\n    ) -> {returned} {{",
                *body,
                f"        return {result}",
                "    }",
            ]
        )
        tables = [
            f"    private static let {each.name}: [{STORED[each.storage]}] = [\n"
            + "\n".join(self.numbers(each))
            + "\n    ]"
            for each in program.constants
        ]
        head = [f"// {line}".rstrip() for line in self.about(call)]
        top = [*head, "", "import Foundation", "", f"public enum {title} {{", *tables, ""]
        return {f"{title}.swift": "\n".join([*top, *self.helpers(function), function, "}", ""])}
