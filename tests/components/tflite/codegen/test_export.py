"""Generated files as a whole: names, headers, golden rows, sizes, and what is refused in one line."""

from __future__ import annotations

import json
import keyword
import re
import subprocess
import sys

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.tflite.codegen.export import PRINTERS, source_code
from farebox.components.tflite.codegen.golden import GoldenRows
from farebox.components.tflite.codegen.names import camel, distinct, identifier

FILES = {
    "c": {"fare.h", "fare.c"}, "js": {"fare.mjs"}, "kotlin": {"Fare.kt"}, "swift": {"Fare.swift"},
    "python": {"fare.py"}, "rust": {"fare.rs"},
}  # fmt: skip
TESTS = {
    "c": "fare_test.c", "js": "fare.test.mjs", "kotlin": "FareTest.kt", "swift": "FareTest.swift",
    "python": "fare_test.py", "rust": "fare_test.rs",
}  # fmt: skip


def golden(rows, shift=0.0):
    """golden.json of trip_rows, whose fares are known by hand; the first is null without a longitude."""
    inputs = {name: [each.item() for each in values] for name, values in rows.items() if name != "fare"}
    inputs["pickup_longitude"] = [*inputs["pickup_longitude"][:2], None]
    return json.dumps({"inputs": inputs, "outputs": {"fare": [15.0 + shift, 3.0, None]}})


def rows_with(**values):
    """golden.json of one row of ones, with these values instead."""
    names = ("pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude", "passenger_count",
             "pickup_hour", "pickup_weekday")  # fmt: skip
    inputs = {name: [values.get(name, 1)] for name in names}
    return json.dumps({"inputs": inputs, "outputs": {"fare": [values.get("fare", 1)]}})


def test_golden_rows_hold_in_every_language(fare_tflite, trip_rows, run_golden, tmp_path, language):
    assert run_golden(language, fare_tflite, golden(trip_rows), tmp_path) < 1e-6


def test_a_wrong_golden_row_fails_in_every_language(fare_tflite, trip_rows, run_golden, tmp_path, language):
    with pytest.raises(AssertionError, match="3 rows, largest difference (0.001|1.0*e-0?3|1.00e-03|0.00100)"):
        run_golden(language, fare_tflite, golden(trip_rows, shift=0.001), tmp_path)


@pytest.mark.parametrize("language", PRINTERS, ids=str)
def test_files_are_named_after_the_model(fare_tflite, trip_rows, language):
    files = source_code(fare_tflite, language, name="fare")
    assert set(files) == FILES[language]
    assert set(source_code(fare_tflite, language, name="fare", golden=golden(trip_rows))) == FILES[language] | {
        TESTS[language]
    }
    assert all(text.endswith("}\n") or not text.endswith("\n\n") for text in files.values())


@pytest.mark.parametrize("language", PRINTERS, ids=str)
def test_the_header_tells_what_a_caller_needs(fare_tflite, language):
    import hashlib

    meanings = {"pickup_hour": "0 to 23, local time"}
    text = "".join(
        source_code(
            fare_tflite, language, name="fare", origin="models/fare.tflite", meanings=meanings, result="USD"
        ).values()
    )
    assert hashlib.sha256(fare_tflite).hexdigest() in text
    hour = "pickupHour" if language in ("js", "kotlin", "swift") else "pickup_hour"
    assert re.search(rf"{hour} +int64 +0 to 23, local time\n", text)
    assert "Output: float32 USD\n" in text and "from fare.tflite. Do not edit." in text


def test_inputs_with_names_that_a_language_keeps(convert, compiled, in_python, tmp_path):
    """`in`, `floats` and `v1` are words of languages and of the generated code; `in_` is what `in` becomes."""
    signature = dict.fromkeys(("in", "in_", "floats", "v1", "a_b", "type", "lambda"), ((1, 1), "float32"))
    content = convert(lambda *x: sum(2.0**place * each for place, each in enumerate(x)), signature)
    row = {"in": 1, "in_": 2, "floats": 3, "v1": 4, "a_b": 5, "type": 6, "lambda": 7}
    rows = {name: np.array([[value]], np.float32) for name, value in row.items()}
    for run in (compiled({"odd names": content}, tmp_path, "-O2"), in_python(content)):
        np.testing.assert_array_equal(run("odd names", rows), [[sum(2**i * n for i, n in enumerate(row.values()))]])


def test_a_layer_with_one_output_has_the_exact_sum(convert, compiled, in_python, tmp_path):
    """Adding in the order of the weights loses up to 5 units in the last place here."""
    numbers = np.random.default_rng(3)
    weights, rows = (numbers.uniform(0, 1, shape).astype(np.float32) for shape in ((64, 1), (200, 64)))
    rows[0, 0] = np.inf
    content = convert(lambda x: x @ weights, {"x": ((1, 64), "float32")})
    exact = (rows * weights.T).astype(np.float64).sum(axis=1, keepdims=True)
    for run in (compiled({"one": content}, tmp_path, "-O2"), in_python(content)):
        np.testing.assert_array_max_ulp(run("one", {"x": rows}), exact.astype(np.float32), maxulp=1)


