"""Files of trips, and their chunks; judging.py finds the trips in the rows of a chunk.

No TensorFlow, TFX or Beam here: `farebox evaluate` and `farebox doctor` read trips too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import importlib.util
import os
import zlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import chunks
from farebox.components.trip_example_gen.chunks import Chunk, OpenFile, Rows
from farebox.components.trip_example_gen.csv_files import plan_csv, read_csv
from farebox.components.trip_example_gen.parquet_files import plan_parquet, read_parquet
from farebox.components.trip_example_gen.profile import CityProfile

SUFFIXES = (".csv", ".csv.gz", ".parquet")
SAMPLE_BYTES = 1 << 20  # of a CSV file, to estimate its rows
MAX_RATIO = 64  # of a packed sample's text in memory to its bytes
GZIP = 16  # added to zlib's window size for a gzip header


def resolve_source(source: str) -> str:
    """The path of a city's own trips: `package:NAME/FOLDER` is found without importing the package."""
    if not source.startswith("package:"):
        return source
    package, _, folder = source.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"city.source={source} must name an installed package, got no package {package}")
    return os.path.join(next(iter(spec.submodule_search_locations)), folder)


def find_files(path: str) -> list[str]:
    """The files of trips that `path` (a file, a folder or a glob pattern) stands for, sorted.

    Raises:
        InputError: there is no file, or none that is CSV or Parquet.
    """
    if os.path.isdir(path):
        return pick_files(glob.glob(os.path.join(glob.escape(path), "*")), path)
    if os.path.exists(path):
        return pick_files([path], path)
    matches = glob.glob(path, recursive=True)
    if not matches:
        raise InputError(f"{path}: no such file or folder")
    return pick_files(matches, path)


def pick_files(matches: Iterable[str], where: str) -> list[str]:
    """The CSV and Parquet files among `matches`, sorted. Raises InputError, naming `where`, if there are none."""
    files = sorted(match for match in matches if match.lower().endswith(SUFFIXES))
    if not files:
        raise InputError(f"{where}: must be or hold files that end in {', '.join(SUFFIXES)}, found none")
    return files


def estimated_rows(files: Iterable[str]) -> int:
    """The approximate number of rows in local `files`: Parquet's own, CSV's by its size and first lines.

    A file that cannot be read counts 0 rows; ingest will refuse it.
    """
    rows = 0.0
    for path in files:
        with contextlib.suppress(OSError, EOFError, ValueError, zlib.error, pa.ArrowException):
            if path.lower().endswith(".parquet"):
                rows += pq.read_metadata(path).num_rows
                continue
            with open(path, "rb") as file:
                head = file.read(SAMPLE_BYTES)
            taken = len(head)
            if path.lower().endswith(".gz"):  # not GzipFile: how far it reads ahead depends on Python's version
                unpacking = zlib.decompressobj(zlib.MAX_WBITS | GZIP)
                head = unpacking.decompress(head, MAX_RATIO * SAMPLE_BYTES)
                taken -= len(unpacking.unused_data) + len(unpacking.unconsumed_tail)
            if head:
                rows += max(head.count(b"\n") - 1, 0) * os.path.getsize(path) / taken
    return round(rows)


def plan_chunks(
    files: Iterable[str], profile: CityProfile, chunk_bytes: int | None = None, open_file: OpenFile = open
) -> list[Chunk]:
    """Cuts `files` into chunks and checks every header.

    Raises:
        InputError: a file is empty, lacks a column, or is not in the format that its name says.
    """
    planned: list[Chunk] = []
    for path in files:
        if path.lower().endswith(".parquet"):
            cuts = plan_parquet(path, profile, open_file)
        else:
            cuts = plan_csv(path, profile, chunk_bytes or chunks.CHUNK_BYTES, open_file)
        for cut in cuts:
            planned.append(dataclasses.replace(cut, index=len(planned)))
    return planned


def read_rows(chunk: Chunk, open_file: OpenFile = open) -> Iterator[Rows]:
    """The rows of a chunk, in pieces of bounded size."""
    read = read_parquet if chunk.path.lower().endswith(".parquet") else read_csv
    yield from read(chunk, open_file)
