"""The intermediate form: typed expressions and a few statements, which every printer writes in its language.

Value types are `f32`, `i32`, `i64`, `bool` and `index`, a place in an array. Arrays may store `i8`, `u8` and `i16`:
a load of such a number is an `i32`. Integer arithmetic wraps; a cast of a float to an integer truncates, saturates, and
makes NaN 0. Comparisons with NaN are false, except `!=`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Type = Literal["f32", "i32", "i64", "bool", "index"]
Storage = Literal["f32", "i32", "i64", "bool", "i8", "u8", "i16"]

ARITHMETIC = ("+", "-", "*", "/")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
FUNCTIONS = (
    "abs",
    "neg",
    "floor",
    "ceil",
    "round",
    "sqrt",
    "sin",
    "cos",
    "exp",
    "log",
    "tanh",
    "atan2",
    "pow",
    "mod",
)


@dataclasses.dataclass(frozen=True)
class Index:
    """A place in an array: base + the sum of stride * variable."""

    base: int = 0
    terms: tuple[tuple[str, int], ...] = ()

    def plus(self, base: int, *terms: tuple[str, int]) -> Index:
        """The place `base` and the given terms further on; terms of stride 0 are dropped."""
        return Index(self.base + base, (*self.terms, *(term for term in terms if term[1])))


@dataclasses.dataclass(frozen=True)
class Number:
    """A number."""

    type: Type
    value: float | int | bool


@dataclasses.dataclass(frozen=True)
class Variable:
    """A parameter, or a name that Let has declared."""

    type: Type
    name: str


@dataclasses.dataclass(frozen=True)
class Load:
    """An element of an array, as a value of `type`."""

    type: Type
    storage: Storage
    array: str
    index: Index


@dataclasses.dataclass(frozen=True)
class Apply:
    """An operator or a function of one or two values.

    operator: of ARITHMETIC, COMPARISONS or FUNCTIONS, or `and`, `or`, `not`. `round` is half to even; `mod` has the
    sign of the divisor.
    Integers know no `/` by 0: a Guard stands before it.
    """

    type: Type
    operator: str
    operands: tuple[Expression, ...]


@dataclasses.dataclass(frozen=True)
class Choice:
    """`yes` if `condition`, else `no`."""

    type: Type
    condition: Expression
    yes: Expression
    no: Expression


@dataclasses.dataclass(frozen=True)
class Cast:
    """A value in another type."""

    type: Type
    value: Expression


Expression: TypeAlias = "Number | Variable | Load | Apply | Choice | Cast"


@dataclasses.dataclass(frozen=True)
class Store:
    """Writes an element of an array of numbers of `storage`."""

    storage: Storage
    array: str
    index: Index
    value: Expression


@dataclasses.dataclass(frozen=True)
class Let:
    """Declares a name; `changes` if an Assign gives it other values."""

    name: str
    value: Expression
    changes: bool = False


@dataclasses.dataclass(frozen=True)
class Assign:
    """Gives a declared name another value."""

    name: str
    value: Expression


@dataclasses.dataclass(frozen=True)
class For:
    """Runs `body` with `variable` from 0 to count - 1."""

    variable: str
    count: int
    body: tuple[Statement, ...]


@dataclasses.dataclass(frozen=True)
class Guard:
    """Ends the function if the condition does not hold: its result is then NaN."""

    condition: Expression


@dataclasses.dataclass(frozen=True)
class Note:
    """A comment: the operator that the next statements compute."""

    text: str


Statement: TypeAlias = "Store | Let | Assign | For | Guard | Note"


@dataclasses.dataclass(frozen=True)
class Constant:
    """An array that never changes."""

    name: str
    storage: Storage
    values: npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Parameter:
    """An input of the function: one number, or an array of `size` numbers."""

    name: str
    column: str
    type: Type
    size: int

    @property
    def is_scalar(self) -> bool:
        return self.size == 1


@dataclasses.dataclass(frozen=True)
class Program:
    """The function of a file.

    scratch: numbers of each type that it needs. result: an element of its output; `i0` is its variable.
    """

    parameters: tuple[Parameter, ...]
    constants: tuple[Constant, ...]
    scratch: dict[Storage, int]
    body: tuple[Statement, ...]
    result: Expression
    result_size: int
    result_column: str


def number(type: Type, value: float | int | bool) -> Number:  # noqa: A002 - the field's name
    """A literal of the type."""
    if type == "f32":
        return Number(type, float(np.float32(value)))
    return Number(type, bool(value) if type == "bool" else int(value))


def apply(operator: str, *operands: Expression) -> Apply:
    """The operator applied to the operands: `bool` for comparisons and logic, else of their type."""
    is_bool = operator in COMPARISONS or operator in ("and", "or", "not")
    return Apply("bool" if is_bool else operands[0].type, operator, operands)


def choose(condition: Expression, yes: Expression, no: Expression) -> Choice:
    """`yes` if the condition holds, else `no`."""
    return Choice(yes.type, condition, yes, no)


def cast(type: Type, value: Expression) -> Expression:  # noqa: A002 - the field's name
    """The value in the type; unchanged if it has it."""
    return value if value.type == type else Cast(type, value)
