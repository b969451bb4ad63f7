"""Files of trips, and their chunks; judging/ finds the trips in the rows of a chunk.

No TensorFlow, TFX or Beam here: `farebox evaluate` and `farebox doctor` read trips too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import io
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from absl import logging

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.sources import chunks
from farebox.components.trip_example_gen.sources.binding import NoColumnsError
from farebox.components.trip_example_gen.sources.chunks import Chunk, OpenFile, Rows
from farebox.components.trip_example_gen.sources.csv_files import plan_csv, read_csv
from farebox.components.trip_example_gen.sources.file_lists import (
    LOCAL_FILES,
    SUFFIXES,
    FileSystem,
    check_names,
    files_at,
    size_and_time,
)
from farebox.components.trip_example_gen.sources.packed import UnpackedFile, contents_of, member_bytes, open_unpacked
from farebox.components.trip_example_gen.sources.parquet_files import count_rows, plan_parquet, read_parquet

SAMPLE_BYTES = 1 << 20  # of a CSV file, to estimate its rows
MAX_RATIO = 64  # of a packed sample's text in memory to its bytes
HASH_BYTES = 1 << 20
NAMED_FILES = 3  # at most, in a warning


def resolve_source(source: str) -> str:
    """The path of a city's own trips: `package:NAME/FOLDER` is found without importing the package."""
    if not source.startswith("package:"):
        return source
    package, _, folder = source.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"city.source={source} must name an installed package, got no package {package}")
    return os.path.join(next(iter(spec.submodule_search_locations)), folder)


def find_files(path: str, ignore: Sequence[str] = (), file_system: FileSystem = LOCAL_FILES) -> list[str]:
    """The files of trips that `path` (a file, a folder or a glob pattern) stands for, as `files_at` lists them.

    Raises:
        InputError: there is no file, or none that may hold trips.
    """
    files = files_at(path, ignore, file_system)
    if files is None:
        raise InputError(f"{path}: no such file or folder")
    if not files:
        raise InputError(f"{path}: must be or hold files that end in {', '.join(SUFFIXES)}, found none")
    return files


def check_counted_once(
    files: Sequence[str],
    open_file: OpenFile = open,
    size_of: Callable[[str], int] = lambda path: size_and_time(path)[0],
) -> None:
    """Raises InputError if two of the files hold the same trips: one name in two formats, or equal content."""
    check_names(files)
    by_size: dict[int, list[str]] = defaultdict(list)
    for path in files:
        by_size[size_of(path)].append(path)
    for size, paths in by_size.items():
        known: dict[str, str] = {}
        for path in paths if size and len(paths) > 1 else ():
            twin = known.setdefault(_sha256(path, open_file), path)
            if twin != path and _has_rows(path, open_file):
                raise InputError(
                    f"{twin} and {path} have equal content, which would count twice: remove one, or leave it out by "
                    f"city.ignore_files: [{os.path.basename(path)}]"
                )


def _sha256(path: str, open_file: OpenFile) -> str:
    digest = hashlib.sha256()
    with open_file(path, "rb") as file:
        while block := file.read(HASH_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _has_rows(path: str, open_file: OpenFile) -> bool:
    """Whether a file has more than a header; Spark writes equal parts without rows."""
    for place, kind in contents_of(path, open_file):
        if kind == "parquet":
            return count_rows(path, open_file) > 0
        with open_unpacked(place, open_file) as text:
            text.readline()
            if text.read(1):
                return True
    return False


def estimated_rows(files: Iterable[str]) -> int:
    """The approximate number of rows in local `files`: Parquet's own, CSV's by its size and first lines.

    A file that cannot be read counts 0 rows; ingest will refuse it.
    """
    rows = 0.0
    for path in files:
        with contextlib.suppress(OSError, InputError):
            for place, kind in contents_of(path, open):
                rows += count_rows(path, open) if kind == "parquet" else _estimated_rows_of_text(place, path)
    return round(rows)


def _estimated_rows_of_text(place: str, path: str) -> float:
    """Estimates by a sample; `path` is the file, `place` the text in it."""
    with open(path, "rb") as file:
        head = io.BytesIO(file.read(SAMPLE_BYTES))
    n_head, n_text = head.getbuffer().nbytes, member_bytes(place)
    sample = b""
    with contextlib.suppress(InputError), open_unpacked(place, open if n_text else lambda *_: head) as text:
        limit = MAX_RATIO * SAMPLE_BYTES if isinstance(text, UnpackedFile) else SAMPLE_BYTES
        while len(sample) < limit and (part := text.read(SAMPLE_BYTES)):  # InputError: the head of a packed file ends
            sample += part
        n_head = head.tell() or n_head
    share = len(sample) / n_text if n_text else n_head / os.path.getsize(path)
    return max(sample.count(b"\n") - 1, 0) / share if sample else 0.0


def plan_chunks(
    files: Iterable[str], profile: CityProfile, chunk_bytes: int | None = None, open_file: OpenFile = open
) -> list[Chunk]:
    """Cuts `files` into chunks and checks every header. Empty files among others are left out, with a warning.

    Raises:
        InputError: all files are empty, or one lacks a column or is not in the format that its name says.
    """
    files = list(files)
    planned: list[Chunk] = []
    empty = []
    for path in files:
        for place, kind in contents_of(path, open_file):
            if kind == "empty":
                empty.append(place)
                continue
            try:
                if kind == "parquet":
                    cuts = list(plan_parquet(place, profile, open_file))
                else:
                    cuts = list(plan_csv(place, profile, chunk_bytes or chunks.CHUNK_BYTES, open_file))
            except NoColumnsError as error:
                if len(files) == 1:
                    raise
                name = os.path.basename(path)
                hint = f"if it holds no trips, leave it out by city.ignore_files: [{name}]"
                raise InputError(f"{error}; {hint}") from error
            planned += [dataclasses.replace(cut, index=len(planned) + i) for i, cut in enumerate(cuts)]
    _check_empty(empty, len(files))
    return planned


def _check_empty(empty: Sequence[str], n_files: int) -> None:
    """Says which files are empty. Raises InputError if all are."""
    if not empty:
        return
    names = ", ".join(empty[:NAMED_FILES]) + ", ..." * (len(empty) > NAMED_FILES)
    if len(empty) >= n_files:
        raise InputError(f"{names}: must hold trips, got {'an empty file' if n_files == 1 else 'empty files only'}")
    logging.warning("empty_files=%d of %d files hold nothing and are left out: %s", len(empty), n_files, names)


def read_rows(chunk: Chunk, open_file: OpenFile = open) -> Iterator[Rows]:
    """The rows of a chunk, in pieces of bounded size."""
    read = read_parquet if chunk.is_parquet else read_csv
    for rows in read(chunk, open_file):
        yield _with_partitions(rows) if rows.binding.partitions else rows


def _with_partitions(rows: Rows) -> Rows:
    """The rows with the columns that the names of the file's folders give, as text."""
    positions = pa.array(np.zeros(len(rows.numbers), np.int64))
    columns = {name: pa.array([value], pa.string()).take(positions) for name, value in rows.binding.partitions.items()}
    return dataclasses.replace(rows, columns=rows.columns | columns)
