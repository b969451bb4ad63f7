"""Expressions over the columns of a source: `fare_amount + tolls_amount`, `payment_type in (1, 2)`.

A small part of Python's grammar, evaluated by whole columns and never as code: columns, numbers, text in quotes,
`+ - * /`, comparisons, `in`, `not in`, `is None`, `and`, `or`, `not`, and the functions of `FUNCTIONS`. A name that is
no Python name stands in backquotes: `` `Trip Total` - Tips ``.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.values import cells
from farebox.components.trip_example_gen.values.dialect import PLAIN, CsvDialect

# The least and the largest number of arguments.
FUNCTIONS = {"abs": (1, 1), "coalesce": (1, math.inf), "lower": (1, 1), "round": (1, 2)}
MAX_DECIMALS = 15  # of a float64
MAX_SECONDS = 1e11  # the year 5138; as microseconds, Arrow holds 92 times as many
QUOTED = re.compile(r"`([^`]*)`")

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip
_TEXT_COMPARISONS = {
    ast.Eq: pc.equal, ast.NotEq: pc.not_equal, ast.Lt: pc.less, ast.LtE: pc.less_equal, ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
}  # fmt: skip
_ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.USub, ast.UAdd, ast.Not, ast.BoolOp, ast.And, ast.Or, ast.Compare,
    ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.Name, ast.Load, ast.Constant, ast.Tuple, ast.List, ast.Call,
    *_ARITHMETIC, *_COMPARISONS,
)  # fmt: skip

Mask = npt.NDArray[np.bool_]
Cells = Mapping[str, pa.Array]
Clocks = Mapping[str, Callable[[], npt.NDArray[np.float64]]]
NO_CLOCKS: Clocks = {}

_ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
# Texts whose order is that of the times that they mean, and dates of which it is not.
_ISO_TIME = r"^\d{4}-\d\d-\d\d(?:[T ]|$)"
_DATE = r"^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}"


@dataclasses.dataclass(frozen=True)
class Expression:
    """A parsed text. names: the source's columns in it, each once, in order. is_column: nothing but one name."""

    text: str
    tree: ast.expr = dataclasses.field(compare=False, repr=False)
    names: tuple[str, ...]

    @property
    def is_column(self) -> bool:
        return isinstance(self.tree, ast.Name)


@functools.cache
def parse(text: str) -> Expression:
    """Raises InputError, which names the text and the place of the fault."""
    names: dict[str, str] = {}

    def placeholder(match: re.Match[str]) -> str:
        return names.setdefault(match[1], f"quoted_{len(names)}_")

    try:
        tree = ast.parse(QUOTED.sub(placeholder, text).strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise InputError(f"expression {text} cannot be read: {getattr(error, 'msg', error)}") from error
    originals = {ours: theirs for theirs, ours in names.items()}
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED) or not _is_known(node):
            raise InputError(
                f"expression {text} must be of columns, numbers, texts, + - * /, comparisons, in, and, or, not, "
                f"is None and {', '.join(FUNCTIONS)}(), got {ast.unparse(node) or type(node).__name__}"
            )
        if isinstance(node, ast.Call):
            _check_arguments(node, text)
        if isinstance(node, ast.Name):
            node.id = originals.get(node.id, node.id)
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    used = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in functions]
    return Expression(text, tree, tuple(dict.fromkeys(used)))


def numbers(expression: Expression, columns: Cells, dialect: CsvDialect) -> tuple[npt.NDArray[np.float64], Mask]:
    """The expression's numbers, shape (n,), NaN if one of its cells is missing; and where a cell cannot be parsed."""
    return _Numbers(columns, dialect).of(expression.tree)


def texts(expression: Expression, columns: Cells, dialect: CsvDialect) -> pa.Array:
    """The expression as text, n values, null if one of its cells is missing; `+` joins."""
    return _text(expression.tree, columns, dialect)


def holds(expression: Expression, columns: Cells, dialect: CsvDialect, clocks: Clocks = NO_CLOCKS) -> tuple[Mask, Mask]:
    """Masks of the rows where a condition holds, and where nobody knows because it compares a number that is written in
    another dialect; shape (n,).

    As in SQL, neither a comparison with a missing cell holds nor its `not`. clocks: columns whose cells are times, and
    what gives their local seconds since 1970, NaN for none; a cell that is not read lets its row pass, to be rejected.
    """
    condition = _Conditions(columns, dialect, clocks)
    flags = condition.of(expression.tree)
    if condition.is_unread.any():
        flags = pc.or_(pa.array(condition.is_unread), pc.fill_null(flags, fill_value=False))
    return np.asarray(pc.fill_null(flags, fill_value=False).to_numpy(zero_copy_only=False)), condition.is_other_dialect


def check_condition(text: str, key: str) -> None:
    """Raises InputError, which names the key, for a text that is no condition on columns."""
    try:
        condition = parse(text)
        holds(condition, dict.fromkeys(condition.names or ("",), pa.array([], pa.string())), PLAIN)
    except InputError as error:
        raise InputError(f"{key}={text} must be a condition such as `payment_type in (1, 2)`: {error}") from error


