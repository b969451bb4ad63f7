"""Which columns of a file give each of our columns: names, the first of several names, or expressions."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Collection, Sequence

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.columns import PICKUP_TIME, RAW_COLUMNS
from farebox.components.trip_example_gen.profile import PLACES_OF, CityProfile
from farebox.components.trip_example_gen.sources.file_lists import partitions_of
from farebox.components.trip_example_gen.values import expressions
from farebox.components.trip_example_gen.values.expressions import Expression

PLACES = frozenset(column.name for column in RAW_COLUMNS if column.is_place)


class NoColumnsError(InputError):
    """A file has none of the columns that the profile names: perhaps it holds no trips."""


@dataclasses.dataclass(frozen=True)
class Binding:
    """Our column: the expression over the file's columns that gives it; and the condition on rows, if there is one.

    texts: columns that a CSV reader must read as text; the others may be read as numbers where all cells are numbers.
    partitions: columns that the names of the file's folders give, such as `year=2019`, with the file's value.
    """

    columns: dict[str, Expression]
    where: Expression | None
    texts: frozenset[str]
    partitions: dict[str, str | None] = dataclasses.field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The file's columns that are read, sorted."""
        used = {name for expression in self.columns.values() for name in expression.names}
        return tuple(sorted(used.union(self.where.names if self.where else ()) - set(self.partitions)))

    def text_of(self, ours: str) -> str:
        """The file's name of our column, or its expression; empty if the file does not have it."""
        return self.columns[ours].text if ours in self.columns else ""


def bind(profile: CityProfile, names: Sequence[str], path: str) -> Binding:
    """Binds the profile's columns to a file's, `names`, and to those of its folders' names (`year=2019`).

    Raises:
        InputError: the file lacks a column, or has it twice.
    """
    partitions = {name: value for name, value in partitions_of(path).items() if name not in names}
    names = (*names, *partitions)
    unused = _unused_places(profile, names)
    try:
        columns = _bind_columns(profile, names, unused, path)
    except InputError as error:
        if any(_has(texts, names) for texts in profile.sources().values()):
            raise
        raise NoColumnsError(str(error)) from error
    where = _condition(profile.conditions, names, path)
    texts = {name for ours in PLACES & set(columns) for name in columns[ours].names}
    if PICKUP_TIME in columns and profile.time_source.is_text:
        texts.update(columns[PICKUP_TIME].names)
    if where:
        texts.update(where.names)
    for ours, feature in profile.extra.items():
        if feature.values:
            texts.update(columns[ours].names)
    return Binding(columns, where, frozenset(texts), partitions)


def _bind_columns(
    profile: CityProfile, names: Sequence[str], unused: Collection[str], path: str
) -> dict[str, Expression]:
    return {
        ours: _first(texts, names, f"city.{_key_of(ours, profile)}", path)
        for ours, texts in profile.sources().items()
        if ours not in unused
    }


def _condition(texts: Sequence[str], names: Sequence[str], path: str) -> Expression | None:
    """The first of several conditions whose columns the file has; None if there is none to meet."""
    conditions = [expressions.parse(text) for text in texts]
    for condition in conditions:
        if set(condition.names) <= set(names):
            _check(condition, names, "city.where", path)
            return condition
    for condition in conditions:
        _check(condition, names, "city.where", path)
    return None


def _key_of(ours: str, profile: CityProfile) -> str:
    return f"features.{ours}" if ours in profile.extra else f"columns.{ours}"


def _unused_places(profile: CityProfile, names: Sequence[str]) -> set[str]:
    """Our columns that this file need not have: for each end, all but the first way of which it has every column."""
    sources = profile.columns.sources()
    every: set[str] = set()
    used: set[str] = set()
    for ways in PLACES_OF.values():
        named = [way for way in ways if set(way) <= set(sources)]
        has = [way for way in named if all(_has(sources[ours], names) for ours in way)]
        used.update((has or named)[0])
        every.update(ours for way in named for ours in way)
    return every - used


def _has(texts: Sequence[str], names: Sequence[str]) -> bool:
    return any(set(column_or_expression(text, names).names) <= set(names) for text in texts)


def _first(texts: Sequence[str], names: Sequence[str], key: str, path: str) -> Expression:
    """The first of several columns or expressions that the file has."""
    for text in texts:
        expression = column_or_expression(text, names)
        if set(expression.names) <= set(names):
            _check(expression, names, key, path)
            return expression
    _check(column_or_expression(texts[0], names), names, key, path)
    raise AssertionError(f"{key}: {texts[0]} is missing and is not")


def column_or_expression(text: str, names: Sequence[str]) -> Expression:
    """A column if the file has one of this name, or if the text is no expression."""
    if text in names:
        return _column(text)
    try:
        return expressions.parse(text)
    except InputError:
        if not any(mark in text for mark in "+*/()`<>="):
            return _column(text)  # a name with spaces or hyphens that the file lacks
        raise


def _column(name: str) -> Expression:
    return Expression(name, ast.Name(id=name, ctx=ast.Load()), (name,))


def _check(expression: Expression, names: Sequence[str], key: str, path: str) -> None:
    for name in expression.names:
        if list(names).count(name) != 1:
            fault = "occurs more than once" if name in names else "is missing"
            raise InputError(f"{path}: column {name} ({key}) {fault}, found {', '.join(names)}")
