"""Gzip files of TFRecords, one example a row: written as Arrow batches, and read again as such."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
from isal import isal_zlib

from farebox.components.files.buckets import fileio
from farebox.components.trip_example_gen.records import tfrecords

GZIP = 16  # added to zlib's window size for a gzip header
ENCODE_ROWS = 1 << 14  # at a time: an example takes about 300 bytes, and encoding makes a few copies
READ_ROWS = 1 << 15


class RecordFile:
    """A file of examples at work."""

    def __init__(self, path: str) -> None:
        self._file = fileio.open(path, "wb")
        self._gzip = isal_zlib.compressobj(1, wbits=isal_zlib.MAX_WBITS | GZIP)

    def write(self, examples: pa.RecordBatch) -> None:
        """Appends columns of float32 and int64 without nulls."""
        for start in range(0, examples.num_rows, ENCODE_ROWS):
            self._file.write(self._gzip.compress(tfrecords(examples.slice(start, ENCODE_ROWS))))

    def close(self) -> None:
        """Ends the file, which cannot be read before."""
        self._file.write(self._gzip.flush())
        self._file.close()


def read_records(files: Sequence[str], columns: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """Batches of the examples in files; columns: the type of each, `float32` or `int64`, in order."""
    import tensorflow as tf  # here: ingest's workers read no examples

    spec = {name: tf.io.FixedLenFeature((1,), tf.as_dtype(dtype)) for name, dtype in columns.items()}
    for records in tf.data.TFRecordDataset(list(files), compression_type="GZIP").batch(READ_ROWS):
        parsed = tf.io.parse_example(records, spec)
        yield pa.RecordBatch.from_pydict({name: pa.array(parsed[name].numpy().reshape(-1)) for name in columns})
