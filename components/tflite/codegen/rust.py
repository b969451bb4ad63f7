"""Prints a program as one Rust file, which needs no allocator; its functions come from `std` or from `libm`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.places import SCRATCH
from farebox.components.tflite.codegen.printer import Printer, bare, shortest

ZERO = {"f32": "0.0", "i32": "0", "i64": "0", "bool": "false"}
STD = {
    "abs": "x.abs()", "floor": "x.floor()", "ceil": "x.ceil()", "round": "x.round_ties_even()", "sqrt": "x.sqrt()",
    "sin": "x.sin()", "cos": "x.cos()", "exp": "x.exp()", "log": "x.ln()", "tanh": "x.tanh()",
    "atan2": "x.atan2(y)", "pow": "x.powf(y)",
}  # fmt: skip
LIBM = {"abs": "fabsf", "round": "rintf"}


def _function(name: str) -> str:
    """A function of `std`, or of the crate `libm` with the feature of this name."""
    parameters, values = ("x: f32, y: f32", "x, y") if "y" in STD[name].partition("(")[2] else ("x: f32", "x")
    other = LIBM.get(name, f"{name}f")
    return (
        f'#[cfg(not(feature = "libm"))]\nfn {name}({parameters}) -> f32 {{ {STD[name]} }}\n'
        f'#[cfg(feature = "libm")]\nfn {name}({parameters}) -> f32 {{ libm::{other}({values}) }}\n'
    )


class RustPrinter(Printer):
    """Rust: arrays on the stack, no unsafe code."""

    TYPES = {"f32": "f32", "i32": "i32", "i64": "i64", "bool": "bool", "index": "usize"}
    TERNARY = "(if {0} {{ {1} }} else {{ {2} }})"
    HAS_BARE_CHOICE = True
    FUNCTIONS = {
        **{name: f"{name}({{0}})" for name in STD}, "atan2": "atan2({0}, {1})", "pow": "pow({0}, {1})", "neg": "-{0}",
        "mod": "modulo({0}, {1})", "mod i32": "modulo_i32({0}, {1})", "mod i64": "modulo_i64({0}, {1})",
        "neg i32": "i32::wrapping_neg({0})", "neg i64": "i64::wrapping_neg({0})", "abs i32": "i32::wrapping_abs({0})",
        "abs i64": "i64::wrapping_abs({0})",
    }  # fmt: skip
    HELPERS = {
        **{name: _function(name) for name in STD},
        "modulo": (
            "fn modulo(a: f32, b: f32) -> f32 {\n    let rest = a % b;\n"
            "    if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }\n}\n"
        ),
        **{
            f"modulo_{kind}": (
                f"fn modulo_{kind}(a: {kind}, b: {kind}) -> {kind} {{\n    let rest = a.wrapping_rem(b);\n"
                "    if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }\n}\n"
            )
            for kind in ("i32", "i64")
        },
    }

    def constant_name(self, name: str) -> str:
        return name.upper()

    def float_literal(self, value: float) -> str:
        if not math.isfinite(value):
            return "f32::NAN" if math.isnan(value) else "f32::INFINITY" if value > 0 else "f32::NEG_INFINITY"
        text = shortest(value)
        return text if "." in text or "e" in text else f"{text}.0"

    def load(self, load: ir.Load) -> str:
        text = self.element(load.array, load.index)
        return f"({text} as i32)" if load.storage in ("i8", "u8", "i16") else text

    def arithmetic(self, kind: ir.Type, operator: str, operands: Sequence[str]) -> str:
        if kind == "f32":
            return super().arithmetic(kind, operator, operands)
        name = {"+": "add", "-": "sub", "*": "mul", "/": "div"}[operator]
        return f"{kind}::wrapping_{name}({bare(operands[0])}, {bare(operands[1])})"

    def cast(self, source: ir.Type, target: ir.Type, value: str) -> str:
        if source == "bool" and target == "f32":
            return f"({value} as i32 as f32)"
        return f"({value} as {self.TYPES[target]})"

    def loop(self, variable: str, count: int) -> str:
        return f"for {variable} in 0..{count}"

    def let(self, let: ir.Let, value: str) -> str:
        return f"let {'mut ' if let.changes else ''}{let.name}: {self.TYPES[let.value.type]} = {value};"

    def guard(self, condition: str) -> list[str]:
        return [f"if !({bare(condition)}) {{ {self.fail()} }}"]

    def fail(self) -> str:
        return "return f32::NAN;" if self.is_scalar else f"return [f32::NAN; {self.program.result_size}];"

    def one_line(self, head: str, body: str) -> str:
        return f"{head} {{ {body} }}"

    def files(self) -> dict[str, str]:
        """NAME.rs."""
        program, name = self.program, self.facts.stem
        call = f"{name}({', '.join(each.name for each in program.parameters)})"
        parameters = [
            f"{each.name}: {self.TYPES[each.type] if each.is_scalar else f'&[{self.TYPES[each.type]}; {each.size}]'}"
            for each in program.parameters
        ]
        returned = "f32" if self.is_scalar else f"[f32; {program.result_size}]"
        body = [
            *(f"    let mut {SCRATCH[k]} = [{ZERO[k]}; {size}];" for k, size in sorted(program.scratch.items())),
            *self.statements(program.body, 1),
        ]
        if self.is_scalar:
            body.append(f"    {self.result}")
        else:
            loop = f"    for i0 in 0..{program.result_size} {{ result[i0] = {self.result}; }}"
            body += [f"    let mut result = [0.0; {program.result_size}];", loop, "    result"]
        function = "\n".join(
            [f"pub fn {name}(", *(f"    {each}," for each in parameters), f") -> {returned} {{", *body, "}", ""]
        )
        tables = [
            f"static {self.constant_name(each.name)}: [{each.storage}; {len(each.values)}] = [\n"
            + "\n".join(self.numbers(each))
            + "\n];"
            for each in program.constants
        ]
        head = [
            *(f"//! {line}".rstrip() for line in self.about(f"mod {name}; let fare = {name}::{call};")),
            "//! Without std: the feature `libm` of your crate, and the crate libm.",
            "#![allow(unexpected_cfgs, unused_variables, clippy::all)]",
            "",
        ]
        return {f"{name}.rs": "\n".join([*head, *tables, "", *self.helpers(function), function])}
