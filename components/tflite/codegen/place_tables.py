"""The table of a city's zones as source code: coordinates by id or name, for the inputs of the generated function."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

from farebox.components.errors import InputError
from farebox.components.tflite.codegen.names import camel, identifier
from farebox.components.tflite.codegen.printer import shortest

Place = tuple[float, float, str]  # longitude and latitude in degrees, and the name, which may be empty
ROWS_PER_METHOD = 500  # a method of the JVM has at most 64 KB


def place_table(language: str, name: str, places: Mapping[str, Place], digest: str) -> dict[str, str]:
    """The generated file, text by name: a list of all places, and a function that finds one by its id or its name.

    language: c, js, kotlin, swift, python or rust. name: of the model's file. digest: of locations.json.

    Raises InputError for another language.
    """
    if language not in WRITERS:
        raise InputError(f"to={language} must be one of {', '.join(WRITERS)}")
    stem = identifier(name)
    head = f"Places of {stem} by id or name: longitude and latitude in degrees (WGS84). locations.json {digest[:12]}"
    return WRITERS[language](stem, head, places)


def is_place_table(file: str) -> bool:
    """Whether a generated file, by its name, is a table of places."""
    return file.rpartition(".")[0].endswith(("_locations", "Locations"))


def _text(text: str, escapes: str = "") -> str:
    """A literal of UTF-8 text; escapes: further characters that need a backslash."""
    kept = "".join(" " if ord(each) < 32 else f"\\{each}" if each in f'\\"{escapes}' else each for each in text)
    return f'"{kept}"'


def _rows(places: Mapping[str, Place], form: str, escapes: str = "") -> Iterator[str]:
    """A line for each place; form: with id, name, x and y."""
    for id_, (longitude, latitude, name) in places.items():
        texts = {"id": _text(id_, escapes), "name": _text(name, escapes)}
        yield form.format(**texts, x=shortest(longitude), y=shortest(latitude))


def _c(stem: str, head: str, places: Mapping[str, Place]) -> dict[str, str]:
    rows = "\n".join(_rows(places, "    {{{id}, {name}, {x}f, {y}f}},", "?"))  # ??/ is a trigraph
    guard = f"FAREBOX_{stem.upper()}_LOCATIONS_H"
    return {
        f"{stem}_locations.h": f"""/* {head} */
#ifndef {guard}
#define {guard}

#include <string.h>

static const struct {{
    const char *id, *name;
    float longitude, latitude;
}} farebox_{stem}_locations[{len(places)}] = {{
{rows}
}};

/* 1 and the coordinates of a place's id or name (UTF-8), or 0 if there is none. */
static inline int farebox_{stem}_location(const char *place, float *longitude, float *latitude) {{
    for (int by_name = 0; by_name < 2; by_name++) {{
        for (int i = 0; i < {len(places)}; i++) {{
            const char *text = by_name ? farebox_{stem}_locations[i].name : farebox_{stem}_locations[i].id;
            if (*text && strcmp(text, place) == 0) {{
                *longitude = farebox_{stem}_locations[i].longitude;
                *latitude = farebox_{stem}_locations[i].latitude;
                return 1;
            }}
        }}
    }}
    return 0;
}}

#endif
"""
    }


def _javascript(stem: str, head: str, places: Mapping[str, Place]) -> dict[str, str]:
    rows = "\n".join(_rows(places, "  [{id}, {name}, {x}, {y}],"))
    return {
        f"{stem}_locations.mjs": f"""// {head}

/** @type {{[string, string, number, number][]}} id, name, longitude, latitude */
export const locations = [
{rows}
];

/**
 * The coordinates of a place's id or name; undefined if there is none.
 * @param {{string | number}} place
 * @returns {{{{longitude: number, latitude: number}} | undefined}}
 */
export function location(place) {{
  const text = String(place);
  const row = locations.find(([id]) => id === text) ?? locations.find(([, name]) => name && name === text);
  return row && {{ longitude: row[2], latitude: row[3] }};
}}
"""
    }


def _kotlin(stem: str, head: str, places: Mapping[str, Place]) -> dict[str, str]:
    title = _title(stem)
    rows = iter(_rows(places, "        Location({id}, {name}, {x}f, {y}f),", "$"))
    parts = iter(lambda: list(itertools.islice(rows, ROWS_PER_METHOD)), [])
    methods = [f"    private fun part{i}() = listOf(\n" + "\n".join(part) + "\n    )\n" for i, part in enumerate(parts)]
    return {
        f"{title}Locations.kt": f"""// {head}

object {title}Locations {{
    class Location(val id: String, val name: String, val longitude: Float, val latitude: Float)

    val all: List<Location> = {" + ".join(f"part{i}()" for i in range(len(methods)))}

    /** The place of an id or a name; null if there is none. */
    fun location(place: String): Location? =
        all.find {{ it.id == place }} ?: all.find {{ it.name == place && it.name.isNotEmpty() }}

{chr(10).join(methods)}}}
"""
    }


def _swift(stem: str, head: str, places: Mapping[str, Place]) -> dict[str, str]:
    rows = "\n".join(_rows(places, "        Location(id: {id}, name: {name}, longitude: {x}, latitude: {y}),"))
    title = _title(stem)
    return {
        f"{title}Locations.swift": f"""// {head}

public enum {title}Locations {{
    public struct Location {{
        public let id: String, name: String
        public let longitude: Float, latitude: Float
    }}

    public static let all: [Location] = [
{rows}
    ]

    /// The place of an id or a name; nil if there is none.
    public static func location(_ place: String) -> Location? {{
        all.first {{ $0.id == place }} ?? all.first {{ $0.name == place && !$0.name.isEmpty }}
    }}
}}
"""
    }


def _python(stem: str, head: str, places: Mapping[str, Place]) -> dict[str, str]:
    rows = "\n".join(_rows(places, "    {id}: ({x}, {y}, {name}),"))
    return {
        f"{stem}_locations.py": f'''"""{head}"""

LOCATIONS = {{
{rows}
}}


def location(place):
    """Longitude and latitude of a place's id or name; None if there is none."""
    row = LOCATIONS.get(str(place)) or next((row for row in LOCATIONS.values() if row[2] and row[2] == place), None)
    return row and row[:2]
'''
    }


def _rust(stem: str, head: str, places: Mapping[str, Place]) -> dict[str, str]:
    rows = "\n".join(_rows(places, "    ({id}, {name}, {x}, {y}),"))
    return {
        f"{stem}_locations.rs": f"""//! {head}

/// Id, name, longitude and latitude.
pub static LOCATIONS: [(&str, &str, f32, f32); {len(places)}] = [
{rows}
];

/// Longitude and latitude of a place's id or name; `None` if there is none.
pub fn location(place: &str) -> Option<(f32, f32)> {{
    let by_id = LOCATIONS.iter().find(|row| row.0 == place);
    by_id.or_else(|| LOCATIONS.iter().find(|row| !row.1.is_empty() && row.1 == place)).map(|row| (row.2, row.3))
}}
"""
    }


def _title(stem: str) -> str:
    name = camel(stem)
    return name[:1].upper() + name[1:]


WRITERS: Mapping[str, Callable[[str, str, Mapping[str, Place]], dict[str, str]]] = {
    "c": _c, "js": _javascript, "kotlin": _kotlin, "swift": _swift, "python": _python, "rust": _rust,
}  # fmt: skip
