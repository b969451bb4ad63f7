"""`farebox export`: a .tflite as source code without a runtime. No TensorFlow."""

from __future__ import annotations

from typing import Annotated

import typer

# What compiles and runs the test program, by language; {0} and {1} are the generated source and test program.
TEST_COMMANDS = {
    "c": "cc -std=c99 -ffp-contract=off {0} {1} -lm -o golden && ./golden",
    "js": "node {1}",
    "kotlin": "kotlinc {0} {1} -include-runtime -d golden.jar && java -jar golden.jar",
    "swift": "swiftc -parse-as-library {0} {1} -o golden && ./golden",
    "python": "python {1}",
    "rust": "rustc -O {1} -o golden && ./golden",
}


def export(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A .tflite file, a version's folder, or models/CITY for its latest."),
    ],
    *,
    to: Annotated[
        str,
        typer.Option(
            metavar="LANGUAGE",
            help="c, js, kotlin, swift, python or rust: source without a runtime; app: snippets that call LiteRT.",
        ),
    ],
    out: Annotated[str, typer.Option(metavar="DIR", help="The folder for the files.")] = ".",
) -> None:
    """Writes a .tflite as source code that needs no runtime, or snippets of apps that call one."""
    from farebox.components.tflite.codegen.place_tables import is_place_table
    from farebox.components.tflite.files import GOLDEN_FILE
    from farebox.pipeline import fare_model

    paths = fare_model.export(model, to, out)
    for path in paths:
        print(f"{path} ({path.stat().st_size:,} B)")
    sources = [path.name for path in paths if path.suffix != ".h" and not is_place_table(path.name)]
    if to not in TEST_COMMANDS:
        print("each snippet says at its head where it goes, and compares the rows of golden.json")
    elif len(sources) > 1:
        print(f"test it: {TEST_COMMANDS[to].format(*sources)}")
    else:
        print(f"no test program: {GOLDEN_FILE} is not beside the model")
