"""Reads trips: files in pieces of bounded size, each row judged by judging.py.

No TensorFlow, TFX or Beam here: `farebox evaluate` and `farebox doctor` read trips too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.chunks import Chunk, OpenFile
from farebox.components.trip_example_gen.judging import Trips, judge
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.sources import find_files, plan_chunks, read_rows

SHOWN_REASONS = 3


def read_trips(path: str, profile: CityProfile) -> Iterator[Trips]:
    """All trips of a file, a folder or a glob pattern, in pieces of bounded size.

    Raises:
        InputError: the source cannot be read, or (at the end) no row of it is a trip.
    """
    n_read, n_examples, reasons = 0, 0, Counter[tuple[str, str]]()
    for chunk in plan_chunks(find_files(path), profile):
        for trips in read_chunk(chunk, profile):
            n_read, n_examples = n_read + trips.n_read, n_examples + trips.examples.num_rows
            reasons.update(trips.reasons())
            yield trips
    check_usable(path, profile, n_read, n_examples, reasons)


def check_usable(
    path: str, profile: CityProfile, n_read: int, n_examples: int, reasons: Mapping[tuple[str, str], int]
) -> None:
    """Raises InputError, with the commonest reasons, if a source gave no example."""
    if n_read == 0:
        raise InputError(f"{path}: has a header and no rows")
    if n_examples == 0:
        commonest = ", ".join(
            f"{n} {reason}" + f" (column {column})" * bool(column)
            for (reason, column), n in Counter(reasons).most_common(SHOWN_REASONS)
        )
        raise InputError(f"{path}: none of {n_read} rows is a trip of {profile.name}: {commonest}")


def read_chunk(chunk: Chunk, profile: CityProfile, open_file: OpenFile = open) -> Iterator[Trips]:
    """The trips of a chunk, in pieces of bounded size."""
    for rows in read_rows(chunk, open_file):
        yield judge(rows, chunk.path, profile)
