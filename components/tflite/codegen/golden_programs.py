"""Test programs: each repeats the golden rows, prints the largest difference, and fails above the bound.

A difference counts against the bound times the larger of the expected number and the rows' scale: float32 has 7 digits
of the largest number in a sum, and an answer that is small by cancellation has the rounding errors of its summands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.c import CPrinter
from farebox.components.tflite.codegen.golden import TOLERANCE, GoldenRows
from farebox.components.tflite.codegen.javascript import JavaScriptPrinter
from farebox.components.tflite.codegen.kotlin import KotlinPrinter
from farebox.components.tflite.codegen.names import camel
from farebox.components.tflite.codegen.printer import Printer, wrapped
from farebox.components.tflite.codegen.python import CODES, PythonPrinter
from farebox.components.tflite.codegen.rust import RustPrinter
from farebox.components.tflite.codegen.swift import SwiftPrinter


def golden_program(printer: Printer, golden: GoldenRows) -> dict[str, str]:
    """The test program for a printer's file: text by name."""
    writers: dict[type[Printer], Callable[[Any, GoldenRows], dict[str, str]]] = {
        CPrinter: _c, JavaScriptPrinter: _javascript, KotlinPrinter: _kotlin, PythonPrinter: _python,
        RustPrinter: _rust, SwiftPrinter: _swift,
    }  # fmt: skip
    return writers[type(printer)](printer, golden)


def _columns(printer: Printer, golden: GoldenRows) -> list[tuple[str, ir.Parameter, list[str]]]:
    """Name, parameter and numbers of each column of the rows; the expected numbers last."""
    expected = ir.Parameter("expected", "", "f32", printer.program.result_size)
    columns = []
    for each, rows in zip((*printer.program.parameters, expected), (*golden.inputs, golden.outputs), strict=True):
        kind = each.type
        texts = [printer.table_number(kind, _typed(kind, number)) for row in rows for number in row]
        columns.append((f"golden_{each.name}", each, texts))
    return columns


def _typed(kind: ir.Type, number: float) -> float | int | bool:
    """A golden number in the parameter's type; a missing integer is 0."""
    if kind == "f32":
        return number
    whole = 0 if number != number else int(number)
    return bool(whole) if kind == "bool" else whole


def _arguments(printer: Printer, wide: str) -> list[str]:
    """The arguments of a call for row `n`; wide: the form of those that are arrays, of name and size."""
    return [
        f"golden_{each.name}[n]" if each.is_scalar else wide.format(f"golden_{each.name}", each.size)
        for each in printer.program.parameters
    ]


def _c(printer: CPrinter, golden: GoldenRows) -> dict[str, str]:
    stem, size = printer.facts.stem, printer.program.result_size
    tables = "".join(
        f"static const {printer.TYPES[each.type]} {name}[{len(texts)}] = {{\n" + "\n".join(wrapped(texts)) + "\n};\n"
        for name, each, texts in _columns(printer, golden)
    )
    arguments = _arguments(printer, "{0} + n * {1}")
    call = f"result[0] = {printer.function_name}({', '.join(arguments)});"
    if size > 1:
        call = f"{printer.function_name}({', '.join([*arguments, 'result'])});"
    return {
        f"{stem}_test.c": f"""/* Golden rows of {stem}.c.
   cc -std=c99 -ffp-contract=off {stem}.c {stem}_test.c -lm && ./a.out */
#include "{stem}.h"

#include <math.h>
#include <stdio.h>

{tables}
int main(void) {{
    double largest = 0.0;
    int failed = 0;
    for (int n = 0; n < {golden.count}; n++) {{
        float result[{size}];
        {call}
        for (int i = 0; i < {size}; i++) {{
            const double wanted = golden_expected[n * {size} + i], got = result[i];
            const double difference = (isnan(wanted) && isnan(got)) || got == wanted ? 0.0 : fabs(got - wanted);
            if (difference != 0.0 && !(difference <= {TOLERANCE} * fmax({golden.scale}, fabs(wanted)))) failed++;
            if (!(difference <= largest)) largest = isnan(difference) ? INFINITY : difference;
        }}
    }}
    printf("{golden.count} rows, largest difference %.3g\\n", largest);
    return failed ? 1 : 0;
}}
"""
    }


