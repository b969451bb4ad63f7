"""Expressions over columns: sums, differences and conditions, with missing and faulty cells."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.values import expressions
from farebox.components.trip_example_gen.values.dialect import PLAIN, CsvDialect

COLUMNS = {
    "type": pa.array(["1", "2", "CSH", None, ""]),
    "fare": pa.array(["4.5", "$5", "6", None, "x"]),
    "tolls": pa.array([1, 2, 3, 4, 5], pa.int32()),
    "Trip Total": pa.array([10.0, 20.0, 30.0, 40.0, None]),
    "when": pa.array(["2019-01-01 10:00:00", "2019-01-02 00:00:00", "2018-12-31 23:59:59", None, "2019-01-01"]),
    "typed": pa.array([1546336800, 1546387200, 1546300799, None, 1546300800]).cast(pa.timestamp("s")),
}


def numbers(text: str, dialect: CsvDialect = PLAIN) -> list:
    """The numbers, None for a missing one, `bad` for a cell that cannot be parsed."""
    values, is_bad = expressions.numbers(expressions.parse(text), COLUMNS, dialect)
    return [
        "bad" if bad else None if np.isnan(value) else value for value, bad in zip(values.tolist(), is_bad, strict=True)
    ]


def rows(text: str) -> str:
    """`1` for each row where the condition holds, else `0`."""
    flags, _ = expressions.holds(expressions.parse(text), COLUMNS, PLAIN)
    return "".join(str(int(flag)) for flag in flags)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fare + tolls", [5.5, 7, 9, None, "bad"]),
        ("`Trip Total` - tolls", [9, 18, 27, 36, None]),
        ("-fare * 2 + 1", [-8, -9, -11, None, "bad"]),
        ("`Trip Total` / (tolls - 1)", ["bad", 20, 15, 40 / 3, None]),
        ("coalesce(fare, `Trip Total`)", [4.5, 5, 6, 40, "bad"]),
        ("abs(tolls - 3)", [2, 1, 0, 1, 2]),
        ("round(fare)", [4, 5, 6, None, "bad"]),
        ("round(`Trip Total` / 16, 1)", [0.6, 1.2, 1.9, 2.5, None]),
        ("round(`Trip Total` / 16, 0)", [1, 1, 2, 2, None]),
        ("7", [7] * 5),
    ],
)
def test_numbers(text, expected):
    assert numbers(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type in (1, 2)", "11000"),
        ("type not in (1, 2)", "00000"),  # CSH is no number, so nothing is known of it
        ("type not in ('1', '2')", "00100"),
        ("type == 'CSH' or tolls == 5", "00101"),
        ("lower(type) == 'csh'", "00100"),
        ("type != 'CSH'", "11000"),
        ("not type == 'CSH'", "11000"),
        ("type is None", "00011"),
        ("type is not None and not tolls > 2", "11000"),
        ("1 < tolls <= 3", "01100"),
        ("when >= '2019-01-01' and when < '2019-01-02'", "10001"),
        ("typed >= '2019-01-01' and typed < '2019-01-02'", "10001"),
        ("typed == '2019-01-02 00:00:00'", "01000"),
        ("tolls == '3'", "00100"),
        ("fare > 4 or True", "11111"),
        ("`Trip Total` > 10 and fare < 6", "01000"),
    ],
)
def test_conditions(text, expected):
    assert rows(text) == expected


def test_texts_are_joined():
    joined = expressions.texts(expressions.parse("type + ' ' + tolls"), COLUMNS, PLAIN)
    assert joined.to_pylist() == ["1 1", "2 2", "CSH 3", None, None]


def test_numbers_follow_the_dialect():
    columns = {"a": pa.array(["1.020,50", "€ 3,5", "-"]), "b": pa.array(["1", "2", "3"])}
    dialect = CsvDialect(separator=";", decimal=",", thousands=".", missing=("-",))
    values, is_bad = expressions.numbers(expressions.parse("a - b"), columns, dialect)
    assert values[:2].tolist() == [1019.5, 1.5] and np.isnan(values[2]) and not is_bad.any()


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch x')", "fare.real", "[x for x in fare]", "fare if tolls else 1", "lambda: 1",
        "fare ** 2", "f'{fare}'", "fare := 1", "open('x')", "fare[0]", "*fare", "abs(fare, key=1)", "abs()",
        "b'x' == fare", "1j == fare", "a b", "fare +", "", "`a",
    ],
)  # fmt: skip
def test_nothing_else_is_an_expression(text):
    with pytest.raises(InputError) as error:
        expressions.check_condition(text, "city.where")
    assert "\n" not in str(error.value).replace(text, "")


@pytest.mark.parametrize(
    "text", ["fare", "fare + 1", "'x'", "1", "fare and tolls", "fare in tolls", "fare is 1", "not fare"]
)
def test_a_condition_is_true_or_false(text):
    with pytest.raises(InputError, match="^city.where=.* must be a condition such as"):
        expressions.check_condition(text, "city.where")


@pytest.mark.parametrize("text", ["fare > 1", "fare + 'x'", "lower(fare)", "None", "True", "'x'"])
def test_a_number_is_no_condition(text):
    with pytest.raises(InputError):
        numbers(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("round(fare, tolls)", "number of decimals from 0 to 15, got tolls"),
        ("round(fare, -1)", "number of decimals from 0 to 15, got -1"),
        ("round(fare, 1.5)", "number of decimals from 0 to 15, got 1.5"),
        ("round(fare, 1, 2)", "round() must have 1 or 2 arguments, got 3"),
        ("abs(fare, tolls)", "abs() must have one argument, got 2"),
        ("lower(type, fare)", "lower() must have one argument, got 2"),
    ],
)
def test_no_argument_is_ignored(text, reason):
    with pytest.raises(InputError, match=re.escape(reason)):
        expressions.parse(text)


def test_a_time_that_is_none_is_refused():
    with pytest.raises(InputError, match="'yesterday' must be a time such as"):
        rows("typed > 'yesterday'")


FARES, TOLLS = (st.lists(st.one_of(st.none(), st.integers(-99, 99)), min_size=4, max_size=4) for _ in range(2))


@given(fares=FARES, tolls=TOLLS, bound=st.integers(-50, 50))
def test_conditions_follow_sql(fares, tolls, bound):
    """Against sqlite, whose three truth values are SQL's."""
    import sqlite3

    text = f"not (fare > {bound} and tolls <= 3) or fare + tolls in (1, {bound})"
    database = sqlite3.connect(":memory:")
    database.execute("create table trips (fare real, tolls real)")
    database.executemany("insert into trips values (?, ?)", list(zip(fares, tolls, strict=True)))
    kept = [bool(row[0]) for row in database.execute(f"select coalesce({text}, 0) from trips")]
    columns = {"fare": pa.array(fares, pa.float64()), "tolls": pa.array(tolls, pa.float64())}
    flags, _ = expressions.holds(expressions.parse(text), columns, PLAIN)
    assert flags.tolist() == kept


