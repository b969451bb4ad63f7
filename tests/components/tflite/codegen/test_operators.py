"""Each operator that export knows, against the real interpreter: usual numbers, NaN, infinities, limits of integers."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from farebox.components.tflite import interpreter as tflite
from farebox.components.tflite.codegen.export import PRINTERS, source_code
from farebox.components.tflite.codegen.names import identifier
from farebox.components.tflite.codegen.program import OPERATORS

TABLE = np.arange(24, dtype=np.float32).reshape(6, 4) / 7 - 1
KERNEL = np.linspace(-1, 1, 20, dtype=np.float32).reshape(4, 5)
BIAS = np.array([0.5, -0.5, 0, 1, 2], np.float32)


def f32(tf, value):
    return tf.cast(value, tf.float32)


def i64(tf, value):
    return tf.cast(value, tf.int64)


pytestmark = pytest.mark.slow  # converts a hundred small models, 25 s

# Functions of x, y (float32) and k (int32), each of shape (1, 4), by names that begin with the operator's.
CASES = {
    "ABS": lambda tf, x, y, k: tf.abs(x),
    "ABS int": lambda tf, x, y, k: f32(tf, tf.abs(k)),
    "ADD": lambda tf, x, y, k: x + y,
    "ADD broadcast": lambda tf, x, y, k: x + tf.reshape(y, (4, 1)),
    "ADD int": lambda tf, x, y, k: f32(tf, k + k * 7),
    "ADD long": lambda tf, x, y, k: f32(tf, i64(tf, k) + i64(tf, k) * 5_000_000_000),
    "ATAN2": lambda tf, x, y, k: tf.atan2(x, y),
    "BATCH_MATMUL": lambda tf, x, y, k: tf.matmul(tf.reshape(x, (2, 2, 1)), tf.reshape(y, (2, 1, 2))),
    "BATCH_MATMUL adjoint": lambda tf, x, y, k: tf.matmul(
        tf.reshape(x, (2, 1, 2)), tf.reshape(y, (2, 1, 2)), transpose_b=True
    ),
    "CAST": lambda tf, x, y, k: f32(tf, tf.cast(x * 3, tf.int32)),
    "CAST long": lambda tf, x, y, k: f32(tf, tf.cast(x * 1e6, tf.int64)),
    "CEIL": lambda tf, x, y, k: tf.math.ceil(x),
    "CONCATENATION": lambda tf, x, y, k: tf.concat([x, y, x], 1),
    "CONCATENATION outer": lambda tf, x, y, k: tf.concat([tf.reshape(x, (2, 2)), tf.reshape(y, (2, 2))], 1),
    "COS": lambda tf, x, y, k: tf.cos(x),
    "DIV": lambda tf, x, y, k: x / y,
    "DIV int": lambda tf, x, y, k: f32(tf, tf.raw_ops.Div(x=k * 5, y=k * k + 1)),
    "EQUAL": lambda tf, x, y, k: f32(tf, tf.equal(x, y)),
    "EQUAL int": lambda tf, x, y, k: f32(tf, tf.equal(k, 2)),
    "EXP": lambda tf, x, y, k: tf.exp(x),
    "FILL": lambda tf, x, y, k: tf.fill((1, 3), x[0, 0]),
    "FLOOR": lambda tf, x, y, k: tf.floor(x),
    "FLOOR_DIV": lambda tf, x, y, k: tf.math.floordiv(x, y),
    "FLOOR_DIV int": lambda tf, x, y, k: f32(tf, tf.math.floordiv(k, 3)),
    "FLOOR_MOD": lambda tf, x, y, k: tf.math.floormod(x, y),
    "FLOOR_MOD int": lambda tf, x, y, k: f32(tf, tf.math.floormod(k, -3)),
    "FLOOR_MOD long": lambda tf, x, y, k: f32(tf, tf.math.floormod(i64(tf, k) * 10, 7)),
    "FULLY_CONNECTED": lambda tf, x, y, k: x @ KERNEL,
    "FULLY_CONNECTED one": lambda tf, x, y, k: x @ KERNEL[:, :1] + 0.25,
    "FULLY_CONNECTED relu": lambda tf, x, y, k: tf.nn.relu(x @ KERNEL + BIAS),
    "FULLY_CONNECTED relu6": lambda tf, x, y, k: tf.nn.relu6(x @ KERNEL * 3 + BIAS),
    "FULLY_CONNECTED rows": lambda tf, x, y, k: tf.reshape(x, (2, 2)) @ KERNEL[:2] + BIAS,
    "GATHER": lambda tf, x, y, k: tf.gather(TABLE, tf.clip_by_value(k, 0, 5)),
    "GATHER column": lambda tf, x, y, k: tf.gather(TABLE, tf.clip_by_value(k, 0, 3), axis=1),
    "GATHER long": lambda tf, x, y, k: tf.gather(TABLE, i64(tf, tf.clip_by_value(k, 0, 5))),
    "GREATER": lambda tf, x, y, k: f32(tf, x > y),
    "GREATER_EQUAL": lambda tf, x, y, k: f32(tf, x >= y),
    "LEAKY_RELU": lambda tf, x, y, k: tf.nn.leaky_relu(x, 0.3),
    "LESS": lambda tf, x, y, k: f32(tf, x < y),
    "LESS_EQUAL": lambda tf, x, y, k: f32(tf, x <= y),
    "LOG": lambda tf, x, y, k: tf.math.log(x),
    "LOGICAL_AND": lambda tf, x, y, k: f32(tf, tf.logical_and(x > 0, y > 0)),
    "LOGICAL_NOT": lambda tf, x, y, k: f32(tf, tf.logical_not(tf.logical_or(x > 0, y > 0))),
    "LOGICAL_OR": lambda tf, x, y, k: f32(tf, tf.logical_or(x > 0, y > 0)),
    "LOGISTIC": lambda tf, x, y, k: tf.sigmoid(x),
    "MAXIMUM": lambda tf, x, y, k: tf.maximum(x, y),
    "MAXIMUM int": lambda tf, x, y, k: f32(tf, tf.maximum(k, 1)),
    "MEAN": lambda tf, x, y, k: tf.reduce_mean(tf.reshape(x, (2, 2)), 0),
    "MINIMUM": lambda tf, x, y, k: tf.minimum(x, y),
    "MUL": lambda tf, x, y, k: x * y,
    "MUL int": lambda tf, x, y, k: f32(tf, k * 100_000 * k),
    "NEG": lambda tf, x, y, k: -x,
    "NEG int": lambda tf, x, y, k: f32(tf, -k),
    "NOT_EQUAL": lambda tf, x, y, k: f32(tf, tf.not_equal(x, x)),
    "PACK": lambda tf, x, y, k: tf.stack([x, y], 2),
    "PAD": lambda tf, x, y, k: tf.pad(x, ((0, 1), (2, 1))),
    "PADV2": lambda tf, x, y, k: tf.pad(x, ((1, 0), (1, 2)), constant_values=7.5),
    "POW": lambda tf, x, y, k: tf.pow(tf.abs(x), y),
    "REDUCE_ALL": lambda tf, x, y, k: f32(tf, tf.reduce_all(x > -1, 1)),
    "REDUCE_ANY": lambda tf, x, y, k: f32(tf, tf.reduce_any(x > 1, 1)),
    "REDUCE_MAX": lambda tf, x, y, k: tf.reduce_max(x, 1),
    "REDUCE_MAX int": lambda tf, x, y, k: f32(tf, tf.reduce_max(k, 1)),
    "REDUCE_MIN": lambda tf, x, y, k: tf.reduce_min(x, 1),
    "REDUCE_PROD": lambda tf, x, y, k: tf.reduce_prod(x, 1),
    "RELU": lambda tf, x, y, k: tf.nn.relu(x),
    "RELU6": lambda tf, x, y, k: tf.nn.relu6(x),
    "RELU_N1_TO_1": lambda tf, x, y, k: tf.minimum(tf.maximum(x, -1.0), 1.0),
    "RESHAPE": lambda tf, x, y, k: tf.reshape(x, (2, 2)) + 1,
    "ROUND": lambda tf, x, y, k: tf.round(x * 2),
    "RSQRT": lambda tf, x, y, k: tf.math.rsqrt(x),
    "SELECT_V2": lambda tf, x, y, k: tf.where(x > 0, x, tf.reshape(y, (4, 1))),
    "SELECT same": lambda tf, x, y, k: tf.compat.v1.where(x > 0, x, y),
    "SIN": lambda tf, x, y, k: tf.sin(x),
    "SLICE": lambda tf, x, y, k: tf.slice(x, (0, 1), (1, 2)),
    "SOFTMAX": lambda tf, x, y, k: tf.nn.softmax(x),
    "SPLIT": lambda tf, x, y, k: tf.subtract(*tf.split(x, 2, 1)),
    "SPLIT inner": lambda tf, x, y, k: tf.subtract(*tf.split(tf.reshape(x, (2, 2)), 2, 1)),
    "SPLIT_V": lambda tf, x, y, k: tf.subtract(*tf.split(x, (1, 3), 1)),
    "SQRT": lambda tf, x, y, k: tf.sqrt(x),
    "SQUARE": lambda tf, x, y, k: tf.square(x),
    "SQUARED_DIFFERENCE": lambda tf, x, y, k: tf.math.squared_difference(x, y),
    "STRIDED_SLICE": lambda tf, x, y, k: x[:, 1:4:2],
    "STRIDED_SLICE backwards": lambda tf, x, y, k: x[:, ::-1],
    "STRIDED_SLICE one": lambda tf, x, y, k: x[0, 2] + y[:, -1],
    "SUB": lambda tf, x, y, k: x - y,
    "SUM": lambda tf, x, y, k: tf.reduce_sum(tf.reshape(x, (2, 2)), 1),
    "SUM all": lambda tf, x, y, k: tf.reduce_sum(x * y, keepdims=True),
    "SUM int": lambda tf, x, y, k: f32(tf, tf.reduce_sum(k, 1)),
    "TANH": lambda tf, x, y, k: tf.tanh(x),
    "TILE": lambda tf, x, y, k: tf.tile(tf.reshape(x, (2, 2)), (2, 3)),
    "TRANSPOSE": lambda tf, x, y, k: tf.transpose(tf.reshape(tf.concat([x, y], 1), (2, 2, 2)), (2, 0, 1)),
    "UNPACK": lambda tf, x, y, k: tf.subtract(*tf.unstack(tf.reshape(x, (2, 2)), axis=1)),
}
# Functions whose first axis is open, as in the files of `farebox compress`: these operators occur only there.
OPEN_CASES = {
    "EXPAND_DIMS": lambda tf, x, y, k: tf.expand_dims(x, 1) * 2,
    "SHAPE": lambda tf, x, y, k: tf.reshape(x, tf.stack([tf.shape(x)[0], 2, 2])) * 2,
    "ZEROS_LIKE": lambda tf, x, y, k: tf.maximum(tf.zeros_like(x), y),
}
ELSEWHERE = {"QUANTIZE", "DEQUANTIZE"}  # in test_quantized.py


def rows(count=40, seed=5):
    """Finite rows: halves, small and large numbers among them."""
    random = np.random.default_rng(seed)
    x, y = (random.normal(0, 2, (count, 4)).astype(np.float32) for _ in range(2))
    k = random.integers(-9, 10, (count, 4)).astype(np.int32)
    x[0], y[0] = (-0.5, 1.5, -1.5, 2.5), (0.25, 4, -4, 2)
    x[1], y[1], k[1] = (12.25, -12.25, 1e-6, -1e-6), (3, -3, 3, -3), (0, 1, -1, 5)
    y[np.abs(y) < 0.05] = 1
    return {"x": x, "y": y, "k": k}


def edge_rows():
    """NaN, infinities, zeros, huge numbers, and integers at their limits."""
    nan, inf = np.nan, np.inf
    x = [[nan, inf, -inf, 3e38], [-3e38, 1e10, -1e10, 2**31], [-(2**31), 2**31 - 128, 1e-40, -0.0], [0, 0.5, -0.0, 1]]
    y = [[1, nan, inf, -inf], [nan, 3e38, 2, -0.0], [inf, 0, nan, 5], [1, -0.5, 0, 1]]
    k = [[2**31 - 1, -(2**31), 0, -1], [99, -99, 1, 2], [5, 6, -6, 3], [0, 0, 1, -1]]
    return {"x": np.array(x, np.float32), "y": np.array(y, np.float32), "k": np.array(k, np.int32)}


def function_of(name):
    import tensorflow as tf

    cases = CASES | OPEN_CASES
    return lambda x, y, k: cases[name](tf, x, y, k)


def signature(is_open=False):
    shape = (None if is_open else 1, 4)
    return {"x": (shape, "float32"), "y": (shape, "float32"), "k": (shape, "int32")}


@pytest.fixture(scope="module")
def models(convert):
    """A `.tflite` for each case, by name; slow to make, so once."""
    return {name: convert(function_of(name), signature(name in OPEN_CASES)) for name in CASES | OPEN_CASES}


@pytest.fixture(scope="module")
def in_c(models, compiled, tmp_path_factory):
    """(case, rows) -> outputs of all models' C source, compiled into one library with UBSan; an alarm ends the test."""
    return compiled(
        models, tmp_path_factory.mktemp("operators"), "-O1", "-fsanitize=undefined", "-fno-sanitize-recover"
    )


