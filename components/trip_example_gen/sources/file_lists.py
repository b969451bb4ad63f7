"""Which files of trips a path stands for: a file, a folder or a glob pattern, on this machine or in a bucket.

No TFX or TensorFlow: `farebox retrain` should not wait for their import. remote_files.py has the buckets.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import glob
import os
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence

from farebox.components.errors import InputError

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".gz", ".zip", ".bz2", ".zst")
# Hadoop's and Spark's parts may have no suffix; their content tells what they are.
PART = re.compile(r"part-[\w-]+")
NEVER_TRIPS = (".*", "_SUCCESS*", "_metadata*", "_common_metadata*", "_committed_*", "_started_*", "*.crc")
HIDDEN_FOLDERS = (".*", "_*")
FORMAT_SUFFIXES = re.compile(r"(?:\.(?:csv|tsv|txt|parquet|gz|zip|bz2|zst|snappy))+$", re.IGNORECASE)
PARTITION = re.compile(r"([^=/]+)=([^/]*)")
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"

Walk = Callable[[str], Iterable[tuple[str, list[str], list[str]]]]


def size_and_time(path: str) -> tuple[int, int]:
    """Bytes, and ns since 1970; zeros if the file has no status, such as a broken link, which ingest will refuse."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def walk(top: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yields as `os.walk` does; follows links to folders, and goes into each folder once."""
    seen: set[str] = set()
    for folder, folders, files in os.walk(top, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        yield folder, folders, files


@dataclasses.dataclass(frozen=True)
class FileSystem:
    """A file system, by default this machine's; `walk` and `size_and_time` as the functions of this module."""

    glob: Callable[[str], Iterable[str]] = glob.glob
    is_folder: Callable[[str], bool] = os.path.isdir
    exists: Callable[[str], bool] = os.path.exists
    size_and_time: Callable[[str], tuple[int, int]] = size_and_time
    walk: Walk = walk


LOCAL_FILES = FileSystem()


def files_at(path: str, ignore: Sequence[str] = (), file_system: FileSystem = LOCAL_FILES) -> list[str] | None:
    """The files at a path that may hold trips, sorted; those in a folder, however deep. None if nothing is there.

    ignore: patterns of names in folders and of matches of a glob pattern, as `city.ignore_files`.
    """
    if file_system.is_folder(path):
        return sorted(_in_folder(path, ignore, file_system))
    if file_system.exists(path):
        return [path] if _may_hold_trips(path) else []
    matches = list(_matches(path, file_system))
    if not matches:
        return None
    files: set[str] = set()
    for match in matches:
        if file_system.is_folder(match):
            if not _matches_any(os.path.basename(match.rstrip("/")), HIDDEN_FOLDERS):
                files.update(_in_folder(match, ignore, file_system))
        elif _is_wanted(match, ignore):
            files.add(match)
    return sorted(files)


def may_be_trips(path: str, ignore: Sequence[str] = (), file_system: FileSystem = LOCAL_FILES) -> bool:
    """Whether a path is a folder that is not hidden, or a file that may hold trips."""
    if file_system.is_folder(path):
        return not _matches_any(os.path.basename(path.rstrip("/")), (*HIDDEN_FOLDERS, *ignore))
    return _is_wanted(path, ignore)


def check_names(files: Iterable[str]) -> None:
    """Raises InputError if a folder has the same file in two formats, such as trips.csv and trips.parquet."""
    known: dict[str, str] = {}
    for path in files:
        stem = FORMAT_SUFFIXES.sub("", path)
        twin = known.setdefault(stem, path)
        if twin != path:
            raise InputError(
                f"{twin} and {path} seem to be the same trips in two formats, which would count twice: remove one, or "
                f"leave it out by city.ignore_files: [{os.path.basename(path)}]"
            )


def partitions_of(path: str) -> dict[str, str | None]:
    """The keys and values in the names of a file's folders, as Hive writes them: `year=2019/month=01/part-0.csv`."""
    pairs = (match for part in path.split("/")[:-1] if (match := PARTITION.fullmatch(part)))
    return {
        urllib.parse.unquote(pair[1]): None if pair[2] == NO_VALUE else urllib.parse.unquote(pair[2]) for pair in pairs
    }


def has_pattern(path: str) -> bool:
    """Whether a path has characters of a glob pattern; it may be a file's name all the same."""
    return glob.has_magic(path)


def split_pattern(path: str) -> tuple[str, str]:
    """The folder before the first part of a path that has a pattern, and the rest."""
    parts = path.split("/")
    first = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return "/".join(parts[:first]) or "/" * path.startswith("/"), "/".join(parts[first:])


def _in_folder(folder: str, ignore: Sequence[str], file_system: FileSystem) -> Iterator[str]:
    for path in _walked(folder, file_system):
        if _is_wanted(path, ignore):
            yield path


def _walked(folder: str, file_system: FileSystem) -> Iterator[str]:
    """The files in a folder, however deep, except in hidden folders."""
    for place, folders, files in file_system.walk(folder):
        folders[:] = [each for each in folders if not _matches_any(each.rstrip("/"), HIDDEN_FOLDERS)]
        yield from (f"{place.rstrip('/')}/{name}" for name in files)


def _matches(pattern: str, file_system: FileSystem) -> Iterator[str]:
    """The paths that match a glob pattern; `**` stands for any number of folders, which no bucket's glob knows."""
    if "**" not in pattern.split("/"):
        yield from (os.fsdecode(path) for path in file_system.glob(pattern))
        return
    base, rest = split_pattern(pattern)
    for path in _walked(base or ".", file_system):
        relative = path.removeprefix("./") if not base else path.removeprefix(base.rstrip("/") + "/")
        if _fits(relative.split("/"), rest.split("/")):
            yield relative if not base else path


def _fits(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_fits(parts[i:], patterns[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], patterns[0]) and _fits(parts[1:], patterns[1:])


def _is_wanted(path: str, ignore: Sequence[str]) -> bool:
    name = os.path.basename(path)
    return _may_hold_trips(path) and not _matches_any(name, NEVER_TRIPS) and not _matches_any(name, ignore)


def _may_hold_trips(path: str) -> bool:
    name = os.path.basename(path.rstrip("/"))
    return name.lower().endswith(SUFFIXES) or PART.fullmatch(name) is not None


def _matches_any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