def test_a_number_of_another_dialect_is_not_left_out_in_silence():
    """1,020.00 is above 500, but only a dialect with thousands says so; CSH is no number in any dialect."""
    columns = {"fare": pa.array(["996.00", "1,020.00", "CSH", None])}
    condition = expressions.parse("fare > 500")
    flags, is_other = expressions.holds(condition, columns, PLAIN)
    assert (flags.tolist(), is_other.tolist()) == ([True, False, False, False], [False, True, False, False])
    flags, is_other = expressions.holds(condition, columns, CsvDialect(thousands=","))
    assert (flags.tolist(), is_other.any()) == ([True, True, False, False], False)


def test_texts_that_are_no_times_in_order_are_not_compared_with_times():
    columns = {"until": pa.array([None, "", "unknown", "31.12.2018 23:00"])}
    with pytest.raises(InputError, match="^until cannot be compared with a time as text, it has 31.12.2018 23:00: "):
        expressions.holds(expressions.parse("until < '2019-01-01'"), columns, PLAIN)
    ordered = {"until": pa.array([None, "", "2018-12-31T23:00", "2019-01-01 01:00"])}
    flags, _ = expressions.holds(expressions.parse("until < '2018-12-31 23:30'"), ordered, PLAIN)
    assert flags.tolist() == [False, False, True, False]
    with pytest.raises(InputError, match="'01/02/2019' must be a time such as '2019-01-31'"):
        expressions.check_condition("until >= '01/02/2019'", "city.where")
