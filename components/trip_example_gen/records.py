"""Rows as TFRecords of serialized tf.train.Examples, whole columns at a time.

Protocol Buffers, "Encoding"; TensorFlow, "TFRecord and tf.train.Example". Every example has the same features with one
number each: rows whose integers have the same widths in bytes differ in the bytes of their numbers only.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import google_crc32c
import numpy as np
import numpy.typing as npt
import pyarrow as pa

VARINT_BOUNDS = np.array(
    [1 << 7 * n for n in range(1, 10)], np.uint64
)  # a varint from one of these on has one byte more
FLOAT_BYTES = 4
EXAMPLE_FEATURES = ENTRY = KEY = LIST_VALUES = b"\x0a"  # field 1, length-delimited
ENTRY_VALUE = FLOAT_LIST = b"\x12"  # field 2
INT64_LIST = b"\x1a"  # field 3
HEADER_BYTES, FOOTER_BYTES = 12, 4  # the data's length and its checksum; the data's checksum

Octets = npt.NDArray[np.uint8]


def tfrecords(rows: pa.RecordBatch) -> bytes:
    """The rows' records, sorted by the widths of their integers in bytes, otherwise in order.

    rows: columns of float32 and int64 without nulls.
    """
    columns = {name: rows.column(i).to_numpy() for i, name in enumerate(rows.schema.names)}
    bits = {name: values.view(np.uint64) for name, values in columns.items() if values.dtype == np.int64}
    sizes = {name: np.searchsorted(VARINT_BOUNDS, values, side="right") + 1 for name, values in bits.items()}
    layouts = np.zeros(rows.num_rows, np.int64)
    for size in sizes.values():
        layouts = layouts * (len(VARINT_BOUNDS) + 2) + size
    parts = []
    for layout in np.unique(layouts):
        places = np.flatnonzero(layouts == layout)
        widths = {name: int(sizes[name][places[0]]) if name in sizes else FLOAT_BYTES for name in columns}
        values = {
            name: _varints(bits[name][places], widths[name]) if name in bits else _floats(column[places])
            for name, column in columns.items()
        }
        parts.append(_records(values, {name: FLOAT_LIST if name not in bits else INT64_LIST for name in columns}))
    return b"".join(parts)


def _records(values: dict[str, Octets], lists: dict[str, bytes]) -> bytes:
    """Records of one layout.

    values: the bytes of each feature's number, uint8 of shape (n, width). lists: the field of each feature's list.
    """
    template, places = _template({name: octets.shape[1] for name, octets in values.items()}, lists)
    n_rows = len(next(iter(values.values())))
    length = len(template).to_bytes(8, "little")
    header = length + _masked([google_crc32c.value(length)]).tobytes()
    record = header + template + bytes(FOOTER_BYTES)
    rows = np.frombuffer(bytearray(record) * n_rows, np.uint8).reshape(n_rows, len(record))
    for name, octets in values.items():
        first = HEADER_BYTES + places[name]
        rows[:, first : first + octets.shape[1]] = octets
    checksums = np.full(n_rows, google_crc32c.value(template), np.uint32)
    for name, octets in values.items():
        for i in range(octets.shape[1]):
            checksums ^= _flips(len(template) - places[name] - i - 1)[octets[:, i]]
    rows[:, -FOOTER_BYTES:] = _masked(checksums).view(np.uint8).reshape(n_rows, FOOTER_BYTES)
    return rows.tobytes()


@functools.cache
def _flips(n_after: int) -> npt.NDArray[np.uint32]:
    """XOR of CRC-32C before and after a zero byte, `n_after` bytes before the end, becomes each byte, shape (256,).

    A CRC is affine over GF(2), so the other bytes do not matter (Peterson and Brown, "Cyclic Codes for Error
    Detection", 1961): a row's CRC is the template's and a table look-up per byte.
    """
    checksums = [google_crc32c.value(bytes([octet]) + bytes(n_after)) for octet in range(256)]
    return np.array(checksums, np.uint32) ^ np.uint32(checksums[0])


def _template(widths: dict[str, int], lists: dict[str, bytes]) -> tuple[bytes, dict[str, int]]:
    """An example whose numbers are zero bytes, and the first byte of each number."""
    features, ends = b"", {}
    for name, width in widths.items():
        feature = _field(lists[name], _field(LIST_VALUES, bytes(width)))
        features += _field(ENTRY, _field(KEY, name.encode()) + _field(ENTRY_VALUE, feature))
        ends[name] = len(features)
    example = _field(EXAMPLE_FEATURES, features)
    before = len(example) - len(features)
    return example, {name: before + end - widths[name] for name, end in ends.items()}


def _field(tag: bytes, content: bytes) -> bytes:
    size = np.array([len(content)], np.uint64)
    return tag + _varints(size, int(np.searchsorted(VARINT_BOUNDS, size, side="right")[0]) + 1).tobytes() + content


def _varints(values: npt.NDArray[np.uint64], width: int) -> Octets:
    """uint8 of shape (n, width): seven bits a byte, lowest first; all but the last have the eighth bit set."""
    shifts = np.arange(0, 7 * width, 7, dtype=np.uint64)
    groups = (values[:, None] >> shifts) & np.uint64(0x7F)
    groups[:, :-1] |= np.uint64(0x80)
    return groups.astype(np.uint8)


def _floats(values: npt.NDArray[np.float32]) -> Octets:
    return np.ascontiguousarray(values, "<f4").view(np.uint8).reshape(len(values), FLOAT_BYTES)


def _masked(checksums: Sequence[int] | npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """CRC-32C as TFRecord stores it: rotated right by 15 bits, plus a constant; little-endian uint32."""
    crc = np.asarray(checksums, np.uint64)
    rotated = ((crc >> np.uint64(15)) | (crc << np.uint64(17))) & np.uint64(0xFFFFFFFF)
    return ((rotated + np.uint64(0xA282EAD8)) & np.uint64(0xFFFFFFFF)).astype("<u4")