def _javascript(printer: JavaScriptPrinter, golden: GoldenRows) -> dict[str, str]:
    stem, size = printer.facts.stem, printer.program.result_size
    tables = "".join(
        f"const {name} = [\n" + "\n".join(wrapped(texts)) + "\n];\n" for name, _, texts in _columns(printer, golden)
    )
    call = f"{camel(stem)}({', '.join(_arguments(printer, '{0}.slice(n * {1}, n * {1} + {1})'))})"
    return {
        f"{stem}.test.mjs": f"""// Golden rows of {stem}.mjs. node {stem}.test.mjs
import {{ {camel(stem)} }} from "./{stem}.mjs";

{tables}
let largest = 0, failed = 0;
for (let n = 0; n < {golden.count}; n++) {{
  const result = {f"[{call}]" if size == 1 else call};
  for (let i = 0; i < {size}; i++) {{
    const wanted = Math.fround(golden_expected[n * {size} + i]), got = result[i];
    const difference = Object.is(wanted, got) || got === wanted ? 0 : Math.abs(got - wanted);
    if (difference !== 0 && !(difference <= {TOLERANCE} * Math.max({golden.scale}, Math.abs(wanted)))) failed++;
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
  }}
}}
console.log(`{golden.count} rows, largest difference ${{largest.toPrecision(3)}}`);
if (failed) throw new Error(`${{failed}} numbers differ from the model's`);
"""
    }


def _python(printer: PythonPrinter, golden: GoldenRows) -> dict[str, str]:
    stem, size = printer.facts.stem, printer.program.result_size
    tables = "".join(
        f'{name} = array("{CODES[each.type]}", [\n' + "\n".join(wrapped(texts)) + "\n])\n"
        for name, each, texts in _columns(printer, golden)
    )
    call = f"{stem}({', '.join(_arguments(printer, '{0}[n * {1} : n * {1} + {1}]'))})"
    return {
        f"{stem}_test.py": f'''"""Golden rows of {stem}.py. python {stem}_test.py"""

import math
import sys
from array import array

from {stem} import {stem}

{tables}
largest, failed = 0.0, 0
for n in range({golden.count}):
    result = {f"[{call}]" if size == 1 else call}
    for i in range({size}):
        wanted, got = golden_expected[n * {size} + i], result[i]
        difference = 0.0 if got == wanted or (math.isnan(wanted) and math.isnan(got)) else abs(got - wanted)
        failed += difference != 0 and not difference <= {TOLERANCE} * max({golden.scale}, abs(wanted))
        largest = max(largest, math.inf if math.isnan(difference) else difference)
print(f"{golden.count} rows, largest difference {{largest:.3g}}")
sys.exit(1 if failed else 0)
'''
    }


def _rust(printer: RustPrinter, golden: GoldenRows) -> dict[str, str]:
    stem, size = printer.facts.stem, printer.program.result_size
    tables = "".join(
        f"static {name.upper()}: [{each.type}; {len(texts)}] = [\n" + "\n".join(wrapped(texts)) + "\n];\n"
        for name, each, texts in _columns(printer, golden)
    )
    arguments = _arguments(printer, "&std::array::from_fn(|i| {0}[n * {1} + i])")
    names = ", ".join(each.replace(f"golden_{p.name}", f"golden_{p.name}".upper(), 1) for each, p in
                      zip(arguments, printer.program.parameters, strict=True))  # fmt: skip
    call = f"{stem}::{stem}({names})"
    return {
        f"{stem}_test.rs": f"""//! Golden rows of {stem}.rs. rustc -O {stem}_test.rs && ./{stem}_test
mod {stem};

{tables}
fn main() {{
    let (mut largest, mut failed) = (0.0f64, 0);
    for n in 0..{golden.count} {{
        let result: [f32; {size}] = {f"[{call}]" if size == 1 else call};
        for i in 0..{size} {{
            let (wanted, got) = (GOLDEN_EXPECTED[n * {size} + i] as f64, result[i] as f64);
            let is_equal = wanted.is_nan() && got.is_nan() || got == wanted;
            let difference = if is_equal {{ 0.0 }} else {{ (got - wanted).abs() }};
            if difference != 0.0 && !(difference <= {TOLERANCE} * wanted.abs().max({golden.scale})) {{ failed += 1; }}
            if !(difference <= largest) {{
                largest = if difference.is_nan() {{ f64::INFINITY }} else {{ difference }};
            }}
        }}
    }}
    println!("{golden.count} rows, largest difference {{largest:.3e}}");
    std::process::exit(if failed > 0 {{ 1 }} else {{ 0 }});
}}
"""
    }


