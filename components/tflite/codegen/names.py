"""Names of functions and inputs that each of the languages allows, and that nothing in the generated code has."""

from __future__ import annotations

import re
from collections.abc import Iterable

# An input of such a name gets a `_`.
RESERVED = frozenset(  # of the languages, of C++ for the header, of functions that are called, and of the printers
    """
    abs abstract alignas alignof and and_eq any arguments array as asm assert associatedtype async at atan2 auto await
    become bitand bitor bool box break by byte c_float case catch ceil char char16_t char32_t char8_t class collections
    compl concept const const_cast consteval constexpr constinit continue cos crate ctypes debugger decltype def
    default defer deinit del delete difference divide divide_whole divided do double dyn dynamic_cast elif else enum
    eval except exp explicit export extends extension extern f32 f64 failed fallthrough false fileprivate final finally
    flags float floats floor fn for friend from fun func function gen global golden_expected got goto guard i i32 i64
    i8 if impl implements import in infinity init inline inout instanceof int interface internal ints is j k lambda
    largest let linux ln log long longs loop macro main map match math mod mod_big modulo modulo_whole move mut
    mutable n namespace nan new nil noexcept none nonlocal not not_eq null nullptr object open operator or or_eq
    override package pass pow power precedencegroup print priv private protected protocol pub public r raise range
    ref register reinterpret_cast repeat requires restrict result rethrows return rint round self sequence short
    signed sin sizeof sqrt static static_assert static_cast string struct subscript sum super switch tanh
    template this thread_local throw throws to_int to_int32 to_int64 top trait true try type typealias typedef typeid
    typename typeof u8 union unix unsafe unsigned unsized until use using usize val var virtual void volatile wanted
    wchar_t when where while whole with wrap32 wrap64 x_ xor xor_eq yield
    """.split()  # noqa: SIM905 - a list of two hundred strings reads worse
)
# Of variables and helpers that are numbered or named after a type, and of C's functions of float and types.
GENERATED = re.compile(
    r"(?:[a-z]|lost|low|sum|top)\d+|(?:add|sub|mul|div|mod|to|modulo)_?[fi]\d+|u?int\d+_t"
    r"|(?:abs|fabs|ceil|floor|rint|sqrt|sin|cos|exp|log|tanh|atan2|pow|fmod)f|co_(?:await|return|yield)"
)


def identifier(text: str) -> str:
    """The text as a lower-case name that each of the languages allows."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or "x"
    if name[0].isdigit():
        return f"x_{name}"
    return f"{name}_" if name in RESERVED or GENERATED.fullmatch(name) else name


def camel(name: str) -> str:
    """`pickup_hour` as `pickupHour`; underscores at the end, which tell it from a reserved word, stay."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part.capitalize() for part in rest) + "_" * (len(name) - len(name.rstrip("_")))


def distinct(columns: Iterable[str], taken: frozenset[str] = frozenset()) -> list[str]:
    """A name for each column, none of `taken`: different ones, also in the style of `camel`."""
    names: dict[str, str] = {}
    for column in columns:
        name = identifier(column)
        while camel(name) in names or name in taken:
            name += "_"
        names[camel(name)] = name
    return list(names.values())
