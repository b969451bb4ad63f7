"""Small real models, their answers by the interpreter, and what compiles and runs generated source."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farebox.components.tflite import interpreter as tflite
from farebox.components.tflite.codegen.export import source_code
from farebox.components.tflite.codegen.names import identifier

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off")
SANITIZERS = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")
KOTLIN = "FAREBOX_KOTLIN"  # a folder with the jars of org.jetbrains.kotlin:kotlin-compiler-embeddable


def _convert(function: Callable[..., Any], signature: dict[str, tuple[Any, str]], **options: Any) -> bytes:
    """A `.tflite` of a function of tensors, by name; options: attributes of the converter."""
    import tensorflow as tf

    specs = [tf.TensorSpec(shape, getattr(tf, dtype), name) for name, (shape, dtype) in signature.items()]
    concrete = tf.function(lambda *values: {"y": function(*values)}, input_signature=specs).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    for name, value in options.items():
        setattr(converter, name, value)
    return converter.convert()


def _interpreted(content: bytes, rows: dict[str, np.ndarray], delegates: bool = True) -> np.ndarray:
    """The output of each row, shape (n, size); rows: arrays of shape (n, ...), by input."""
    model = tflite._interpreter(content, 1, delegates)
    model.allocate_tensors()
    (output,) = model.get_output_details()
    answers = []
    for row in range(len(next(iter(rows.values())))):
        for end in model.get_input_details():
            values = rows[tflite.column_name(end["name"])][row].reshape(end["shape"])
            model.set_tensor(end["index"], values.astype(end["dtype"]))
        model.invoke()
        answers.append(model.get_tensor(output["index"]).reshape(-1).copy())
    return np.array(answers)


def _inputs(content: bytes) -> list[str]:
    """The columns of a file's inputs, in its order."""
    return [
        tflite.column_name(end["name"]) for end in tflite._interpreter(content, 1, delegates=False).get_input_details()
    ]


def _golden_of(content: bytes, rows: dict[str, np.ndarray]) -> str:
    """golden.json of rows, by the interpreter."""

    def plain(values: np.ndarray) -> list[list[float | None]]:
        lists = values.reshape(len(values), -1).tolist()
        return [[each if np.isfinite(each) else None for each in row] for row in lists]

    inputs = {name: plain(values) for name, values in rows.items()}
    return json.dumps({"inputs": inputs, "outputs": {"y": plain(_interpreted(content, rows))}})


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def _shell(*command: Any, cwd: Path) -> str:
    """Output of a command that must succeed."""
    ended = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}: {ended.stdout[-2000:]}{ended.stderr[-4000:]}"
    return ended.stdout


def _needs(program: str, package: str | None = None) -> str:
    """The program's path; skips the test if it is missing."""
    path = shutil.which(program) or shutil.which(program, path=os.path.expanduser("~/.cargo/bin"))
    if path is None:
        pytest.skip(f"{program} is missing: install {package or program}")
    return path


def _compiled(models: dict[str, bytes], folder: Path, *flags: str) -> Callable[..., np.ndarray]:
    """Compiles the C source of models, by name, into one library; returns (name, rows) -> outputs, shape (n, size)."""
    _needs("gcc")
    for name, content in models.items():
        _write(folder, source_code(content, "c", name=name))
    sources = [f"{identifier(name)}.c" for name in models]
    _shell("gcc", *WARNINGS, *flags, "-shared", "-fPIC", *sources, "-o", "all.so", "-lm", cwd=folder)
    library = ctypes.CDLL(str(folder / "all.so"))
    types = {"float32": ctypes.c_float, "int32": ctypes.c_int32, "int64": ctypes.c_int64, "bool": ctypes.c_bool}

    def run(name: str, rows: dict[str, np.ndarray]) -> np.ndarray:
        header = (folder / f"{identifier(name)}.h").read_text()
        size = int(size_match[1]) if (size_match := re.search(r"float result\[(\d+)\]", header)) else 1
        function = getattr(library, f"farebox_{identifier(name)}")
        function.restype = ctypes.c_float if size == 1 else None
        answers = np.zeros((len(next(iter(rows.values()))), size), np.float32)
        for number, answer in enumerate(answers):
            values = [np.ascontiguousarray(rows[each][number]) for each in _inputs(models[name])]
            arguments = [
                types[each.dtype.name](each.item()) if each.size == 1 else each.ctypes.data_as(ctypes.c_void_p)
                for each in values
            ]
            if size == 1:
                answer[0] = function(*arguments)
            else:
                function(*arguments, answer.ctypes.data_as(ctypes.c_void_p))
        return answers

    return run


