"""Prints a program as an ECMAScript module with JSDoc types."""

from __future__ import annotations

import math
from collections.abc import Sequence

from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.names import camel
from farebox.components.tflite.codegen.places import SCRATCH
from farebox.components.tflite.codegen.printer import Printer, bare, shortest

ARRAYS = {
    "f32": "Float32Array", "i32": "Int32Array", "i64": "BigInt64Array", "bool": "Uint8Array", "i8": "Int8Array",
    "u8": "Uint8Array", "i16": "Int16Array",
}  # fmt: skip
PARAMETER = {"f32": "number", "i32": "number", "i64": "number | bigint", "bool": "boolean"}


class JavaScriptPrinter(Printer):
    """JavaScript: `r` rounds to float32; numbers stand in typed arrays, which are made once, when the module loads."""

    INDENT = "  "
    TYPES = {"f32": "number", "i32": "number", "i64": "bigint", "bool": "boolean", "index": "number"}
    FUNCTIONS = {
        "neg": "-{0}", "abs": "Math.abs({0})", "floor": "Math.floor({0})", "ceil": "Math.ceil({0})",
        "round": "round({0})", "sqrt": "r(Math.sqrt({0}))", "sin": "r(Math.sin({0}))", "cos": "r(Math.cos({0}))",
        "exp": "r(Math.exp({0}))", "log": "r(Math.log({0}))", "tanh": "r(Math.tanh({0}))",
        "atan2": "r(Math.atan2({0}, {1}))", "pow": "r(Math.pow({0}, {1}))", "mod": "r(mod({0}, {1}))",
        "mod i32": "mod({0}, {1})", "mod i64": "modBig({0}, {1})", "neg i32": "(-{0} | 0)",
        "abs i32": "(Math.abs({0}) | 0)", "neg i64": "BigInt.asIntN(64, -{0})",
        "abs i64": "BigInt.asIntN(64, {0} < 0n ? -{0} : {0})",
    }  # fmt: skip
    HELPERS = {
        "round": (
            "/** Half to even. @param {number} x */\n"
            "function round(x) {\n  const low = Math.floor(x), rest = x - low;\n"
            "  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;\n}\n"
        ),
        "mod": (
            "/** The remainder with the divisor's sign. @param {number} a @param {number} b */\n"
            "function mod(a, b) {\n  const rest = a % b;\n"
            "  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;\n}\n"
        ),
        "modBig": (
            "/** The remainder with the divisor's sign. @param {bigint} a @param {bigint} b */\n"
            "function modBig(a, b) {\n  const rest = a % b;\n"
            "  return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;\n}\n"
        ),
        "toInt32": (
            "/** Truncates; out of range is the nearest limit, NaN is 0. @param {number} x */\n"
            "function toInt32(x) {\n"
            "  return x >= 2147483647 ? 2147483647 : x <= -2147483648 ? -2147483648 : x | 0;\n}\n"
        ),
        "toInt64": (
            "/** Truncates; out of range is the nearest limit, NaN is 0. @param {number} x */\n"
            "function toInt64(x) {\n  if (x !== x) return 0n;\n"
            "  if (x >= 9223372036854775807) return 9223372036854775807n;\n"
            "  return x <= -9223372036854775808 ? -9223372036854775808n : BigInt(Math.trunc(x));\n}\n"
        ),
    }

    def parameter_name(self, name: str) -> str:
        return camel(name)

    def literal(self, kind: ir.Type, value: float | int | bool) -> str:
        if kind == "i64":
            return f"{value}n" if value >= 0 else f"({value}n)"
        return super().literal(kind, value)

    def float_literal(self, value: float) -> str:
        if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return repr(float(value)).removesuffix(".0")

    def table_number(self, kind: ir.Type, value: float | int | bool) -> str:
        if kind == "f32" and math.isfinite(value):
            return shortest(value).removesuffix(".0")
        return str(int(value)) if kind == "bool" else self.literal(kind, value)

    def load(self, load: ir.Load) -> str:
        text = self.element(load.array, load.index)
        if load.array in self._names:  # a caller's array may hold doubles
            return {"f32": "r({0})", "i32": "({0} | 0)", "i64": "BigInt({0})"}.get(load.type, "{0}").format(text)
        return text

    def arithmetic(self, kind: ir.Type, operator: str, operands: Sequence[str]) -> str:
        infix = f"{operands[0]} {operator} {operands[1]}"
        if kind == "i64":
            return f"BigInt.asIntN(64, {infix})"
        if kind == "i32":
            return f"Math.imul({bare(operands[0])}, {bare(operands[1])})" if operator == "*" else f"({infix} | 0)"
        return f"r({infix})"

    def compare(self, kind: ir.Type, operator: str, operands: Sequence[str]) -> str:
        strict = {"==": "===", "!=": "!=="} if kind != "bool" else {}
        return super().compare(kind, strict.get(operator, operator), operands)

    def cast(self, source: ir.Type, target: ir.Type, value: str) -> str:
        inner = bare(value)
        if target == "i64":
            return f"toInt64({inner})" if source == "f32" else f"BigInt({inner})"
        if source == "i64":
            number = f"Number({inner})"
            return {"f32": f"r({number})", "index": number}.get(target, f"Number(BigInt.asIntN(32, {inner}))")
        if source == "f32":
            return f"toInt32({inner})"
        if target == "f32":
            return f"r({inner})"
        return f"({value} ? 1 : 0)" if source == "bool" else value

    def loop(self, variable: str, count: int) -> str:
        return super().loop(variable, count).replace("(int ", "(let ")

    def let(self, let: ir.Let, value: str) -> str:
        return f"{'let' if let.changes else 'const'} {let.name} = {value};"

    def fail(self) -> str:
        size = self.program.result_size
        return "return NaN;" if size == 1 else f"return new Float32Array({size}).fill(NaN);"

    def stored(self, store: ir.Store) -> str:
        text = bare(self.value(store.value))
        is_rounded = store.storage == "f32" and isinstance(store.value, ir.Apply | ir.Cast) and text.startswith("r(")
        return bare(text[1:]) if is_rounded and bare(text[1:]) != text[1:] else text

    def files(self) -> dict[str, str]:
        """NAME.mjs."""
        program, name = self.program, camel(self.facts.stem)
        parameters = [self._names[each.name] for each in program.parameters]
        call = f"{name}({', '.join(parameters)})"
        kinds = [PARAMETER[e.type] if e.is_scalar else "ArrayLike<number | bigint>" for e in program.parameters]
        meanings = [self.facts.meanings.get(each.column, "") for each in program.parameters]
        returned = "number" if self.is_scalar else "Float32Array"
        documentation = [
            "/**",
            *(f" * @param {{{k}}} {p} {m}".rstrip() for k, p, m in zip(kinds, parameters, meanings, strict=True)),
            f" * @returns {{{returned}}} {self.facts.result}".rstrip(),
            " */",
        ]
        body = [*self._coerced(), *self.statements(program.body, 1)]
        if self.is_scalar:
            body.append(f"  return {self.result};")
        else:
            body += [f"  const result = new Float32Array({program.result_size});",
                     f"  for (let i0 = 0; i0 < {program.result_size}; i0++) result[i0] = {self.result};",
                     "  return result;"]  # fmt: skip
        function = "\n".join([*documentation, f"export function {call} {{", *body, "}", ""])
        scratch = [
            f"const {SCRATCH[kind]} = new {ARRAYS[kind]}({size});" for kind, size in sorted(program.scratch.items())
        ]
        tables = [
            f"const {each.name} = new {ARRAYS[each.storage]}([\n" + "\n".join(self.numbers(each)) + "\n]);"
            for each in program.constants
        ]
        head = [
            f"// {line}".rstrip() for line in self.about(f'import {{ {name} }} from "./{self.facts.stem}.mjs"; {call}')
        ]
        top = [*head, "", "const r = Math.fround;", *scratch, *tables, ""]
        return {f"{self.facts.stem}.mjs": "\n".join([*top, *self.helpers(function), function])}

    def _coerced(self) -> list[str]:
        """The parameters in the types of the model."""
        forms = {"f32": "r({0})", "i32": "{0} | 0", "i64": "BigInt({0})"}
        scalars = [each for each in self.program.parameters if each.is_scalar and each.type in forms]
        names = [(self._names[each.name], forms[each.type]) for each in scalars]
        return [f"  {name} = {form.format(name)};" for name, form in names]
