"""TFX's fileio with s3:// and minio:// addresses. Importing this module registers them.

TensorFlow reads gs:// by itself. For s3:// it needs tensorflow-io, whose last release (0.37.1) is for TensorFlow 2.16,
and it knows no minio://. pyarrow, which reads our Parquet files, has a client for S3.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from tfx.dsl.io import fileio, filesystem, filesystem_registry

from farebox.components.errors import InputError

__all__ = ["ENDPOINT", "SCHEMES", "fileio"]

SCHEMES = ("s3://", "minio://")
ENDPOINT = "AWS_ENDPOINT_URL"  # the variable that AWS's own tools read, too
BEFORE_TENSORFLOWS = 5  # TensorFlow's plugin has priority 10


@dataclass(frozen=True)
class Status:
    """Size in bytes and time in ns, named as `tf.io.gfile.stat` names them."""

    length: int
    mtime_nsec: int


class S3Files(filesystem.Filesystem):
    """Objects whose keys share a beginning are a folder. A rename is a copy and a removal.

    Credentials come from where AWS's tools take them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a file, or a role.
    """

    SUPPORTED_SCHEMES = list(SCHEMES)

    @staticmethod
    def open(name: str, mode: str = "r") -> Any:
        with explained(name) as (files, key):
            stream = files.open_input_file(key) if "r" in mode else files.open_output_stream(key, compression=None)
        return stream if "b" in mode else io.TextIOWrapper(stream, encoding="utf-8")

    @staticmethod
    def copy(src: str, dst: str, overwrite: bool = False) -> None:
        if not overwrite and S3Files.exists(dst):
            raise OSError(f"{dst} exists already")
        with explained(src) as (files, key):
            files.copy_file(key, key_of(dst))

    @staticmethod
    def exists(path: str) -> bool:
        return str(info(path).type.name) != "NotFound"

    @staticmethod
    def isdir(path: str) -> bool:
        return str(info(path).type.name) == "Directory"

    @staticmethod
    def listdir(path: str) -> list[str]:
        return [os.path.basename(each.path) for each in children(path)]

    @staticmethod
    def glob(pattern: str) -> list[str]:
        """`*`, `?` and `[...]` match within a name."""
        scheme, *names = _parts(pattern)
        fixed = next((at for at, name in enumerate(names) if set(name) & set("*?[")), len(names))
        if fixed == len(names):
            return [pattern] if S3Files.exists(pattern) else []
        found = [scheme + "/".join(names[:fixed])]
        for name in names[fixed:]:
            listed = [(folder, S3Files.listdir(folder)) for folder in found if S3Files.isdir(folder)]
            found = [f"{folder}/{each}" for folder, inside in listed for each in inside if fnmatchcase(each, name)]
        return found

    @staticmethod
    def makedirs(path: str) -> None:
        """Does nothing: a store of objects has no folders to make."""

    mkdir = makedirs

    @staticmethod
    def remove(path: str) -> None:
        with explained(path) as (files, key):
            files.delete_file(key)

    @staticmethod
    def rename(src: str, dst: str, overwrite: bool = False) -> None:
        S3Files.copy(src, dst, overwrite)
        S3Files.remove(src)

    @staticmethod
    def rmtree(path: str) -> None:
        with explained(path) as (files, key):
            files.delete_dir(key)

    @staticmethod
    def stat(path: str) -> Status:
        found = info(path)
        if found.type.name == "NotFound":
            raise fileio.NotFoundError(path)
        return Status(found.size or 0, found.mtime_ns or 0)

    @staticmethod
    def walk(top: str, topdown: bool = True, onerror: Any = None) -> Iterator[tuple[str, list[str], list[str]]]:  # noqa: ARG004 - TFX's signature
        inside = children(top)
        folders = [os.path.basename(each.path) for each in inside if each.type.name == "Directory"]
        yield top, folders, [os.path.basename(each.path) for each in inside if each.type.name == "File"]
        for folder in folders:
            yield from S3Files.walk(f"{top.rstrip('/')}/{folder}")


def info(path: str) -> Any:
    """pyarrow's FileInfo of an address; its type is NotFound if nothing is there."""
    with explained(path) as (files, key):
        return files.get_file_info(key)


def children(path: str) -> list[Any]:
    """The FileInfos of what is directly below an address, sorted by name."""
    from pyarrow.fs import FileSelector

    with explained(path) as (files, key):
        below = files.get_file_info(FileSelector(key, allow_not_found=True))
    return sorted((each for each in below if os.path.basename(each.path)), key=lambda each: str(each.path))


@contextlib.contextmanager
def explained(path: str) -> Iterator[tuple[Any, str]]:
    """The client of an address and its key. Raises fileio.NotFoundError, and InputError if the store refuses."""
    client = store(_parts(path)[0], os.environ.get(f"{ENDPOINT}_S3") or os.environ.get(ENDPOINT))
    try:
        yield client, key_of(path)
    except FileNotFoundError as error:
        raise fileio.NotFoundError(path) from error
    except OSError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} must be an address that {ENDPOINT} and AWS's credentials open: {reason}") from error


@functools.cache
def store(scheme: str, endpoint: str | None) -> Any:
    """pyarrow's client of a store. Raises InputError for minio:// without an address of the store."""
    from pyarrow import fs

    if endpoint is None and scheme != "s3://":
        raise InputError(f"{ENDPOINT} must be set for {scheme} addresses, such as http://minio-service.kubeflow:9000")
    place = urlsplit(endpoint or "")
    options = {"scheme": place.scheme, "endpoint_override": place.netloc} if endpoint else {}
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return fs.S3FileSystem(**options, **({"region": region} if region else {}))


def key_of(path: str) -> str:
    """`BUCKET/KEY`, as pyarrow names an object."""
    return "/".join(_parts(path)[1:]).rstrip("/")


def _parts(path: str) -> list[str]:
    """The scheme, the bucket, and the names of the key."""
    scheme, separator, rest = path.partition("://")
    return [scheme + separator, *rest.split("/")]


filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(S3Files, priority=BEFORE_TENSORFLOWS)
