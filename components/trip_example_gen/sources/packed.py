"""Packed files of trips as streams: gzip, zip, bzip2 and Zstandard, recognized by their first bytes, not by name.

At most what a reader asks for is unpacked at a time. A member of an archive has the path `zip://MEMBER::ARCHIVE`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Literal, cast

import pyarrow as pa

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.sources.chunks import OpenFile

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
PACKED_SUFFIXES = (".gz", ".zip", ".bz2", ".zst")
PARQUET = b"PAR1"
GZIP, ZIP, ZSTD = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06"), b"\x28\xb5\x2f\xfd"
BZIP2, BZIP2_BLOCKS = b"BZh", (b"1AY&SY", b"\x17rE8P\x90")
FOREIGN = {
    b"\xfd7zXZ\x00": "xz", b"7z\xbc\xaf'\x1c": "7-Zip", b"\x04\x22\x4d\x18": "lz4", b"Rar!\x1a\x07": "RAR",
    b"Obj\x01": "Avro", b"ARROW1": "Arrow", b"SQLite format 3": "SQLite",
}  # fmt: skip
HEAD_BYTES = 16
TAR_MARK, TAR_MARK_AT = b"ustar", 257
BUFFER_BYTES = 1 << 17
MEMBER, OF = "zip://", "::"

FileKind = Literal["empty", "parquet", "text"]


class UnpackedFile(io.BufferedReader):
    """The bytes in a packed file, which can be read once, from the beginning."""


class SeekableFile(io.RawIOBase):
    """A file object of TFX as Python's and Arrow's readers expect one; only the bytes that are asked for are read."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        """See io.IOBase."""
        return True

    def seekable(self) -> bool:
        """See io.IOBase."""
        return True

    def tell(self) -> int:
        """See io.IOBase."""
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See io.IOBase."""
        self._file.seek(offset, whence)
        return self.tell()

    def read(self, size: int | None = -1) -> bytes:
        """See io.RawIOBase."""
        block: bytes = self._file.read(-1 if size is None else size)
        return block

    def readinto(self, buffer: Any) -> int:
        """See io.RawIOBase."""
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """See io.IOBase."""
        if not self.closed:
            self._file.close()
        super().close()


class _Unpacking(io.RawIOBase):
    def __init__(self, path: str, stream: Any, packed: Any) -> None:
        self._path, self._stream, self._packed = path, stream, packed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = _unpacking(self._path, lambda: self._stream.read(len(buffer)))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._packed.close()
        super().close()