# Of the languages, and of C++, which reads the header; Python tells its own.
WORDS = """
    abstract alignas alignof and and_eq arguments as asm associatedtype auto become bitand bitor bool box break case
    catch char char16_t char32_t char8_t class co_await compl concept const const_cast consteval constexpr constinit
    continue crate debugger decltype default defer deinit delete do double dyn dynamic_cast else enum eval explicit
    export extends extension extern fallthrough false fileprivate final finally float fn for friend fun func
    function gen goto guard if impl implements import in init inline inout instanceof int interface internal is let
    linux long loop macro match mod move mut mutable namespace new nil noexcept not not_eq null nullptr object open
    operator or or_eq override package precedencegroup priv private protected protocol pub public ref register
    reinterpret_cast repeat requires restrict rethrows return self short signed sizeof static static_assert
    static_cast struct subscript super switch template this thread_local throw throws trait true try type typealias
    typedef typeid typename typeof union unix unsafe unsigned unsized use using val var virtual void volatile
    wchar_t when where while with xor xor_eq yield
    """.split()  # noqa: SIM905 - a list of two hundred strings reads worse


@pytest.mark.parametrize("word", sorted({*WORDS, *map(str.lower, keyword.kwlist)}))
def test_no_input_and_no_function_has_the_name_of_a_keyword(word):
    name = identifier(word)
    assert name != word and camel(name) != word


def test_names_that_differ_only_in_style_stay_different():
    names = distinct(["a_b", "a__b", "A b", "class", "class_"])
    assert names[:2] == ["a_b", "a__b_"] and len({camel(name) for name in names}) == len(names)


