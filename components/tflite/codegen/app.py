"""Ready snippets that call a `.tflite` with a LiteRT runtime: Android, iOS, web, microcontrollers and Python.

Each feeds the inputs in the file's order and types, and compares golden.json's rows with the runtime's answers. APIs as
of LiteRT 2.3.0 for Kotlin (CompiledModel), TensorFlowLiteSwift 2.17, @litertjs/core 2.5.3, tflite-micro of October 2026
(MicroMutableOpResolver) and ai-edge-litert 1.4.0.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

from farebox.components.errors import InputError
from farebox.components.tflite.codegen.golden import TOLERANCE, GoldenRows, read_golden
from farebox.components.tflite.codegen.ir import Parameter
from farebox.components.tflite.codegen.names import camel, distinct, identifier
from farebox.components.tflite.codegen.printer import commented, shortest
from farebox.components.tflite.description import Description
from farebox.components.tflite.interpreter import TfliteModel

APP = "app"
ARENA_FACTOR = 4  # of the file's bytes; DeviceValidator's `arena_bytes` is the smallest that it takes
TAKEN = frozenset(  # by the snippets themselves
    ("arena", "buffer", "context", "dtype", "fares", "inputs", "interpreter", "json", "model", "np", "output",
     "outputs", "pathlib", "tensor", "value", "values")
)  # fmt: skip
ADDERS = {"BATCH_MATMUL": "BatchMatMul"}  # names of tflite-micro that do not follow from the operator's


# Placeholders are ~{name}: Kotlin and JavaScript have dollars, npm and Swift have @ of their own.
KOTLIN = """// LiteRT on Android: put ~{file} and golden.json into src/main/assets.
// Gradle: implementation("com.google.ai.edge.litert:litert:2.3.0")
~{contract}
import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import org.json.JSONObject
import kotlin.math.abs

class ~{Name}Model(private val context: Context) : AutoCloseable {
    private val model =
        CompiledModel.create(context.assets, "~{file}", CompiledModel.Options(Accelerator.CPU))
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    fun predict(~{kotlin_parameters}): Float {
~{kotlin_writes}
        model.run(inputs, outputs)
        return outputs[0].readFloat()[0]
    }

    /** Largest difference from golden.json; above ~{tolerance} something is wrong. */
    fun largestDifference(): Float {
        val golden = JSONObject(context.assets.open("golden.json").bufferedReader().readText())
        val given = golden.getJSONObject("inputs")
        val fares = golden.getJSONObject("outputs").let { it.getJSONArray(it.keys().next()) }
        fun number(name: String, i: Int) =
            given.getJSONArray(name).let { if (it.isNull(i)) Double.NaN else it.getDouble(i) }
        return (0 until fares.length()).maxOf { i ->
            abs(predict(~{kotlin_golden}) - fares.getDouble(i).toFloat())
        }
    }

    override fun close() = model.close()
}
"""
SWIFT = """// TensorFlow Lite on iOS: add ~{file} and golden.json to the app's resources.
// Podfile: pod "TensorFlowLiteSwift", "~> 2.17"
~{contract}
import Foundation
import TensorFlowLite

final class ~{Name}Model {
    private let interpreter: Interpreter

    init() throws {
        interpreter = try Interpreter(modelPath: Bundle.main.path(forResource: "~{file}", ofType: nil)!)
        try interpreter.allocateTensors()
    }

    func predict(~{swift_parameters}) throws -> Float {
~{swift_writes}
        try interpreter.invoke()
        return try interpreter.output(at: 0).data.withUnsafeBytes { $0.load(as: Float.self) }
    }

    /// Largest difference from golden.json; above ~{tolerance} something is wrong.
    func largestDifference() throws -> Float {
        let data = try Data(contentsOf: Bundle.main.url(forResource: "golden", withExtension: "json")!)
        let golden = try JSONSerialization.jsonObject(with: data) as! [String: [String: [Any]]]
        let given = golden["inputs"]!, fares = golden["outputs"]!.values.first! as! [Double]
        func number(_ name: String, _ i: Int) -> Double { given[name]![i] as? Double ?? .nan }
        return try fares.indices.reduce(Float(0)) { largest, i in
            let difference = abs(try predict(~{swift_golden}) - Float(fares[i]))
            return difference.isNaN ? .infinity : max(largest, difference)
        }
    }

