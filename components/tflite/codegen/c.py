"""Prints a program as C99: a header and a source."""

from __future__ import annotations

import math
from collections.abc import Sequence

from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.places import SCRATCH
from farebox.components.tflite.codegen.printer import Printer, bare, shortest

STORED = {
    "f32": "float", "i32": "int32_t", "i64": "int64_t", "bool": "bool", "i8": "int8_t", "u8": "uint8_t",
    "i16": "int16_t",
}  # fmt: skip


class CPrinter(Printer):
    """C99: numbers on the stack, no allocation, no static state."""

    COMMENT = "/* "
    TYPES = {"f32": "float", "i32": "int32_t", "i64": "int64_t", "bool": "bool", "index": "int"}
    FUNCTIONS = {
        "neg": "-{0}", "abs": "fabsf({0})", "floor": "floorf({0})", "ceil": "ceilf({0})", "round": "rintf({0})",
        "sqrt": "sqrtf({0})", "sin": "sinf({0})", "cos": "cosf({0})", "exp": "expf({0})", "log": "logf({0})",
        "tanh": "tanhf({0})", "atan2": "atan2f({0}, {1})", "pow": "powf({0}, {1})", "mod": "mod_f32({0}, {1})",
        "mod i32": "mod_i32({0}, {1})", "mod i64": "mod_i64({0}, {1})", "abs i32": "({0} < 0 ? sub_i32(0, {0}) : {0})",
        "neg i32": "sub_i32(0, {0})", "abs i64": "({0} < 0 ? sub_i64(0, {0}) : {0})", "neg i64": "sub_i64(0, {0})",
    }  # fmt: skip
    HELPERS = {
        **{
            f"{name}_{kind}": (
                f"static int{bits}_t {name}_{kind}(int{bits}_t a, int{bits}_t b) {{\n"
                f"    return (int{bits}_t)((uint{bits}_t)a {operator} (uint{bits}_t)b);\n}}\n"
            )
            for kind, bits in (("i32", 32), ("i64", 64))
            for name, operator in (("add", "+"), ("sub", "-"), ("mul", "*"))
        },
        "div_i32": "static int32_t div_i32(int32_t a, int32_t b) { return b == -1 ? sub_i32(0, a) : a / b; }\n",
        "div_i64": "static int64_t div_i64(int64_t a, int64_t b) { return b == -1 ? sub_i64(0, a) : a / b; }\n",
        "mod_i32": (
            "static int32_t mod_i32(int32_t a, int32_t b) {\n"
            "    const int32_t rest = b == -1 ? 0 : a % b;\n"
            "    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;\n}\n"
        ),
        "mod_i64": (
            "static int64_t mod_i64(int64_t a, int64_t b) {\n"
            "    const int64_t rest = b == -1 ? 0 : a % b;\n"
            "    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;\n}\n"
        ),
        "mod_f32": (
            "static float mod_f32(float a, float b) {\n"
            "    const float rest = fmodf(a, b);\n"
            "    return rest != 0.0f && (rest < 0.0f) != (b < 0.0f) ? rest + b : rest;\n}\n"
        ),
        "to_i32": (
            "/* Truncates; out of range is the nearest limit, NaN is 0. */\n"
            "static int32_t to_i32(float x) {\n"
            "    if (x >= 2147483648.0f) return INT32_MAX;\n"
            "    if (x > -2147483648.0f) return (int32_t)x;\n"
            "    return x == x ? INT32_MIN : 0;\n}\n"
        ),
        "to_i64": (
            "/* Truncates; out of range is the nearest limit, NaN is 0. */\n"
            "static int64_t to_i64(float x) {\n"
            "    if (x >= 9223372036854775808.0f) return INT64_MAX;\n"
            "    if (x > -9223372036854775808.0f) return (int64_t)x;\n"
            "    return x == x ? INT64_MIN : 0;\n}\n"
        ),
    }

    def note(self, text: str) -> str:
        return f"/* {text} */"

    def literal(self, kind: ir.Type, value: float | int | bool) -> str:
        if kind == "i32" and value == -(2**31):
            return "INT32_MIN"
        if kind == "i64":
            return "INT64_MIN" if value == -(2**63) else f"INT64_C({value})" if abs(value) >= 2**31 else str(value)
        return super().literal(kind, value)

    def float_literal(self, value: float) -> str:
        if not math.isfinite(value):
            return "NAN" if math.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
        return f"{float(value)!r}f"  # all digits: a compiler may keep a literal in double

    def table_number(self, kind: ir.Type, value: float | int | bool) -> str:
        if kind != "f32" or not math.isfinite(value):
            return self.literal(kind, value)
        text = shortest(value)
        return f"{text}f" if "." in text or "e" in text else f"{text}.0f"

    def arithmetic(self, kind: ir.Type, operator: str, operands: Sequence[str]) -> str:
        if kind == "f32":
            return super().arithmetic(kind, operator, operands)
        name = {"+": "add", "-": "sub", "*": "mul", "/": "div"}[operator]
        return f"{name}_{kind}({', '.join(map(bare, operands))})"

    def cast(self, source: ir.Type, target: ir.Type, value: str) -> str:
        if source == "f32" and target in ("i32", "i64"):
            return f"to_{target}({bare(value)})"
        return f"({self.TYPES[target]}){value}"

    def let(self, let: ir.Let, value: str) -> str:
        return f"{'' if let.changes else 'const '}{self.TYPES[let.value.type]} {let.name} = {value};"

    def fail(self) -> str:
        if self.is_scalar:
            return "return NAN;"
        size = self.program.result_size
        return f"{{ for (int i = 0; i < {size}; i++) result[i] = NAN; return; }}"

    @property
    def function_name(self) -> str:
        """farebox_ and the file's stem."""
        return f"farebox_{self.facts.stem}"

    @property
    def signature(self) -> str:
        """The function's head."""
        parameters = [
            f"{self.TYPES[each.type]} {each.name}"
            if each.is_scalar
            else f"const {self.TYPES[each.type]} {each.name}[{each.size}]"
            for each in self.program.parameters
        ]
        if not self.is_scalar:
            parameters.append(f"float result[{self.program.result_size}]")
        joined = ",\n    ".join(parameters)
        return f"{'float' if self.is_scalar else 'void'} {self.function_name}(\n    {joined})"

    def files(self) -> dict[str, str]:
        """NAME.h and NAME.c."""
        stem = self.facts.stem
        arguments = ", ".join(each.name for each in self.program.parameters)
        call = f"{self.function_name}({arguments}{'' if self.is_scalar else ', result'})"
        head = "\n".join(
            f" * {line}".rstrip() for line in self.about(f"float fare = {call};" if self.is_scalar else f"{call};")
        )
        compiled = " * Compile with -ffp-contract=off, so that each product is rounded as in the model. Link with -lm."
        guard = f"FAREBOX_{stem.upper()}_H"
        header = (
            f"/*\n{head}\n{compiled}\n */\n#ifndef {guard}\n#define {guard}\n\n"
            f"#include <stdbool.h>\n#include <stdint.h>\n\n"
            f'#ifdef __cplusplus\nextern "C" {{\n#endif\n\n{self.signature};\n\n'
            f"#ifdef __cplusplus\n}}\n#endif\n\n#endif\n"
        )
        body = [
            *(f"    {STORED[kind]} {SCRATCH[kind]}[{size}];" for kind, size in sorted(self.program.scratch.items())),
            *self.statements(self.program.body, 1),
        ]
        if self.is_scalar:
            body.append(f"    return {self.result};")
        else:
            body.append(f"    for (int i0 = 0; i0 < {self.program.result_size}; i0++) result[i0] = {self.result};")
        body[:0] = [
            f"    (void){name};" for name in self.idle_parameters("\n".join(line for line in body if "/*" not in line))
        ]
        function = f"{self.signature} {{\n" + "\n".join(body) + "\n}\n"
        tables = "".join(
            f"static const {STORED[each.storage]} {each.name}[{len(each.values)}] = {{\n"
            + "\n".join(self.numbers(each))
            + "\n};\n"
            for each in self.program.constants
        )
        source = (
            f"/* Generated by farebox export: see {stem}.h. Do not edit. */\n"
            f'#include "{stem}.h"\n\n#include <math.h>\n\n{tables}\n' + "\n".join([*self.helpers(function), function])
        )
        return {f"{stem}.h": header, f"{stem}.c": source}