def test_a_keyword_is_an_input_and_a_model_in_javascript(convert, tmp_path, needs):
    """`class_` became `class` again where a language writes names without underscores."""
    content = convert(lambda a, b: a - b, dict.fromkeys(("class", "default"), ((1, 1), "float32")))
    rows = json.dumps({"inputs": {"class": [3.0], "default": [1.0]}, "outputs": {"y": [2.0]}})
    for name, text in source_code(content, "js", name="this", golden=rows).items():
        (tmp_path / name).write_text(text)
    ended = subprocess.run(
        [needs("node", "nodejs"), "this_.test.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.stdout.startswith("1 rows, largest difference 0"), ended.stderr


def test_c_keeps_no_state_and_is_small(held_tflite, tmp_path, needs):
    """Nothing in .data and .bss: two threads may call it."""
    for name, text in source_code(held_tflite, "c", name="fare").items():
        (tmp_path / name).write_text(text)
    subprocess.run([needs("gcc"), "-std=c99", "-Os", "-c", "fare.c"], cwd=tmp_path, check=True)
    sizes = subprocess.run(["size", "fare.o"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    text, data, bss = map(int, sizes.splitlines()[1].split()[:3])
    assert (data, bss) == (0, 0) and text < 3000


def places(text: str) -> list[str]:
    """The places that a source writes to, in its order, each behind its loop."""
    written = re.findall(r"^\s*(?:for \(?(?:int )?(\w+).*?)?((?:floats|ints|longs|flags)\[[^=]*\]) \+?= ", text, re.M)
    return [loop + place for loop, place in written]


def tables(text: str) -> list[list[str]]:
    """The numbers of a source's constants."""
    constants = re.findall(r"\bc\d+(?:\[\d+\]|: \[\w+\]) = [\[{]\n(.*?)\n\s*[\]}]", text, re.S)
    return [re.sub(r"[f\s]", "", numbers).split(",") for numbers in constants]


def test_swift_has_the_structure_of_c(held_tflite):
    """There is no Swift compiler here: its statements and constants must be those of the C that runs."""
    c, swift = (source_code(held_tflite, language, name="fare") for language in ("c", "swift"))
    assert places(c["fare.c"]) == places(swift["Fare.swift"]) and len(places(c["fare.c"])) > 10
    assert tables(c["fare.c"]) == tables(swift["Fare.swift"]) != []
    opened = re.sub(r'"[^"]*"|//.*', "", swift["Fare.swift"])
    assert all(opened.count(a) == opened.count(b) for a, b in ("()", "[]", "{}"))


@pytest.mark.parametrize("language", PRINTERS, ids=str)
def test_an_operator_that_is_not_known_is_named(convert, language):
    content = convert(lambda x: __import__("tensorflow").cumsum(x, 1), {"x": ((1, 4), "float32")})
    with pytest.raises(
        InputError, match=r"^model=m.tflite: operator=CUMSUM must be one that export knows \(\d+ of them\)$"
    ):
        source_code(content, language, origin="m.tflite")


def test_a_flex_operator_is_named(convert_tflite):
    import tensorflow as tf

    with pytest.raises(InputError, match="operator=FlexAtan must be one that export knows"):
        source_code(convert_tflite(tf.atan, select_tf_ops=True), "c")


@pytest.mark.parametrize("content", [b"", b"city: nowhere", b"\0" * 100, b"\x1c\0\0\0TFL3" + b"\xff" * 40])
def test_other_bytes_are_refused(content):
    with pytest.raises(InputError, match="^model=x must be a TFLite file, got"):
        source_code(content, "c", origin="x")


AWKWARD = 'a\nb */ /* """ \\N \udcff'


@pytest.mark.parametrize("language", PRINTERS, ids=str)
def test_words_of_a_file_end_no_comment(fare_tflite, tmp_path, language, needs):
    """A name with a line break, a quote or a backslash, and words of another writer's metadata."""
    columns = ("pickup_hour", "pickup_longitude")
    awkward, plain = (
        source_code(fare_tflite, language, name="net", origin=text, meanings=dict.fromkeys(columns, text), result=text)
        for text in (AWKWARD, "plain")
    )
    for name, text in awkward.items():
        (tmp_path / name).write_text(text)
        assert text.count("\n") == plain[name].count("\n")
    if language == "c":
        subprocess.run([needs("gcc"), "-Wall", "-Werror", "-c", "net.c"], cwd=tmp_path, check=True)
    if language == "js":
        subprocess.run([needs("node", "nodejs"), "--check", "net.mjs"], cwd=tmp_path, check=True)
    if language == "python":
        subprocess.run([sys.executable, "-W", "error", "net.py"], cwd=tmp_path, check=True)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.slow
def test_a_damaged_file_is_exported_or_refused_in_one_line(held_tflite):
    """Every eighth place of the file, with each of three damages: no other error than InputError."""
    for place in range(8, len(held_tflite), 8):
        for damage in (b"\xff\xff\xff\xff", b"\1\0\0\0", b"\xa5"):
            content = held_tflite[:place] + damage + held_tflite[place + len(damage) :]
            try:
                source_code(content, "c", origin="x")
            except InputError as error:
                assert str(error).startswith("model=x") and "\n" not in str(error)


def test_several_outputs_are_refused_in_those_words(convert, tmp_path):
    """Not as damaged metadata."""
    from farebox import export

    (tmp_path / "two.tflite").write_bytes(convert(lambda x: (x * 2, x + 1), {"x": ((1, 2), "float32")}))
    with pytest.raises(InputError, match="two.tflite: outputs=FLOAT32 FLOAT32 must be one, float32 or quantized"):
        export(tmp_path / "two.tflite", "c", tmp_path)


def test_an_unknown_language_is_refused(fare_tflite):
    with pytest.raises(InputError, match="^to=perl must be one of c, js, kotlin, swift, python, rust or app$"):
        source_code(fare_tflite, "perl")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "golden=g.json must be JSON with inputs and outputs by name"),
        ("{", "golden=g.json must be JSON with inputs and outputs by name"),
        ('{"inputs": {}, "outputs": {"fare": [1]}}', "golden=g.json must have the rows of passenger_count"),
        (rows_with(pickup_longitude="a"), 'golden=g.json: pickup_longitude must hold float32 numbers or null, got "a"'),
        (rows_with(pickup_longitude=True), "golden=g.json: pickup_longitude must hold float32 numbers or null, got tr"),
        (rows_with(pickup_hour=1.5), "golden=g.json: pickup_hour must hold int64 numbers or null, got 1.5"),
        (rows_with(pickup_hour=2**63), "golden=g.json: pickup_hour must hold int64 numbers or null, got 9223372036854"),
        (rows_with(pickup_hour=float("inf")), "golden=g.json: pickup_hour must hold int64 numbers or null, got Infin"),
        (rows_with(fare="x"), r'golden=g.json: \w+ must hold float32 numbers or null, got "x"'),
    ],
)
def test_golden_rows_that_do_not_fit_are_refused(fare_tflite, text, message):
    with pytest.raises(InputError, match=f"^{message}"):
        source_code(fare_tflite, "c", golden=text, golden_origin="g.json")


def test_golden_rows_of_unequal_number_are_refused(fare_tflite, trip_rows):
    rows = json.loads(golden(trip_rows))
    rows["inputs"]["pickup_hour"].pop()
    with pytest.raises(InputError, match=r"must have equally many rows in all columns, got \[2, 3\]"):
        source_code(fare_tflite, "c", golden=json.dumps(rows))


def test_the_bound_grows_with_the_rows_and_not_with_one_of_them():
    """Half a dollar left of sums of forty has the rounding errors of forty."""
    outputs = ((0.5,), (-40.04,), (40.0,), (9000.0,), (float("nan"),))
    assert GoldenRows((), outputs).scale == 40.0
    assert GoldenRows((), ((0.1,), (0.2,))).scale == GoldenRows((), ((float("nan"),),)).scale == 1.0