def _is_known(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float, str)) or node.value is None
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else None
        return name in FUNCTIONS and bool(node.args) and not node.keywords
    return True


def _check_arguments(call: ast.Call, text: str) -> None:
    name = call.func.id  # type: ignore[attr-defined] # `_is_known` let names pass only
    least, most = FUNCTIONS[name]
    if not least <= len(call.args) <= most:
        wanted = "one argument" if most == 1 else f"{least} or {most} arguments"
        raise InputError(f"expression {text}: {name}() must have {wanted}, got {len(call.args)}")
    if name == "round" and len(call.args) == 2:
        digits = call.args[1]
        if not (isinstance(digits, ast.Constant) and type(digits.value) is int and digits.value <= MAX_DECIMALS):
            raise InputError(
                f"expression {text}: round() must have a number of decimals from 0 to {MAX_DECIMALS}, "
                f"got {ast.unparse(digits)}"
            )


def _length(columns: Cells) -> int:
    return len(next(iter(columns.values())))


class _Numbers:
    def __init__(self, columns: Cells, dialect: CsvDialect) -> None:
        self._columns, self._dialect = columns, dialect
        self.is_other_dialect = np.zeros(_length(columns), bool)

    def of(self, node: ast.expr) -> tuple[npt.NDArray[np.float64], Mask]:
        match node:
            case ast.Name():
                values, is_bad = cells.numbers(self._columns[node.id], self._dialect)
                if is_bad.any():
                    self.is_other_dialect |= cells.are_of_other_dialect(self._columns[node.id], self._dialect)
                return values, is_bad
            case ast.Constant(value=bool() | str() | None):
                raise InputError(f"{ast.unparse(node)} must be a number")
            case ast.Constant():
                n = _length(self._columns)
                return np.full(n, float(node.value)), np.zeros(n, bool)  # type: ignore[arg-type] # bytes fail to parse
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                values, is_bad = self.of(node.operand)
                return (-values if isinstance(node.op, ast.USub) else values), is_bad
            case ast.BinOp():
                (left, left_bad), (right, right_bad) = self.of(node.left), self.of(node.right)
                with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                    values = _ARITHMETIC[type(node.op)](left, right)
                return values, left_bad | right_bad | np.isinf(values)
            case ast.Call():
                return self._call(node)
            case _:
                raise InputError(f"{ast.unparse(node)} must be a number, not true or false")

    def _call(self, node: ast.Call) -> tuple[npt.NDArray[np.float64], Mask]:
        is_round = node.func.id == "round"  # type: ignore[attr-defined] # `parse` let names pass only
        parts = [self.of(argument) for argument in (node.args[:1] if is_round else node.args)]
        values, is_bad = parts[0]
        match node.func.id:  # type: ignore[attr-defined] # `parse` let names pass only
            case "abs":
                return np.abs(values), is_bad
            case "round":
                decimals = [argument.value for argument in node.args[1:]]  # type: ignore[attr-defined] # a constant
                return np.round(values, *decimals), is_bad
            case "coalesce":
                for others, others_bad in parts[1:]:
                    is_bad = np.where(np.isnan(values) & ~is_bad, others_bad, is_bad)
                    values = np.where(np.isnan(values), others, values)
                return values, is_bad
            case name:
                raise InputError(f"{name}() gives text where a number must be")