def operators_of(content):
    read, names = tflite.schema(), tflite.builtin_names()
    model = read.Model.GetRootAs(content, 0)
    return {tflite._op_name(model.OperatorCodes(i), names) for i in range(model.OperatorCodesLength())}


def is_same(got, wanted, tolerance=2e-6):
    with np.errstate(all="ignore"):
        is_near = np.abs(got - wanted) <= tolerance * np.maximum(1, np.abs(wanted))
    return is_near | (got == wanted) | (np.isnan(got) & np.isnan(wanted))


def test_every_operator_has_a_case_that_holds_it(models):
    held = {name: operators_of(content) for name, content in models.items()}
    assert {name for name, operators in held.items() if name.split()[0] not in operators} == set()
    assert set(OPERATORS) - set().union(*held.values()) == ELSEWHERE


@pytest.mark.parametrize("name", CASES | OPEN_CASES)
def test_an_operator_computes_as_the_interpreter(name, models, in_c, in_python, interpreted):
    """Without delegates, on finite numbers."""
    wanted = interpreted(models[name], rows(), delegates=False)
    for run in (in_c, in_python(models[name])):
        got = run(name, rows())
        assert is_same(got, wanted).all(), got[~is_same(got, wanted).all(axis=1)][0]


# A NaN as an integer is 0 here; in the interpreter it is what the processor makes of it.
OWN_WAYS = {"CAST", "CAST long"}