def _in_python(content: bytes) -> Callable[..., np.ndarray]:
    """(any name, rows) -> outputs of the generated Python, shape (n, size)."""
    (text,) = source_code(content, "python", name="model").values()
    scope: dict[str, Any] = {}
    exec(compile(text, "model.py", "exec"), scope)

    def run(_: str, rows: dict[str, np.ndarray]) -> np.ndarray:
        answers = []
        for number in range(len(next(iter(rows.values())))):
            values = [rows[each][number].reshape(-1).tolist() for each in _inputs(content)]
            answers.append(scope["model"](*(each[0] if len(each) == 1 else each for each in values)))
        return np.array(answers, np.float64).astype(np.float32).reshape(len(answers), -1)

    return run


def _c(folder: Path, *flags: str, compiler: tuple[str, ...] = ("gcc",), run: tuple[str, ...] = ()) -> str:
    program = _needs(*compiler)
    _shell(program, *WARNINGS, *flags, "model.c", "model_test.c", "-lm", "-o", "golden", cwd=folder)
    return _shell(*run, "./golden", cwd=folder)


def _elsewhere(folder: Path, triple: str, machine: str, libraries: str) -> str:
    """C for another processor, run by QEMU."""
    emulator = _needs(f"qemu-{machine}", "qemu-user")
    return _c(folder, "-O2", "-static", compiler=(f"{triple}-gcc", f"gcc-{triple} and {libraries}"), run=(emulator,))


def _rust(folder: Path) -> str:
    _shell(_needs("rustc", "Rust"), "-O", "-D", "warnings", "model_test.rs", "-o", "golden", cwd=folder)
    return _shell("./golden", cwd=folder)


def _kotlin(folder: Path) -> str:
    java = _needs("java", "a Java runtime")
    if KOTLIN not in os.environ:
        pytest.skip(f"{KOTLIN} must name a folder with Kotlin's compiler: `tools/kotlin.sh DIR` fetches it")
    jars = sorted(Path(os.environ[KOTLIN]).glob("*.jar"))
    (library,) = (jar for jar in jars if jar.name.startswith("kotlin-stdlib"))
    compiler = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
    path = os.pathsep.join(map(str, jars))
    options = ("-no-stdlib", "-no-reflect", "-cp", library, "-d", "classes")
    _shell(java, "-cp", path, compiler, *options, "Model.kt", "ModelTest.kt", cwd=folder)
    return _shell(java, "-cp", f"classes{os.pathsep}{library}", "ModelTestKt", cwd=folder)


def _valgrind(folder: Path) -> str:
    return _c(folder, "-O0", "-g", run=(_needs("valgrind"), "-q", "--error-exitcode=9"))


LANGUAGES: dict[str, tuple[str, Callable[[Path], str]]] = {
    "C -O0": ("c", lambda folder: _c(folder, "-O0")),
    "C -O3": ("c", lambda folder: _c(folder, "-O3")),
    "C sanitizers": ("c", lambda folder: _c(folder, *SANITIZERS)),
    "C valgrind": ("c", _valgrind),
    "C arm": ("c", lambda folder: _elsewhere(folder, "arm-linux-gnueabihf", "arm", "libc6-dev-armhf-cross")),
    "C s390x": ("c", lambda folder: _elsewhere(folder, "s390x-linux-gnu", "s390x", "libc6-dev-s390x-cross")),
    "JavaScript": ("js", lambda folder: _shell(_needs("node", "nodejs"), "model.test.mjs", cwd=folder)),
    "Kotlin": ("kotlin", _kotlin),
    "Python": ("python", lambda folder: _shell(sys.executable, "model_test.py", cwd=folder)),
    "Rust": ("rust", _rust),
}


@pytest.fixture(params=LANGUAGES)
def language(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def needs() -> Callable[..., str]:
    """Returns `_needs`."""
    return _needs


@pytest.fixture(scope="session")
def convert() -> Callable[..., bytes]:
    """Returns `_convert`."""
    return _convert


@pytest.fixture(scope="session")
def interpreted() -> Callable[..., np.ndarray]:
    """Returns `_interpreted`."""
    return _interpreted


@pytest.fixture(scope="session")
def golden_of() -> Callable[..., str]:
    """Returns `_golden_of`."""
    return _golden_of


@pytest.fixture(scope="session")
def compiled() -> Callable[..., Callable[..., np.ndarray]]:
    """Returns `_compiled`."""
    return _compiled


@pytest.fixture(scope="session")
def in_python() -> Callable[..., Callable[..., np.ndarray]]:
    """Returns `_in_python`."""
    return _in_python


@pytest.fixture(scope="session")
def run_golden() -> Callable[..., float]:
    """(language, content, golden, folder) -> the largest difference that the generated test program prints."""

    def run(language: str, content: bytes, golden: str, folder: Path) -> float:
        target, command = LANGUAGES[language]
        _write(folder, source_code(content, target, name="model", golden=golden))
        printed = command(folder)
        return float(re.fullmatch(r"\d+ rows, largest difference (\S+)\n", printed)[1])

    return run
