"""Writes FlatBuffers without repeats: equal records are one, and bytes that stand in the file already are pointed to.

A FlatBuffer may point to one place from many, and to any part of what was written before: readers follow offsets and
check bounds and alignment only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt

ALIGNMENT, NATURAL = 16, 8  # bytes: of constants, as the schema asks; of one number, which needs no more
LENGTH = 4  # bytes of a vector's length, before its content


class SharingBuilder(flatbuffers.Builder):
    """Writes vectors and strings only if their bytes stand nowhere yet, and small ones into the gaps of alignment.

    Byte vectors are constants and are aligned. A FlatBuffer is written from its end: places are distances from there.
    """

    def __init__(self, size: int = 1024) -> None:
        super().__init__(size)
        self._gaps: list[tuple[int, int]] = []  # the places of their ends and starts

    def write_constants(self, constants: Iterable[npt.NDArray[np.uint8]]) -> None:
        """Writes byte vectors, the longest first, which shorter ones may be parts of."""
        for each in sorted((np.asarray(values, np.uint8) for values in constants), key=len, reverse=True):
            self.CreateNumpyVector(each)

    def CreateNumpyVector(self, x: npt.NDArray[Any]) -> int:  # noqa: N802
        is_constant = x.dtype == np.uint8
        alignment = (ALIGNMENT if len(x) > NATURAL else NATURAL) if is_constant else max(x.itemsize, LENGTH)
        return self._vector(len(x), x.astype(x.dtype.newbyteorder("<")).tobytes(), alignment)

    def CreateString(self, s: Any, encoding: str = "utf-8", errors: str = "strict") -> int:  # noqa: N802
        text = s.encode(encoding, errors) if isinstance(s, str) else bytes(s)
        return self._vector(len(text), text + b"\0", LENGTH)

    def _vector(self, length: int, content: bytes, alignment: int) -> int:
        """The place of a vector whose content is aligned."""
        data = length.to_bytes(LENGTH, "little") + content
        return self._found(data, alignment) or self._in_gap(data, alignment) or self._added(data, alignment)

    def _found(self, data: bytes, alignment: int) -> int | None:
        """The place of bytes that stand already, outside of gaps, which may be written yet."""
        at = self.Bytes.find(data, self.head)
        while at >= 0:
            place = int(len(self.Bytes) - at)
            is_final = all(place <= end or place - len(data) >= start for end, start in self._gaps)
            if is_final and place % LENGTH == 0 and (place - LENGTH) % alignment == 0:
                return place
            at = self.Bytes.find(data, at + 1)
        return None

    def _in_gap(self, data: bytes, alignment: int) -> int | None:
        """Writes into the smallest gap that is large enough."""
        for end, start in sorted(self._gaps, key=lambda gap: gap[1] - gap[0]):
            place = start - (start - LENGTH) % alignment
            if place % LENGTH == 0 and place - len(data) >= end:
                at = len(self.Bytes) - place
                self.Bytes[at : at + len(data)] = data
                self._gaps.remove((end, start))
                self._gaps += [(end, place - len(data)), (place, start)]
                return place
        return None

    def _added(self, data: bytes, alignment: int) -> int:
        """Writes before all that is written."""
        end = self.Offset()
        self.Prep(LENGTH, len(data) - LENGTH)
        self.Prep(alignment, len(data) - LENGTH)
        self._gaps.append((end, self.Offset()))
        self.head -= len(data)
        self.Bytes[self.head : self.head + len(data)] = data
        return int(self.Offset())


class Shared:
    """An object that several others point to; it is packed once, with the first of them."""

    def __init__(self, record: Any) -> None:
        self._record = record
        self._offset: int | None = None

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802
        if self._offset is None:
            self._offset = self._record.Pack(builder)
        return self._offset


class Sharing:
    """Returns the same object for equal records."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Shared] = {}

    def __call__(self, record: Any) -> Any:
        if record is None or isinstance(record, Shared):
            return record
        return self._known.setdefault(content_of(record), Shared(record))


def content_of(record: Any) -> tuple[Any, ...]:
    """A key by which equal records are equal."""

    def key(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.dtype.str, value.tobytes()
        if isinstance(value, list):
            return tuple(key(each) for each in value)
        return value if isinstance(value, (int, float, bytes, type(None), Shared)) else content_of(value)

    return type(record), *(key(value) for _, value in sorted(vars(record).items()))