@pytest.mark.parametrize("name", [name for name in CASES | OPEN_CASES if name not in OWN_WAYS])
def test_an_operator_treats_edges_as_the_interpreter(name, models, in_c, in_python, interpreted):
    """With XNNPACK or without it, where the two differ; a row that the interpreter refuses is NaN."""
    answers = []
    for delegates in (False, True):
        answers.append([_answer(models[name], row, delegates, interpreted) for row in range(4)])
    for run in (in_c, in_python(models[name])):
        got = run(name, edge_rows())
        allowed = np.logical_or.reduce([is_same(got, np.array(wanted)) for wanted in answers])
        assert allowed.all(), (got, answers)


def _answer(content, row, delegates, interpreted):
    one = {name: values[row : row + 1] for name, values in edge_rows().items()}
    try:
        return interpreted(content, one, delegates=delegates)[0]
    except RuntimeError:
        return np.full(interpreted(content, rows(2))[0].shape, np.nan)


def test_a_cast_of_a_float_saturates_and_makes_nan_zero(in_c):
    edges = {name: values[:2] for name, values in edge_rows().items()}
    expected = [[0, 2147483647, -2147483648, 2147483647], [-2147483648, 2147483647, -2147483648, 2147483647]]
    np.testing.assert_array_equal(in_c("CAST", edges), np.array(expected, np.float32))


