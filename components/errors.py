"""Errors that users, not developers, fix; the checks of a gate; conditions on a setting's value; numbers as text.

    ValueError     InputError: input that cannot be used; names the value, the bound and the place (exit code 2)
    RuntimeError   GateError: a gate refused (exit code 3); carries its checks

The command line prints them as one line.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

Severity = Literal["stop", "warn"]


@dataclasses.dataclass(frozen=True)
class Check:
    """One comparison of a gate: `value` with its largest `bound`, or its smallest one if `at_least`.

    bound: None if there is nothing to compare with. ok: may be true although value is beyond bound, if the excess can
    be noise. detail: the finding in words. hint: what to do if the check is not ok. severity: `warn` refuses nothing.
    lower, upper: the interval of `value`, None if it has none.
    """

    name: str
    value: float
    bound: float | None
    ok: bool
    detail: str = ""
    hint: str = ""
    severity: Severity = "stop"
    at_least: bool = False
    lower: float | None = None
    upper: float | None = None

    @property
    def refuses(self) -> bool:
        """Whether this check stops the run."""
        return not self.ok and self.severity == "stop"


class InputError(ValueError):
    """Input that cannot be used: names the value, the bound and the place (exit code 2)."""


class GateError(RuntimeError):
    """A gate refused and the run cannot go on (exit code 3); `checks` are all that the gate made."""

    def __init__(self, message: str, checks: Sequence[Check] = ()) -> None:
        super().__init__(message)
        self.checks = tuple(checks)


def fault_of(error: BaseException) -> str:
    """An exception in one line, with its type if it is a bug's."""
    text = " ".join(str(error).split())
    return text if isinstance(error, (InputError, GateError)) else f"{type(error).__name__}: {text}"


def number(value: float | None, digits: int = 4) -> str:
    """A number as people write it: at most four significant digits, thousands separated."""
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    text = f"{value:.{digits}g}"
    plain = f"{float(text):,.6f}".rstrip("0").rstrip(".") if "e" in text and abs(value) < 1 else text
    return "0" if plain == "-0" else plain


def increase(text: float | str, of: float, name: str) -> float:
    """Returns how much `text` allows on top of `of`: a number in its unit, or a share of it such as `0.2%`.

    Raises ValueError naming `name` if it is neither.
    """
    number, is_percentage = _number(text)
    if number is None:
        raise ValueError(f"{name}={text} must be {INCREASE}")
    return of * number / 100 if is_percentage else number