def contents_of(path: str, open_file: OpenFile) -> list[tuple[str, FileKind]]:
    """The path and kind of a file by its first bytes or, of a zip archive, of its text files or its only file.

    `.parquet` files are Parquet, whatever their content.

    Raises:
        InputError: an archive holds no text, or a file cannot be unpacked.
    """
    with open_file(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    packing = _packing_of(head)
    if packing is None:
        if head and (head.startswith(PARQUET) or path.lower().endswith(".parquet")):
            return [(path, "parquet")]
        return [(path, "text" if head else "empty")]
    places = _members(path, open_file) if packing == "zip" else [path]
    return [(place, _kind_inside(place, open_file)) for place in places]


def _kind_inside(path: str, open_file: OpenFile) -> FileKind:
    with open_unpacked(path, open_file) as text:
        return "text" if text.peek(1) else "empty"


def _members(path: str, open_file: OpenFile) -> list[str]:
    with seekable(open_file(path, "rb")) as file:
        archive = _unpacking(path, lambda: zipfile.ZipFile(file))
        files = [each.filename for each in archive.infolist() if not each.is_dir() and not _is_hidden(each.filename)]
    texts = files if len(files) == 1 else [name for name in files if name.lower().endswith(TEXT_SUFFIXES)]
    if not texts:
        raise InputError(f"{path}: a zip must hold files that end in {', '.join(TEXT_SUFFIXES)}, found none")
    return [f"{MEMBER}{name}{OF}{path}" for name in sorted(texts)]


def member_bytes(path: str) -> int | None:
    """The size of the text in an archive on this machine by the archive's directory; None if it is no archive."""
    archive, member = _archive_and_member(path)
    if not member:
        return None
    with zipfile.ZipFile(archive) as file:
        return file.getinfo(member).file_size


def text_name(path: str) -> str:
    """The name of the text in a packed file or an archive, such as `trips.tsv` of `trips.tsv.gz`; else the file's."""
    archive, member = _archive_and_member(path)
    name = os.path.basename(member or archive)
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in PACKED_SUFFIXES else name


def seekable(file: Any) -> BinaryIO:
    """The file itself if Python opened it, else TFX's as Python's readers expect one."""
    return file if isinstance(file, io.IOBase) else cast(BinaryIO, SeekableFile(file))  # type: ignore[return-value]


def open_unpacked(path: str, open_file: OpenFile) -> Any:
    """The file as `open_file` opens it or, if it is packed, an UnpackedFile.

    Raises:
        InputError: now, or when it is read: the file cannot be unpacked, or does not hold text.
    """
    place, member = _archive_and_member(path)
    file = open_file(place, "rb")
    head = file.read(HEAD_BYTES)
    file.seek(0)
    packing = _packing_of(head)
    if packing is None:
        _check_foreign(head, path)
        return file
    packed = seekable(file)
    stream = _unpacking(path, lambda: _UNPACKERS[packing](packed, member))
    unpacked = UnpackedFile(cast(io.RawIOBase, _Unpacking(path, stream, packed)), BUFFER_BYTES)
    inside = unpacked.peek(TAR_MARK_AT + len(TAR_MARK))
    _check_foreign(inside, path)
    nested = "Parquet" if inside.startswith(PARQUET) else _packing_of(inside[:HEAD_BYTES])
    nested = "tar" if inside[TAR_MARK_AT:].startswith(TAR_MARK) else nested
    if nested:
        raise InputError(f"{path}: a packed file must hold text, got {nested} in {packing}: unpack it first")
    return unpacked


def _archive_and_member(path: str) -> tuple[str, str]:
    if not path.startswith(MEMBER):
        return path, ""
    member, _, archive = path.removeprefix(MEMBER).partition(OF)
    return archive, member


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _packing_of(head: bytes) -> str | None:
    if head.startswith(GZIP):
        return "gzip"
    if head.startswith(ZIP):
        return "zip"
    if head.startswith(BZIP2) and head[4:10] in BZIP2_BLOCKS:
        return "bzip2"
    return "zstd" if head.startswith(ZSTD) else None


def _check_foreign(head: bytes, path: str) -> None:
    for magic, name in FOREIGN.items():
        if head.startswith(magic):
            raise InputError(
                f"{path}: must be CSV, Parquet or CSV packed by gzip, zip, bzip2 or zstd, got {name}: convert it first"
            )


def _unpacking(path: str, work: Callable[[], Any]) -> Any:
    """The result of the work. Raises InputError if the packed file is damaged, encrypted or of an unknown method."""
    try:
        return work()
    except _FAULTS as error:
        raise InputError(f"{path}: cannot be unpacked: {' '.join(str(error).split())}") from error


_FAULTS = (
    EOFError, KeyError, OSError, RuntimeError, ValueError, lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def _open_zip(packed: Any, member: str) -> Any:
    return zipfile.ZipFile(packed).open(member)


def _open_zstd(packed: Any, _: str) -> Any:
    return pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd")


_UNPACKERS: dict[str, Callable[[Any, str], Any]] = {
    "gzip": lambda packed, _: gzip.GzipFile(fileobj=packed),
    "zip": _open_zip,
    "bzip2": lambda packed, _: bz2.BZ2File(packed),
    "zstd": _open_zstd,
}