    private func set<T>(_ value: T, _ index: Int) throws {
        try interpreter.copy(withUnsafeBytes(of: value) { Data($0) }, toInputAt: index)
    }
}
"""
WEB = """// LiteRT.js in a page: serve this module, ~{file}, golden.json and node_modules.
// npm install @litertjs/core@2.5.3; the page maps its two packages:
// <script type="importmap">{"imports": {"@litertjs/core": "/node_modules/@litertjs/core/dist/index.js",
//   "@litertjs/wasm-utils": "/node_modules/@litertjs/wasm-utils/dist/index.js"}}</script>
~{contract}
import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";

await loadLiteRt("/node_modules/@litertjs/core/wasm/");
const model = await loadAndCompile("./~{file}", { accelerator: "wasm" });

export async function predict(~{js_parameters}) {
  const inputs = [~{js_arrays}].map((values) => new Tensor(values, [1, 1]));
  const [output] = await model.run(inputs);
  const [result] = await output.data();
  for (const tensor of [...inputs, output]) tensor.delete();
  return result;
}

/** Largest difference from golden.json; above ~{tolerance} something is wrong. */
export async function largestDifference() {
  const golden = await (await fetch("./golden.json")).json();
  const [fares] = Object.values(golden.outputs);
  let largest = 0;
  for (let i = 0; i < fares.length; i++) {
    const row = ~{names}.map((name) => golden.inputs[name][i] ?? NaN);
    largest = Math.max(largest, Math.abs((await predict(...row)) - fares[i]));
  }
  return largest;
}
"""
MICRO = """// tflite-micro: compile with its library. ~{stem}_model.h has the model, ~{stem}_golden.h the rows.
~{contract}
#include <cmath>
#include "~{stem}_golden.h"
#include "~{stem}_model.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {
alignas(16) unsigned char arena[~{arena}];  // DeviceValidator's arena_bytes is the smallest

tflite::MicroInterpreter& interpreter() {
  static tflite::MicroMutableOpResolver<~{n_operators}> resolver;
  static const bool added = [] {
~{micro_adds}
    return true;
  }();
  static tflite::MicroInterpreter instance(tflite::GetModel(~{stem}_model), resolver, arena, sizeof(arena));
  static const TfLiteStatus allocated = instance.AllocateTensors();
  (void)added;
  (void)allocated;
  return instance;
}
}  // namespace

float ~{stem}_predict(~{micro_parameters}) {
  tflite::MicroInterpreter& model = interpreter();
~{micro_writes}
  return model.Invoke() == kTfLiteOk ? model.output(0)->data.f[0] : NAN;
}

// Largest difference from the golden rows; above ~{tolerance} something is wrong.
float ~{stem}_largest_difference() {
  float largest = 0;
  for (int i = 0; i < ~{stem}_golden_rows; i++) {
    const float difference = std::fabs(~{stem}_predict(~{micro_golden}) - ~{stem}_golden_output[i]);
    if (!(difference <= largest)) largest = std::isnan(difference) ? INFINITY : difference;
  }
  return largest;
}
"""
PYTHON = '''"""LiteRT in Python. pip install ai-edge-litert; ~{file} and golden.json lie beside this file.