def _kotlin(printer: KotlinPrinter, golden: GoldenRows) -> dict[str, str]:
    name, size = camel(printer.facts.stem), printer.program.result_size
    title = name[0].upper() + name[1:]
    reads = {"f32": "toFloat", "i32": "toInt", "i64": "toLong", "bool": "toBooleanStrict"}
    arrays = {"f32": "Float", "i32": "Int", "i64": "Long", "bool": "Boolean"}
    tables = "".join(
        f'private val {column} = """\n' + "\n".join(wrapped([text.rstrip("L") for text in texts])).rstrip(",")
        + f'\n""".split(",").map {{ it.trim().{reads[each.type]}() }}.to{arrays[each.type]}Array()\n'
        for column, each, texts in _columns(printer, golden)
    )  # fmt: skip
    call = f"{title}.{name}({', '.join(_arguments(printer, '{0}.copyOfRange(n * {1}, n * {1} + {1})'))})"
    return {
        f"{title}Test.kt": f"""// Golden rows of {title}.kt.
// kotlinc {title}.kt {title}Test.kt -include-runtime -d t.jar && java -jar t.jar
import kotlin.system.exitProcess

{tables}
fun main() {{
    var largest = 0.0
    var failed = 0
    for (n in 0 until {golden.count}) {{
        val result = {f"floatArrayOf({call})" if size == 1 else call}
        for (i in 0 until {size}) {{
            val wanted = golden_expected[n * {size} + i].toDouble()
            val got = result[i].toDouble()
            val difference = if (wanted.isNaN() && got.isNaN() || got == wanted) 0.0 else Math.abs(got - wanted)
            if (difference != 0.0 && !(difference <= {TOLERANCE} * Math.max({golden.scale}, Math.abs(wanted)))) failed++
            if (!(difference <= largest)) largest = if (difference.isNaN()) Double.POSITIVE_INFINITY else difference
        }}
    }}
    println("{golden.count} rows, largest difference %.3g".format(java.util.Locale.ROOT, largest))
    exitProcess(if (failed > 0) 1 else 0)
}}
"""
    }


def _swift(printer: SwiftPrinter, golden: GoldenRows) -> dict[str, str]:
    name, size = camel(printer.facts.stem), printer.program.result_size
    title = name[0].upper() + name[1:]
    tables = "".join(
        f"private let {column}: [{printer.TYPES[each.type]}] = [\n" + "\n".join(wrapped(texts)) + "\n]\n"
        for column, each, texts in _columns(printer, golden)
    )
    labels = [printer.parameter_name(each.name) for each in printer.program.parameters]
    arguments = _arguments(printer, "Array({0}[(n * {1})..<(n * {1} + {1})])")
    call = f"{title}.{name}({', '.join(f'{a}: {b}' for a, b in zip(labels, arguments, strict=True))})"
    return {
        f"{title}Test.swift": f"""// Golden rows of {title}.swift.
// swiftc -parse-as-library {title}.swift {title}Test.swift -o t && ./t
import Foundation

{tables}
@main
struct {title}Test {{
    static func main() {{
        var largest = 0.0
        var failed = 0
        for n in 0..<{golden.count} {{
            let result: [Float] = {f"[{call}]" if size == 1 else call}
            for i in 0..<{size} {{
                let wanted = Double(golden_expected[n * {size} + i])
                let got = Double(result[i])
                let difference = wanted.isNaN && got.isNaN || got == wanted ? 0.0 : abs(got - wanted)
                if difference != 0 && !(difference <= {TOLERANCE} * max({golden.scale}, abs(wanted))) {{ failed += 1 }}
                if !(difference <= largest) {{ largest = difference.isNaN ? Double.infinity : difference }}
            }}
        }}
        print("{golden.count} rows, largest difference \\(largest)")
        exit(failed > 0 ? 1 : 0)
    }}
}}
"""
    }
