"""Records against TensorFlow: its reader checks lengths and checksums, its parser the examples."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farebox.components.trip_example_gen.records import tfrecords

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT32 = st.floats(width=32, allow_nan=False)


def read(content: bytes, folder) -> list[dict[str, float | int]]:
    """TensorFlow's reading of records: a number per feature. Raises if a length or a checksum is wrong."""
    import tensorflow as tf

    path = folder / "records"
    path.write_bytes(content)
    rows = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        (*lists,) = ((name, getattr(one, one.WhichOneof("kind")).value) for name, one in features.items())
        assert all(len(values) == 1 for _, values in lists)
        rows.append({name: values[0] for name, values in lists})
    return rows


def batch(floats: list[float], ids: list[int], counts: list[int]) -> pa.RecordBatch:
    columns = [pa.array(floats, pa.float32()), pa.array(ids, pa.int64()), pa.array(counts, pa.int64())]
    return pa.RecordBatch.from_arrays(columns, ["fare", "a rather long name of a column" * 5, "passenger_count"])


def by_value(rows: list[dict[str, float | int]]) -> list[tuple[float | int, ...]]:
    return sorted(tuple(row[name] for name in sorted(row)) for row in rows)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(FLOAT32, INT64, INT64), min_size=1, max_size=20))
def test_every_row_is_read_back(rows, tmp_path_factory):
    given_rows = batch(*map(list, zip(*rows, strict=True)))
    read_rows = read(tfrecords(given_rows), tmp_path_factory.mktemp("records"))
    assert by_value(read_rows) == by_value(given_rows.to_pylist())


@pytest.mark.parametrize("edge", [0, 127, 128, 16383, 16384, 2**35 - 1, 2**35, 2**63 - 1, -1, -(2**63)])
def test_integers_have_the_widths_of_protocol_buffers(edge, tmp_path):
    import tensorflow as tf

    content = tfrecords(batch([1.5], [edge], [3]))
    ((row),) = read(content, tmp_path)
    example = tf.train.Example()
    for name, value in row.items():
        kind = example.features.feature[name]
        (kind.float_list if name == "fare" else kind.int64_list).value.append(value)
    assert len(content) == 16 + example.ByteSize() and edge in row.values()


def test_rows_of_equal_widths_keep_their_order(tmp_path):
    """Rows of one byte come first, then rows of two."""
    rows = read(tfrecords(batch([0, 1, 2, 3], [5, 300, 6, 301], [1, 1, 1, 1])), tmp_path)
    assert [row["fare"] for row in rows] == [0, 2, 1, 3]


def test_no_rows_are_no_records():
    assert tfrecords(batch([], [], [])) == b""


def test_a_changed_byte_is_found(tmp_path):
    import tensorflow as tf

    content = bytearray(tfrecords(batch([1.0], [2], [3])))
    content[40] ^= 1
    with pytest.raises(tf.errors.DataLossError):
        read(bytes(content), tmp_path)