def test_a_position_outside_the_table_gives_nan(convert, compiled, in_python, tmp_path):
    """The interpreter returns an error; the rows before and after are not touched."""
    content = convert(lambda k: __import__("tensorflow").gather(TABLE, k), {"k": ((1, 2), "int32")})
    positions = {"k": np.array([[0, 5], [0, 6], [-1, 0], [5, 5]], np.int32)}
    for run in (compiled({"looked_up": content}, tmp_path, "-O2"), in_python(content)):
        got = run("looked_up", positions)
        np.testing.assert_array_equal(got[[0, 3]], TABLE[[[0, 5], [5, 5]]].reshape(2, 8))
        assert np.isnan(got[1:3]).all()


@pytest.fixture(scope="module")
def whole(convert):
    """One model with the cases side by side, 300 numbers wide."""
    import tensorflow as tf

    def everything(x, y, k):
        return tf.concat([tf.reshape(function_of(name)(x, y, k), (1, -1)) for name in CASES], 1)

    return convert(everything, signature())


def test_all_operators_in_every_language(whole, run_golden, golden_of, tmp_path, language):
    run_golden(language, whole, golden_of(whole, rows()), tmp_path)


def test_edges_in_every_language(whole, run_golden, compiled, tmp_path, language):
    """The answers of C, which another test compares with the interpreter's."""
    answers = compiled({"whole": whole}, tmp_path / "c", "-O2")("whole", edge_rows())
    inputs = {name: values.tolist() for name, values in edge_rows().items()}
    run_golden(language, whole, json.dumps({"inputs": inputs, "outputs": {"y": answers.tolist()}}), tmp_path)


@pytest.mark.parametrize("language", PRINTERS, ids=str)
def test_no_input_has_a_name_of_the_generated_code(whole, language):
    """A helper, a local variable or a function of the language would be hidden, or changed without an error."""
    text = max(source_code(whole, language, name="net").values(), key=len)
    start = re.search(r"\b(?:farebox_|(?:fun|function|def|fn|func) )net\(", text)
    body = re.sub(r'#.*|//.*|/\*.*?\*/|".*?"|\b\w+: ', "", text[start.end() :])
    words = {re.sub(r"([A-Z])", r"_\1", word).lower() for word in re.findall(r"(?<![\w.:])[a-z_]\w*", body)}
    allowed = {"x", "y", "k", "net", "list"}  # the inputs, one of them as `k_`; Python's type of the result
    assert not {word for word in words - allowed if word == word.rstrip("_") and identifier(word) == word}