~{contract}
"""

import json
import pathlib

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel

PLACE = pathlib.Path(__file__).parent
TYPES = ~{types}

model = CompiledModel.from_file(str(PLACE / "~{file}"))
inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)


def predict(~{python_parameters}):
    for buffer, value, dtype in zip(inputs, (~{python_parameters},), TYPES):
        buffer.write(np.array([value], dtype))
    model.run_by_index(0, inputs, outputs)
    return float(outputs[0].read(1, np.float32)[0])


def largest_difference():
    """Largest difference from golden.json; above ~{tolerance} something is wrong."""
    golden = json.loads((PLACE / "golden.json").read_text())
    (expected,) = golden["outputs"].values()
    rows = zip(*(golden["inputs"][name] for name in ~{names}))
    answers = [predict(*(np.nan if value is None else value for value in row)) for row in rows]
    return float(np.abs(np.array(answers) - np.array(expected)).max())


if __name__ == "__main__":
    print(f"largest difference {largest_difference():.3g}")
'''


def app_files(content: bytes, file: str, description: Description, golden: bytes) -> dict[str, str]:
    """The snippets, text by file name, for a file of single numbers in float32 or int32 and one float32 output.

    file: its name, from which names in the snippets come. golden: the content of golden.json.

    Raises InputError for a file with other inputs or another output, for golden rows that do not fit, and for a name
    that a string of some language would read otherwise.
    """
    if not re.fullmatch(r"[\w .,+@-]+", file):
        raise InputError(f"to=app: model={file!r} must have a name of letters, digits, spaces and . , + @ - _")
    model, stem = TfliteModel(content), identifier(file.removesuffix(".tflite"))
    ends = [*(("input", end, ("float32", "int32")) for end in model.inputs), ("output", model.output, ("float32",))]
    for role, end, kinds in ends:
        if end.tail not in ((), (1,)) or end.dtype.__name__ not in kinds:
            got = f"{end.dtype.__name__} {end.tail}"
            raise InputError(f"to=app: {role} {end.name} must be one {' or '.join(kinds)} number, got {got}")
    parameters = [
        Parameter(name, end.name, "i32" if end.dtype.__name__ == "int32" else "f32", 1)
        for name, end in zip(distinct([end.name for end in model.inputs], TAKEN), model.inputs, strict=True)
    ]
    rows = read_golden(golden, parameters, Parameter("result", model.output.name, "f32", 1))
    words = {each.name: each.line for each in description.inputs}
    values = _placeholders(stem, parameters, words)
    values |= {"file": file} | _micro(stem, parameters, model.op_names(), len(content))
    contract = [
        "Inputs, in this order:",
        *values["lines"].splitlines(),
        f"Output: {commented(description.output.line) or 'one float32 number'}",
    ]
    comment, plain = "\n".join(f"// {line}" for line in contract), "\n".join(contract)
    templates = {
        f"{values['Name']}Model.kt": KOTLIN, f"{values['Name']}Model.swift": SWIFT, f"{stem}_litert.mjs": WEB,
        f"{stem}_micro.cc": MICRO, f"{stem}_litert.py": PYTHON,
    }  # fmt: skip
    texts = {
        name: filled(template, {**values, "contract": plain if template is PYTHON else comment})
        for name, template in templates.items()
    }
    return {
        **texts,
        f"{stem}_model.h": _array(stem, content),
        f"{stem}_golden.h": _golden_arrays(stem, parameters, rows),
    }


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with its placeholders replaced. Raises KeyError for one without a value."""
    return re.sub(r"~\{(\w+)\}", lambda match: values[match.group(1)], template)


