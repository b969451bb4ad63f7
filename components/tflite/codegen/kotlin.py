"""Prints a program as one Kotlin object."""

from __future__ import annotations

import math

from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.names import camel
from farebox.components.tflite.codegen.places import SCRATCH
from farebox.components.tflite.codegen.printer import Printer, bare, shortest

ARRAYS = {"f32": "FloatArray", "i32": "IntArray", "i64": "LongArray", "bool": "BooleanArray"}
READERS = {
    "f32": "floatsOf", "i32": "intsOf", "i64": "longsOf", "bool": "flagsOf", "i8": "bytesOf", "u8": "bytesOf",
    "i16": "shortsOf",
}  # fmt: skip
SHARE = 400  # lines of numbers in a string: a string constant of a class file has at most 65,535 bytes


class KotlinPrinter(Printer):
    """Kotlin: constants are read from text once, because a class file cannot hold long array literals."""

    TYPES = {"f32": "Float", "i32": "Int", "i64": "Long", "bool": "Boolean", "index": "Int"}
    TERNARY = "(if ({0}) {1} else {2})"
    HAS_BARE_CHOICE = True
    FUNCTIONS = {
        "neg": "(-{0})", "abs": "abs({0})", "floor": "floor({0})", "ceil": "ceil({0})", "round": "round({0})",
        "sqrt": "sqrt({0})", "sin": "sin({0})", "cos": "cos({0})", "exp": "exp({0})", "log": "ln({0})",
        "tanh": "tanh({0})", "atan2": "atan2({0}, {1})", "pow": "({0}).pow({1})", "mod": "({0}).mod({1})",
    }  # fmt: skip
    HELPERS = {
        name: (
            f"    private fun {name}(vararg parts: String) =\n"
            f'        parts.flatMap {{ it.split(",") }}.map {{ it.trim().{read}() }}.{done}()\n'
        )
        for name, read, done in (
            ("floatsOf", "toFloat", "toFloatArray"),
            ("intsOf", "toInt", "toIntArray"),
            ("longsOf", "toLong", "toLongArray"),
            ("flagsOf", "toBooleanStrict", "toBooleanArray"),
            ("bytesOf", "toInt().toByte", "toByteArray"),
            ("shortsOf", "toShort", "toShortArray"),
        )
    }

    def parameter_name(self, name: str) -> str:
        return camel(name)

    def literal(self, kind: ir.Type, value: float | int | bool) -> str:
        if kind == "i64":
            return "Long.MIN_VALUE" if value == -(2**63) else f"{value}L"
        return "Int.MIN_VALUE" if kind == "i32" and value == -(2**31) else super().literal(kind, value)

    def float_literal(self, value: float) -> str:
        if not math.isfinite(value):
            return f"Float.{'NaN' if math.isnan(value) else 'POSITIVE_INFINITY' if value > 0 else 'NEGATIVE_INFINITY'}"
        return f"{shortest(value)}f"

    def table_number(self, kind: ir.Type, value: float | int | bool) -> str:
        if kind == "f32":
            return (
                shortest(value)
                if math.isfinite(value)
                else "NaN"
                if math.isnan(value)
                else "Infinity"
                if value > 0
                else "-Infinity"
            )
        return super().literal(kind, value)

    def load(self, load: ir.Load) -> str:
        text = self.element(load.array, load.index)
        if load.storage in ("i8", "u8", "i16"):
            return f"({text}.toInt() and 255)" if load.storage == "u8" else f"{text}.toInt()"
        return text

    def cast(self, source: ir.Type, target: ir.Type, value: str) -> str:
        if source == "bool":
            return f"(if ({bare(value)}) {self.literal(target, 1)} else {self.literal(target, 0)})"
        if (source, target) == ("i32", "index"):
            return value
        return f"{value}.to{self.TYPES[target]}()"

    def loop(self, variable: str, count: int) -> str:
        return f"for ({variable} in 0 until {count})"

    def let(self, let: ir.Let, value: str) -> str:
        return f"{'var' if let.changes else 'val'} {let.name} = {value}"

    def fail(self) -> str:
        return (
            "return Float.NaN" if self.is_scalar else f"return FloatArray({self.program.result_size}) {{ Float.NaN }}"
        )

    def simple(self, statement: ir.Store | ir.Let | ir.Assign) -> str:
        return super().simple(statement).removesuffix(";")

    def is_short(self, body: str) -> bool:
        return not body.startswith("for ")

    def files(self) -> dict[str, str]:
        """Name.kt."""
        program, name = self.program, camel(self.facts.stem)
        title = name[0].upper() + name[1:]
        call = f"{title}.{name}({', '.join(self._names[each.name] for each in program.parameters)})"
        parameters = [
            f"{self._names[each.name]}: {self.TYPES[each.type] if each.is_scalar else ARRAYS[each.type]}"
            for each in program.parameters
        ]
        body = [
            *(f"        val {SCRATCH[k]} = {ARRAYS[k]}({size})" for k, size in sorted(program.scratch.items())),
            *self.statements(program.body, 2),
        ]
        result = self.result if self.is_scalar else f"FloatArray({program.result_size}) {{ i0 -> {self.result} }}"
        function = "\n".join([
            "    @JvmStatic", f"    fun {name}(", *(f"        {each}," for each in parameters),
            f"    ): {'Float' if self.is_scalar else 'FloatArray'} {{", *body, f"        return {result}", "    }", "",
        ])  # fmt: skip
        tables = [line for each in program.constants for line in self._table(each)]
        head = [f" * {line}".rstrip() for line in self.about(call)]
        text = "\n".join(tables)
        top = ["/*", *head, " */", "", "import kotlin.math.*", "", f"object {title} {{", *self.helpers(text), text, ""]
        return {f"{title}.kt": "\n".join([*top, function + "}", ""])}

    def _table(self, constant: ir.Constant) -> list[str]:
        lines = self.numbers(constant)
        parts = [lines[start : start + SHARE] for start in range(0, len(lines), SHARE)]
        quoted = ['        """' + "\n".join(part).rstrip(",") + '""",' for part in parts]
        return [f"    private val {constant.name} = {READERS[constant.storage]}(", *quoted, "    )"]
