"""Snippets of apps: those that can run here run, on the golden rows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from farebox.components.device_validator.golden import as_json
from farebox.components.errors import InputError
from farebox.components.tflite.codegen.app import app_files
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.interpreter import TfliteModel

PACKAGES = Path(__file__).parents[4] / ".node/node_modules"
WORDS = Description(
    inputs=(TensorDescription("pickup_hour", "local time", minimum=0, maximum=23),),
    output=TensorDescription("fare", "fare", "EUR"),
)


@pytest.fixture(scope="module")
def content(convert_tflite) -> bytes:
    return convert_tflite(clips_inputs=True, batch=1, whole="int32")


@pytest.fixture
def kit(tmp_path, content) -> Path:
    """The snippets with the model and its golden rows, one of them with a missing number."""
    model, rng = TfliteModel(content), np.random.default_rng(0)
    columns = {
        end.name: rng.integers(0, 7, 20).astype(np.int32)
        if end.dtype is np.int32
        else rng.uniform(-90, 90, 20).astype(np.float32)
        for end in model.inputs
    }
    columns["pickup_longitude"][3] = np.nan
    golden = as_json(columns, {"fare": model.predict(columns)})
    for name, text in app_files(content, "fare.tflite", WORDS, golden.encode()).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "golden.json").write_text(golden)
    (tmp_path / "fare.tflite").write_bytes(content)
    return tmp_path


def test_the_python_snippet_gives_the_golden_rows(kit):
    ended = subprocess.run([sys.executable, kit / "fare_litert.py"], capture_output=True, text=True, check=True)
    assert float(ended.stdout.removeprefix("largest difference ")) < 1e-4


def test_the_python_snippet_notices_another_answer(kit):
    golden = json.loads((kit / "golden.json").read_text())
    golden["outputs"]["fare"][0] = 999.0
    (kit / "golden.json").write_text(json.dumps(golden))
    ended = subprocess.run([sys.executable, kit / "fare_litert.py"], capture_output=True, text=True, check=True)
    assert float(ended.stdout.removeprefix("largest difference ")) > 900


@pytest.mark.slow
def test_the_web_snippet_gives_the_golden_rows(kit, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[4] / "benchmarks"))
    import browser

    if not PACKAGES.is_dir() or browser.chromium() is None:
        pytest.skip("needs Chromium, and LiteRT.js from `make explorer`")
    (kit / "node_modules").symlink_to(PACKAGES)
    maps = re.search(r'(<script type="importmap">.*?)\n// (.*?</script>)', (kit / "fare_litert.mjs").read_text())
    (kit / "index.html").write_text(
        f"""{maps.group(1)}{maps.group(2)}<script type="module">
        const answer = value => fetch("/answer", {{method: "POST", body: JSON.stringify(value)}});
        try {{
          const {{ largestDifference }} = await import("./fare_litert.mjs");
          await answer({{largest: await largestDifference()}});
        }} catch (error) {{ await answer({{error: String(error)}}); }}
        </script>"""
    )
    assert browser.answer_of(kit)["largest"] < 1e-4


@pytest.mark.parametrize(("compiler", "suffix"), [("cc", "c"), ("c++", "cc")])
def test_the_array_of_a_microcontroller_is_the_file(kit, content, compiler, suffix, needs):
    """In C and C++; the golden rows' headers compile, too."""
    needs(compiler, "gcc or g++")
    program = '#include <stdio.h>\n#include "fare_model.h"\n#include "fare_golden.h"\n'
    program += "int main(void) { fwrite(fare_model, 1, sizeof(fare_model), stdout);"
    program += (
        "return fare_golden_rows != 20 || !(fare_golden_pickup_longitude[3] != fare_golden_pickup_longitude[3]); }"
    )
    (kit / f"main.{suffix}").write_text(program)
    subprocess.run([compiler, f"main.{suffix}", "-o", "main", "-Wall", "-Wno-unused"], cwd=kit, check=True)
    assert subprocess.run([kit / "main"], capture_output=True, check=True).stdout == content


API = """#pragma once
#include <cmath>
struct Data {{ float* f; int* i32; }};
struct TfLiteTensor {{ Data data; }};
enum TfLiteStatus {{ kTfLiteOk, kTfLiteError }};
namespace tflite {{
inline const unsigned char* GetModel(const void* data) {{ return static_cast<const unsigned char*>(data); }}
template <unsigned n> struct MicroMutableOpResolver {{ {adders} }};
struct MicroInterpreter {{
  float number[16]; int whole[16]; TfLiteTensor tensor[16];
  template <class R> MicroInterpreter(const unsigned char*, R&, unsigned char*, unsigned long) {{}}
  TfLiteTensor* input(int i) {{ tensor[i] = {{{{number + i, whole + i}}}}; return tensor + i; }}
  TfLiteTensor* output(int) {{ return input(15); }}
  TfLiteStatus AllocateTensors() {{ return kTfLiteError; }}
  TfLiteStatus Invoke() {{ return kTfLiteError; }}
}};
}}
"""


