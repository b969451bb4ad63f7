"""Source code of a `.tflite`: the function of a file in a language, without a runtime."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

from farebox.components.errors import InputError
from farebox.components.tflite.codegen.c import CPrinter
from farebox.components.tflite.codegen.golden import read_golden
from farebox.components.tflite.codegen.golden_programs import golden_program
from farebox.components.tflite.codegen.ir import Parameter
from farebox.components.tflite.codegen.javascript import JavaScriptPrinter
from farebox.components.tflite.codegen.kotlin import KotlinPrinter
from farebox.components.tflite.codegen.names import identifier
from farebox.components.tflite.codegen.printer import Facts, Printer, commented
from farebox.components.tflite.codegen.program import lowered
from farebox.components.tflite.codegen.python import PythonPrinter
from farebox.components.tflite.codegen.rust import RustPrinter
from farebox.components.tflite.codegen.swift import SwiftPrinter

PRINTERS: Mapping[str, type[Printer]] = {
    "c": CPrinter, "js": JavaScriptPrinter, "kotlin": KotlinPrinter, "swift": SwiftPrinter, "python": PythonPrinter,
    "rust": RustPrinter,
}  # fmt: skip


def source_code(
    content: bytes,
    language: str,
    *,
    name: str = "model",
    origin: str = "<bytes>",
    meanings: Mapping[str, str] | None = None,
    result: str = "",
    golden: str | bytes | None = None,
    golden_origin: str = "golden.json",
) -> dict[str, str]:
    """The generated files, text by name: the function, and a test program if there are golden rows.

    content: of a `.tflite` with one output. language: a key of PRINTERS. name: of the file, from which the names of
    function and files come. origin: the file's name in errors and in the header. meanings: a line for each input, by
    name; result: the same for the output. golden: JSON, `{"inputs": {name: [...]}, "outputs": {name: [...]}}`.

    Raises InputError: an unknown language; a file that cannot be read or has an operator that has no description;
    golden rows that do not fit.
    """
    if language not in PRINTERS:
        raise InputError(f"to={language} must be one of {', '.join(PRINTERS)} or app")
    program = lowered(content, origin)
    result_end = Parameter("result", program.result_column, "f32", program.result_size)
    rows = None if golden is None else read_golden(golden, program.parameters, result_end, golden_origin)
    digest = hashlib.sha256(content).hexdigest()
    words = {column: commented(text) for column, text in (meanings or {}).items()}
    facts = Facts(identifier(name), commented(os.path.basename(origin)), digest, words, commented(result))
    printer = PRINTERS[language](program, facts)
    files = printer.files()
    if rows is not None:
        files |= golden_program(printer, rows)
    return files