def _number(text: float | str) -> tuple[float | None, bool]:
    """The finite number in a text, None if there is none, and whether a percent sign follows it."""
    match = re.fullmatch(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(%?)\s*", str(text))
    try:
        number = float(match[1]) if match else None
    except ValueError:  # 1.2.3
        number = None
    is_finite = number is not None and math.isfinite(number)  # 1e999 is not
    return (number, bool(match[2])) if match and is_finite else (None, False)


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition on a setting, for `Annotated[float, at_least(0.0)]`; `text` completes "must be"."""

    text: str
    allows: Callable[[Any], bool] = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return self.text


def at_least(bound: float) -> Condition:
    """Numbers from `bound` on. Infinity and NaN are refused; the text says so if the bound is a float."""
    text = f"at least {bound:g} and finite" if isinstance(bound, float) else f"at least {bound}"
    return Condition(text, lambda value: bound <= value < math.inf)


def above(bound: float) -> Condition:
    """Finite numbers greater than `bound`."""
    return Condition(f"above {bound:g} and finite", lambda value: bound < value < math.inf)


def between(least: float, most: float) -> Condition:
    """Numbers from `least` to `most`, both included."""
    return Condition(f"between {least:g} and {most:g}", lambda value: least <= value <= most)


def strictly_between(least: float, most: float) -> Condition:
    """Numbers greater than `least` and less than `most`."""
    return Condition(f"above {least:g} and below {most:g}", lambda value: least < value < most)


INCREASE = Condition("a number or a percentage such as 0.2%", lambda value: _number(value)[0] is not None)

Count = Annotated[int, at_least(1)]
Positive = Annotated[float, above(0)]
NotNegative = Annotated[float, at_least(0.0)]
Share = Annotated[float, between(0, 1)]
Increase = Annotated[float | str, INCREASE]

# A type that settings have, how a message names it, and the classes of its values.
TYPES: dict[Any, tuple[str, tuple[type, ...]]] = {
    int: ("an integer", (numbers.Integral,)),
    float: ("a number", (numbers.Real,)),
    str: ("text", (str,)),
    bool: ("true or false", (bool,)),
    tuple: ("a list", (tuple, list)),
    dict: ("a mapping", (Mapping,)),
}


@dataclasses.dataclass(frozen=True)
class ValueForm:
    """An annotation taken apart: the types that a value may have, its conditions, and whether None is allowed."""

    types: tuple[Any, ...]
    conditions: tuple[Condition, ...] = ()
    is_optional: bool = False

    @classmethod
    def of(cls, hint: Any) -> ValueForm:
        """The form of a type hint, with `Annotated` and unions at any depth."""
        if hint is type(None):
            return cls((), is_optional=True)
        if get_origin(hint) is Annotated:
            form = cls.of(hint.__origin__)
            conditions = tuple(each for each in hint.__metadata__ if isinstance(each, Condition))
            return dataclasses.replace(form, conditions=(*form.conditions, *conditions))
        if get_origin(hint) in (typing.Union, types.UnionType):
            forms = [cls.of(each) for each in get_args(hint)]
            return cls(
                tuple(each for form in forms for each in form.types),
                tuple(each for form in forms for each in form.conditions),
                any(form.is_optional for form in forms),
            )
        return cls((hint,))

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of a Literal."""
        return tuple(value for each in self.types if get_origin(each) is Literal for value in get_args(each))

    def problem(self, name: str, value: Any) -> str | None:
        """`name=value must be ...` for a value that does not have this form, else None."""
        if value is None and self.is_optional:
            return None
        if self.choices:
            fault = "" if value in self.choices else f"one of {', '.join(self.choices)}"
        elif not any(map(functools.partial(_is_a, value), self.types)):
            names = " or ".join(TYPES[get_origin(each) or each][0] for each in self.types)
            fault = self.conditions[0].text if len(self.types) > 1 and self.conditions else names
        else:
            fault = next((each.text for each in self.conditions if not each.allows(value)), "")
        if fault:
            return f"{name}={value} must be {fault}{', or null' if self.is_optional else ''}"
        parts = (ValueForm.of(hint).problem(f"{name}.{key}", part) for key, part, hint in self._parts(value))
        return next(filter(None, parts), None)

    def _parts(self, value: Any) -> Iterator[tuple[Any, Any, Any]]:
        """Key, value and type hint of each member of a list or mapping."""
        for each in self.types:
            members = get_args(each)
            if get_origin(each) is dict and isinstance(value, Mapping):
                yield from ((key, part, members[1]) for key, part in value.items())
            elif get_origin(each) is tuple and isinstance(value, Sequence) and not isinstance(value, str):
                hints = [members[0]] * len(value) if members[-1] is Ellipsis else members
                yield from ((key, part, hint) for key, (part, hint) in enumerate(zip(value, hints, strict=False)))


def _is_a(value: Any, hint: Any) -> bool:
    """Whether a value has a type; a bool is no number, and types that `TYPES` does not list take any value."""
    kind = get_origin(hint) or hint
    if kind not in TYPES:
        return True
    return isinstance(value, TYPES[kind][1]) and (kind is bool or not isinstance(value, bool))


@functools.cache
def forms(settings: type) -> dict[str, ValueForm]:
    """The form of each field of a dataclass."""
    hints = typing.get_type_hints(settings, include_extras=True)
    return {field.name: ValueForm.of(hints[field.name]) for field in dataclasses.fields(settings)}


def check_fields(settings: Any, section: str) -> None:
    """Raises ValueError for the first field of a dataclass whose value its annotation does not allow.

    Lists become tuples: JSON has no tuples, and a frozen dataclass has no lists.
    """
    for name, form in forms(settings.__class__).items():
        value = getattr(settings, name)
        if isinstance(value, list):
            object.__setattr__(settings, name, value := tuple(value))
        if problem := form.problem(f"{section}.{name}", value):
            raise ValueError(problem)


def is_number(value: Any) -> bool:
    """Whether `float` takes a value."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
