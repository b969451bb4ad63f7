"""Reads trips: files in pieces of bounded size, each row judged by judging/judge.py.

No TensorFlow, TFX or Beam here: `farebox evaluate` and `farebox doctor` read trips too.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.extra_features import NOT_A_NUMBER
from farebox.components.trip_example_gen.judging.judge import Trips, judge
from farebox.components.trip_example_gen.judging.losses import Losses, is_beyond
from farebox.components.trip_example_gen.judging.reasons import BAD_WEEKDAY, MISFITS, OTHER_DIALECT
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.sources.chunks import MAX_TEXT, Chunk, OpenFile
from farebox.components.trip_example_gen.sources.reading import check_counted_once, find_files, plan_chunks, read_rows
from farebox.components.trip_example_gen.values.dialect import dialect_hint

SHOWN_REASONS = 3
MAX_MISFITS = 0.01  # largest share of weekdays that may be none of the coding
SHOWN_TEXT = 100  # characters of a row in a message


def read_trips(path: str, profile: CityProfile) -> Iterator[Trips]:
    """All trips of a file, a folder or a glob pattern, in pieces of bounded size.

    Raises:
        InputError: the source cannot be read, or (at the end) no row of it is a trip, or its weekdays do not fit.
    """
    losses, fault = Losses(), ""
    files = find_files(path, profile.ignore_files)
    check_counted_once(files)
    for chunk in plan_chunks(files, profile):
        for trips in read_chunk(chunk, profile):
            losses += trips.losses
            fault = fault or first_fault(trips, chunk)
            yield trips
    check_usable(path, profile, losses, fault=fault)


def check_usable(path: str, profile: CityProfile, losses: Losses, *, fault: str = "") -> None:
    """Raises InputError, with the commonest reasons and the `first_fault`, if a source gave no example, or if the
    city's coding of weekdays does not fit its column: the days of the rows that pass are then wrong, too."""
    total = losses.total
    if total.read == 0:
        raise InputError(f"{path}: has a header and no rows")
    check_weekdays(path, losses)
    if total.examples == 0:
        reasons = [f"{n} {reason}" + f" (column {column})" * bool(column) for (reason, column), n in losses.reasons]
        reasons = reasons[:SHOWN_REASONS]
        if total.left_out:
            reasons.append(f"{total.left_out} left out by city.where={profile.where}")
        why = "; ".join(filter(None, [", ".join(reasons), _advice(profile, losses), fault]))
        raise InputError(f"{path}: none of {total.read} rows is a trip of {profile.name}: {why}")


def _advice(profile: CityProfile, losses: Losses) -> str:
    """Tells what to write in the city file, for the commonest reason that this can help."""
    advice = []
    for (reason, column), _ in losses.reasons:
        if reason == OTHER_DIALECT:
            advice.append(dialect_hint(profile.csv))
        elif reason == NOT_A_NUMBER:
            advice.append(f"give the texts of column {column} as city.features.NAME.values")
        elif reason in MISFITS:
            advice.append(losses.hint((reason, column)))
    return next(filter(None, advice), "")


def check_weekdays(path: str, losses: Losses) -> None:
    """Raises InputError, with the codings that fit, if more weekdays than chance and dirt explain are none of the
    city's coding."""
    for (reason, column), suspect in losses.suspects.items():
        if reason == BAD_WEEKDAY and is_beyond(suspect.rows, losses.judged, MAX_MISFITS):
            raise InputError(f"{path}: column {column}: {suspect.hint(losses.judged)}")


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
