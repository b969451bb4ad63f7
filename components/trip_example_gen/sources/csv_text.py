"""The text of a CSV file as UTF-8: its encoding, and where a line is not in it."""

from __future__ import annotations

import codecs
import functools
from typing import Any

import numpy as np

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.values.dialect import CsvDialect

UTF_8 = "utf-8"
LF, CR = 10, 13
# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, UTF_8), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_ASCII = bytes(range(128))
_TRAILING = b"\\|^~"  # bytes that end a character in some encodings of East Asia
READ_BYTES = 1 << 20


def encoding_of(head: bytes, dialect: CsvDialect) -> str:
    """The encoding of a file by its byte order mark or, if it has none, by its dialect; else UTF-8."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    return codecs.lookup((dialect.encoding or UTF_8).removesuffix("-sig")).name


@functools.cache
def keeps_ascii(encoding: str) -> bool:
    """Whether a byte below 128 is always that ASCII character, so that bytes can be cut at line ends and separators."""
    try:
        return _ASCII.decode(encoding) == _ASCII.decode("ascii") and all(
            bytes([lead, byte]).decode(encoding, "replace").endswith(chr(byte))
            for lead in range(128, 256)
            for byte in _TRAILING
        )
    except UnicodeError:
        return False


def count_lines(block: bytes, end: int | None = None) -> int:
    """The number of line ends, LF, CRLF or CR, before byte `end`, which is not inside a CRLF."""
    octets = np.frombuffer(block, np.uint8)[:end]
    n_lines = int(np.count_nonzero(octets == LF))  # several times as fast as bytes.count
    if block.find(b"\r", 0, end) < 0:
        return n_lines
    is_return = octets == CR
    return n_lines + int(np.count_nonzero(is_return) - np.count_nonzero(is_return[:-1] & (octets[1:] == LF)))


def to_utf8(block: bytes, encoding: str, path: str, line: int) -> bytes:
    """A block that begins at a line as UTF-8; one that is named UTF-8 is not checked.

    Raises:
        InputError: the block is not in its encoding.
    """
    if encoding == UTF_8 or block.isascii():
        return block
    try:
        return block.decode(encoding).encode(UTF_8)
    except UnicodeError as error:
        raise not_text(path, line + count_lines(block[: _start(error)]), encoding, error) from error


def not_text(path: str, line: int, encoding: str, error: UnicodeError) -> InputError:
    """The error of a line that is not in its encoding."""
    octet = f": byte 0x{error.object[error.start]:02x}" if isinstance(error, UnicodeDecodeError) else ""
    return InputError(
        f"{path}: line {line} is not {encoding.upper()} text{octet}; city.csv.encoding must be the file's encoding, "
        "such as latin-1"
    )


def _start(error: UnicodeError) -> int:
    return error.start if isinstance(error, (UnicodeDecodeError, UnicodeEncodeError)) else 0


class Utf8Stream:
    """A file of another encoding as UTF-8, read from its beginning, of which `head` is read already."""

    def __init__(self, file: Any, head: bytes, encoding: str, path: str) -> None:
        self._file, self._head, self._path = file, head, path
        self._encoding, self._line, self._rest = encoding, 1, b""
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._is_over = False

    def read(self, size: int) -> bytes:
        """At least `size` bytes, unless the file ends before."""
        while len(self._rest) < size and not self._is_over:
            block, self._head = self._head or self._file.read(READ_BYTES), b""
            self._is_over = not block
            self._rest += self._decode(block)
        text, self._rest = self._rest, b""
        return text

    def _decode(self, block: bytes) -> bytes:
        state = self._decoder.getstate()
        try:
            text = self._decoder.decode(block, final=not block).encode(UTF_8)
        except UnicodeError as error:
            whole = error.object if isinstance(error, UnicodeDecodeError) else b""
            self._decoder.setstate((b"", state[1]))
            before = self._decoder.decode(whole[: _start(error)]).encode(UTF_8, "replace")
            raise not_text(self._path, self._line + count_lines(before), self._encoding, error) from error
        self._line += count_lines(text)
        return text