def _placeholders(stem: str, parameters: Sequence[Parameter], words: Mapping[str, str]) -> dict[str, str]:
    """Values of the placeholders in every template but tflite-micro's own; words: what a column means."""
    width = max(len(each.column) for each in parameters)
    types = ["int32" if each.type == "i32" else "float32" for each in parameters]
    lines = [
        commented(f"{each.column:<{width}}  {kind:<7}  {words.get(each.column, '')}".rstrip())
        for each, kind in zip(parameters, types, strict=True)
    ]
    names = [camel(each.name) for each in parameters]
    columns = [json.dumps(each.column, ensure_ascii=False) for each in parameters]
    kotlin = ["Int" if each.type == "i32" else "Float" for each in parameters]
    swift = ["Int32" if each.type == "i32" else "Float" for each in parameters]
    ends = list(zip(names, kotlin, swift, columns, strict=True))
    return {
        "stem": stem,
        "Name": stem[:1].upper() + stem[1:],
        "tolerance": f"{TOLERANCE * 10:g}",
        "lines": "\n".join(f"  {line}" for line in lines),
        "names": f"[{', '.join(columns)}]",
        "types": json.dumps(types),
        "kotlin_parameters": ", ".join(f"{name}: {kind}" for name, kind, _, _ in ends),
        "kotlin_writes": "\n".join(
            f"        inputs[{i}].write{kind}({kind.lower()}ArrayOf({name}))"
            for i, (name, kind, _, _) in enumerate(ends)
        ),
        "kotlin_golden": ", ".join(
            f"number({column}, i).to{kind}()".replace("$", "\\$") for _, kind, _, column in ends
        ),
        "swift_parameters": ", ".join(f"{name}: {kind}" for name, _, kind, _ in ends),
        "swift_writes": "\n".join(f"        try set({name}, {i})" for i, name in enumerate(names)),
        "swift_golden": ", ".join(f"{name}: {kind}(number({column}, i))" for name, _, kind, column in ends),
        "js_parameters": ", ".join(names),
        "js_arrays": ", ".join(f"{kind}32Array.of({name})" for name, kind, _, _ in ends),
        "python_parameters": ", ".join(each.name for each in parameters),
    }


def _micro(stem: str, parameters: Sequence[Parameter], operators: Mapping[str, int], n_bytes: int) -> dict[str, str]:
    """Values of the placeholders in the template of tflite-micro."""
    adders = [ADDERS.get(name, "".join(part.capitalize() for part in name.split("_"))) for name in operators]
    kinds = [("int", "i32") if each.type == "i32" else ("float", "f") for each in parameters]
    return {
        "arena": str(-(-ARENA_FACTOR * n_bytes // 1024) * 1024),
        "n_operators": str(len(adders)),
        "micro_adds": "\n".join(f"    resolver.Add{name}();" for name in adders),
        "micro_parameters": ", ".join(f"{kind} {each.name}" for each, (kind, _) in zip(parameters, kinds, strict=True)),
        "micro_writes": "\n".join(
            f"  model.input({i})->data.{field}[0] = {each.name};"
            for i, (each, (_, field)) in enumerate(zip(parameters, kinds, strict=True))
        ),
        "micro_golden": ", ".join(f"{stem}_golden_{each.name}[i]" for each in parameters),
    }


def _array(stem: str, content: bytes) -> str:
    """A C header with the file's bytes."""
    lines = [", ".join(map(str, content[start : start + 20])) for start in range(0, len(content), 20)]
    return (
        f"// {stem}.tflite as a C array; const, so that it stays in flash.\n#pragma once\n"
        f"#ifdef __cplusplus\nalignas(16)\n#else\n_Alignas(16)\n#endif\n"
        f"static const unsigned char {stem}_model[{len(content)}] = {{\n  " + ",\n  ".join(lines) + "};\n"
    )


def _golden_arrays(stem: str, parameters: Sequence[Parameter], golden: GoldenRows) -> str:
    """A C header with the golden rows."""

    def array(name: str, values: Sequence[tuple[float, ...]], kind: str) -> str:
        numbers = [_c_number(value, kind) for (value,) in values]
        lines = [", ".join(numbers[start : start + 10]) for start in range(0, len(numbers), 10)]
        return f"static const {kind} {stem}_golden_{name}[] = {{\n  " + ",\n  ".join(lines) + "};\n"

    arrays = [
        array(each.name, values, "int" if each.type == "i32" else "float")
        for each, values in zip(parameters, golden.inputs, strict=True)
    ]
    head = (
        f"// Rows of golden.json.\n#pragma once\n#include <math.h>\nenum {{ {stem}_golden_rows = {golden.count} }};\n"
    )
    return head + "".join([*arrays, array("output", golden.outputs, "float")])


def _c_number(value: float, kind: str) -> str:
    if kind == "int":
        return "0" if math.isnan(value) else str(int(value))
    if not math.isfinite(value):
        return "NAN" if math.isnan(value) else f"{'-' * (value < 0)}INFINITY"
    text = shortest(value)
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"