class _Conditions:
    """True, false or, where a cell is missing, null, as in SQL."""

    def __init__(self, columns: Cells, dialect: CsvDialect, clocks: Clocks) -> None:
        self._columns, self._dialect, self._numbers = columns, dialect, _Numbers(columns, dialect)
        self._clocks = clocks
        self.is_unread = np.zeros(_length(columns), bool)  # times of `clocks` that are compared

    @property
    def is_other_dialect(self) -> Mask:
        return self._numbers.is_other_dialect

    def of(self, node: ast.expr) -> pa.Array:
        match node:
            case ast.BoolOp():
                combine = pc.and_kleene if isinstance(node.op, ast.And) else pc.or_kleene
                return functools.reduce(combine, map(self.of, node.values))
            case ast.UnaryOp(op=ast.Not()):
                return pc.invert(self.of(node.operand))
            case ast.Compare():
                operands = [node.left, *node.comparators]
                steps = zip(operands, node.ops, operands[1:], strict=False)
                return functools.reduce(pc.and_kleene, (self._compare(*step) for step in steps))
            case ast.Constant(value=bool()):
                return pa.array(np.full(_length(self._columns), node.value))
            case _:
                raise InputError(f"{ast.unparse(node)} must be true or false, such as a comparison")

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> pa.Array:
        if isinstance(op, (ast.Is, ast.IsNot)):
            if not (isinstance(right, ast.Constant) and right.value is None):
                raise InputError(f"is {ast.unparse(right)} must be is None or is not None")
            is_missing = pa.array(self._is_missing(left))
            return is_missing if isinstance(op, ast.Is) else pc.invert(is_missing)
        if isinstance(op, (ast.In, ast.NotIn)):
            if not isinstance(right, (ast.Tuple, ast.List)) or not right.elts:
                raise InputError(f"in {ast.unparse(right)} must be in a list, such as (1, 2)")
            is_in = functools.reduce(pc.or_kleene, (self._compare(left, ast.Eq(), each) for each in right.elts))
            return is_in if isinstance(op, ast.In) else pc.invert(is_in)
        if _is_text(left) or _is_text(right):
            return self._compare_texts(left, op, right)
        (first, first_bad), (second, second_bad) = self._numbers.of(left), self._numbers.of(right)
        is_unknown = np.isnan(first) | np.isnan(second) | first_bad | second_bad
        with np.errstate(invalid="ignore"):
            return pa.array(_COMPARISONS[type(op)](first, second), mask=is_unknown)

    def _compare_texts(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> pa.Array:
        """Compares texts, or times if one side is a column of times."""
        is_order = isinstance(op, _ORDERS)
        sides = [self._text_or_time(node, is_order=is_order) for node in (left, right)]
        if is_order:
            sides = _in_order(left, right, sides)
        if any(pa.types.is_temporal(side.type) for side in sides):
            try:
                sides = [side.cast(pa.timestamp("us")) for side in map(_without_zone, sides)]
            except pa.ArrowInvalid as error:
                text = ast.unparse(right if _is_text(right) else left)
                raise InputError(f"{text} must be a time such as '2019-01-31'") from error
        return _TEXT_COMPARISONS[type(op)](*sides)

    def _text_or_time(self, node: ast.expr, *, is_order: bool) -> pa.Array:
        if not isinstance(node, ast.Name):
            return _text(node, self._columns, self._dialect)
        column = self._columns[node.id]
        if node.id not in self._clocks or not (is_order or pa.types.is_temporal(column.type)):
            return column if pa.types.is_temporal(column.type) else _text(node, self._columns, self._dialect)
        seconds = self._clocks[node.id]()
        is_read = np.abs(seconds) < MAX_SECONDS  # NaN is not
        self.is_unread |= ~is_read & ~cells.is_missing(column, self._dialect)
        whole = np.where(is_read, seconds, 0).astype(np.int64)
        return pa.array(whole, mask=~is_read).cast(pa.timestamp("s"))

    def _is_missing(self, node: ast.expr) -> Mask:
        if isinstance(node, ast.Name):
            return cells.is_missing(self._columns[node.id], self._dialect)
        values, _ = self._numbers.of(node)
        return np.isnan(values)


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return node.func.id == "lower" or any(map(_is_text, node.args))  # type: ignore[attr-defined]
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _in_order(left: ast.expr, right: ast.expr, sides: list[pa.Array]) -> list[pa.Array]:
    """The sides of a comparison as texts whose order is that of the times that they mean, if one is a time.

    Raises InputError if the other one has times in another order of their parts, such as 31.01.2019.
    """
    values = (node.value for node in (left, right) if isinstance(node, ast.Constant))
    literals = [value for value in values if isinstance(value, str)]
    for each in literals:
        if re.match(_DATE, each):
            raise InputError(f"'{each}' must be a time such as '2019-01-31'")
    if not any(re.match(_ISO_TIME, each) for each in literals) or any(pa.types.is_temporal(e.type) for e in sides):
        return sides
    for node, side in zip((left, right), sides, strict=True):
        is_other = pc.and_not(
            pc.match_substring_regex(side, r"\d"), pc.match_substring_regex(pc.utf8_trim_whitespace(side), _ISO_TIME)
        )
        if pc.any(is_other).as_py():
            cell = side.filter(is_other)[0].as_py()
            raise InputError(
                f"{ast.unparse(node)} cannot be compared with a time as text, it has {cell}: leave out days with "
                "city.days, or compare city.columns.pickup_time"
            )
    return [pc.replace_substring_regex(side, r"^(\s*\d{4}-\d\d-\d\d)T", r"\1 ") for side in sides]


def _without_zone(side: pa.Array) -> pa.Array:
    zone = getattr(side.type, "tz", None)
    return side.cast(pa.timestamp("us", zone)).cast(pa.int64()).cast(pa.timestamp("us")) if zone else side


def _text(node: ast.expr, columns: Cells, dialect: CsvDialect) -> pa.Array:
    """Text, null where a cell is missing."""
    match node:
        case ast.Name():
            column = columns[node.id]
            text = cells.text(column)
            is_missing = pa.array(cells.is_missing(column, dialect))
            return pc.if_else(is_missing, pa.scalar(None, text.type), text)
        case ast.Constant(value=str()):
            return pa.array([node.value]).take(pa.array(np.zeros(_length(columns), np.int64)))
        case ast.Call(func=ast.Name(id="lower")):
            return pc.utf8_lower(_text(node.args[0], columns, dialect))
        case ast.Call(func=ast.Name(id="coalesce")):
            return pc.coalesce(*(_text(argument, columns, dialect) for argument in node.args))
        case ast.BinOp(op=ast.Add()):
            parts = (_text(part, columns, dialect) for part in (node.left, node.right))
            return pc.binary_join_element_wise(*parts, "")
        case _:
            raise InputError(f"{ast.unparse(node)} must be text")
