"""Reads trips: files in pieces of bounded size, each row judged by judging.py.

No TensorFlow, TFX or Beam here: `farebox evaluate` and `farebox doctor` read trips too.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.chunks import MAX_TEXT, Chunk, OpenFile
from farebox.components.trip_example_gen.dialect import dialect_hint
from farebox.components.trip_example_gen.extra_features import NOT_A_NUMBER
from farebox.components.trip_example_gen.judging import OTHER_DIALECT, Trips, judge
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.sources import check_counted_once, find_files, plan_chunks, read_rows

SHOWN_REASONS = 3
SHOWN_TEXT = 100  # characters of a row in a message


def read_trips(path: str, profile: CityProfile) -> Iterator[Trips]:
    """All trips of a file, a folder or a glob pattern, in pieces of bounded size.

    Raises:
        InputError: the source cannot be read, or (at the end) no row of it is a trip.
    """
    n_read, n_examples, reasons, fault = 0, 0, Counter[tuple[str, str]](), ""
    files = find_files(path, profile.ignore_files)
    check_counted_once(files)
    for chunk in plan_chunks(files, profile):
        for trips in read_chunk(chunk, profile):
            n_read, n_examples = n_read + trips.n_read, n_examples + trips.examples.num_rows
            reasons.update(trips.reasons())
            fault = fault or first_fault(trips, chunk)
            yield trips
    check_usable(path, profile, n_read, n_examples, reasons, fault=fault)


def check_usable(
    path: str,
    profile: CityProfile,
    n_read: int,
    n_examples: int,
    reasons: Mapping[tuple[str, str], int],
    *,
    fault: str = "",
) -> None:
    """Raises InputError, with the commonest reasons and the `first_fault`, if a source gave no example."""
    if n_read == 0:
        raise InputError(f"{path}: has a header and no rows")
    if n_examples == 0:
        commonest = ", ".join(
            f"{n} {reason}" + f" (column {column})" * bool(column)
            for (reason, column), n in Counter(reasons).most_common(SHOWN_REASONS)
        )
        texts = [column for reason, column in reasons if reason == NOT_A_NUMBER]
        advice = f"; give the texts of column {texts[0]} as city.features.NAME.values" if texts else ""
        example = f"; {fault}" * bool(fault)
        hint = f"; {dialect_hint(profile.csv)}" * any(reason == OTHER_DIALECT for reason, _ in reasons)
        raise InputError(
            f"{path}: none of {n_read} rows is a trip of {profile.name}: {commonest}{hint}{advice}{example}"
        )


def first_fault(trips: Trips, chunk: Chunk) -> str:
    """The first rejected row for people: its number, its fields if there are too few or too many, and its text.

    Empty if there is an example, or no row.
    """
    if trips.examples.num_rows or not trips.rejected.num_rows:
        return ""
    first = trips.rejected.slice(pc.index(trips.rejected["row"], pc.min(trips.rejected["row"])).as_py(), 1)
    (row,) = first.to_pylist()
    is_malformed = not row["column"] and chunk.names and len(row["text"]) < MAX_TEXT
    fault = f" has {_fields(row['text'], chunk)}" if is_malformed else ""
    text = " ".join(row["text"][:SHOWN_TEXT].splitlines())
    return f"row {row['row']} of {os.path.basename(chunk.path)}{fault}: {text}"


def _fields(line: str, chunk: Chunk) -> str:
    """The number of fields of a line that is no row, and of the header."""
    dialect = chunk.dialect
    reader = csv.reader([line], delimiter=dialect.separator or ",", quotechar=dialect.quote, escapechar=dialect.escape)
    try:
        n_fields = len(next(reader, []))
    except csv.Error:
        return "no fields"
    if n_fields == len(chunk.names):
        return f"a quote that is not closed in its {n_fields} fields"
    return f"{n_fields} fields, not the {len(chunk.names)} of the header"


def read_chunk(chunk: Chunk, profile: CityProfile, open_file: OpenFile = open) -> Iterator[Trips]:
    """The trips of a chunk, in pieces of bounded size.

    Raises:
        InputError: the file cannot be read, or an expression does not fit the types of its columns.
    """
    for rows in read_rows(chunk, open_file):
        try:
            yield judge(rows, chunk.path, profile)
        except pa.ArrowNotImplementedError as error:
            text = str(error).splitlines()[0]
            raise InputError(f"{chunk.path}: city.where or an expression does not fit its columns: {text}") from error