def test_the_microcontroller_snippet_notices_a_model_that_does_not_run(kit, content, needs):
    """Without tflite-micro's library: an interpreter of its form that fails, as one in too small an arena does."""
    needs("c++", "g++")
    adders = " ".join(
        f"void Add{name}() {{}}" for name in re.findall(r"resolver\.Add(\w+)\(\)", (kit / "fare_micro.cc").read_text())
    )
    (kit / "api.h").write_text(API.format(adders=adders))
    for name in re.findall(r'#include "(tensorflow/.*)"', (kit / "fare_micro.cc").read_text()):
        (kit / name).parent.mkdir(parents=True, exist_ok=True)
        (kit / name).write_text('#pragma once\n#include "api.h"\n')
    (kit / "main.cc").write_text(
        '#include <cstdio>\n#include "fare_micro.cc"\nint main() { std::printf("%f", fare_largest_difference()); }\n'
    )
    subprocess.run(
        ["c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I.", "main.cc", "-o", "main"], cwd=kit, check=True
    )
    assert subprocess.run([kit / "main"], capture_output=True, text=True, check=True).stdout == "inf"


def test_the_microcontroller_registers_the_files_operators(kit, content):
    """The snippet adds each operator of the file once, under tflite-micro's name, and no other."""
    text = (kit / "fare_micro.cc").read_text()
    adders = set(re.findall(r"resolver\.Add(\w+)\(\)", text))
    operators = TfliteModel(content).op_names()
    assert {name.upper() for name in adders} == {name.replace("_", "") for name in operators}
    assert f"MicroMutableOpResolver<{len(operators)}>" in text


def test_every_snippet_states_order_types_and_words(kit):
    for name in ("FareModel.kt", "FareModel.swift", "fare_litert.mjs", "fare_micro.cc", "fare_litert.py"):
        text = (kit / name).read_text()
        places = [text.index(f"  {column} ") for column in TfliteModel((kit / "fare.tflite").read_bytes()).input_names]
        assert places == sorted(places), name
        assert re.search(r"pickup_hour +int32 +local time, 0 to 23\n", text), name
        assert "Output: fare [EUR]\n" in text and "~{" not in text, name


def test_kotlin_and_swift_feed_each_input_in_its_type(kit, content):
    for i, end in enumerate(TfliteModel(content).inputs):
        kind = "Int" if end.dtype is np.int32 else "Float"
        camel = re.sub(r"_(\w)", lambda match: match.group(1).upper(), end.name)
        assert f"inputs[{i}].write{kind}({kind.lower()}ArrayOf({camel}))" in (kit / "FareModel.kt").read_text()
        assert f"try set({camel}, {i})" in (kit / "FareModel.swift").read_text()
        assert f"{camel}: {'Int32' if kind == 'Int' else kind}" in (kit / "FareModel.swift").read_text()


def test_a_file_with_other_inputs_is_refused(convert_tflite):
    with pytest.raises(InputError, match=r"^to=app: input \w+ must be one float32 or int32 number, got int64"):
        app_files(convert_tflite(), "fare.tflite", WORDS, b"{}")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"inputs": {}, "outputs": {}}', '{"inputs": {}, "outputs": {"fare": [1]}}', "\0"]
)
def test_golden_rows_that_do_not_fit_are_refused(content, text):
    with pytest.raises(InputError, match="^golden=golden.json must "):
        app_files(content, "fare.tflite", WORDS, text.encode())


@pytest.mark.parametrize("file", ['a"b.tflite', "a$b.tflite", "a\nb.tflite", "a\\b.tflite"])
def test_a_file_whose_name_a_string_would_change_is_refused(content, file):
    with pytest.raises(InputError, match="^to=app: model=.* must have a name of letters, digits, spaces"):
        app_files(content, file, WORDS, b"{}")


def test_inputs_may_have_any_names(convert, tmp_path, needs):
    """Keywords, names of the snippet itself, spaces and quotes: the Python snippet runs, the web one is parsed."""
    names = ("class", "model", "a b", 'say "x"', "$price")
    content = convert(
        lambda *x: sum(2.0**i * each for i, each in enumerate(x)), dict.fromkeys(names, ((1, 1), "float32"))
    )
    columns = TfliteModel(content).input_names
    golden = {"inputs": {name: [1.0] for name in columns}, "outputs": {"y": [31.0]}}
    for name, text in app_files(content, "fare.tflite", Description(), json.dumps(golden).encode()).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "golden.json").write_text(json.dumps(golden))
    (tmp_path / "fare.tflite").write_bytes(content)
    ended = subprocess.run([sys.executable, "fare_litert.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(ended.stdout.removeprefix("largest difference ")) < 1e-4
    subprocess.run([needs("node", "nodejs"), "--check", "fare_litert.mjs"], cwd=tmp_path, check=True)
