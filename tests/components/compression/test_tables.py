"""The same rows from every kind of file, and what is wrong with one in a line."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from farebox.components.compression.rows import Input
from farebox.components.compression.tables import read_rows
from farebox.components.errors import InputError

N = 80
INPUTS = (Input("id", (1,), "int64"), Input("x", (3,), "float32"))
IDS, X, Y = np.arange(N), np.arange(3 * N).reshape(N, 3) / 4, np.arange(N) / 2


def write_records(path, *, compression: str = "", last_width: int = 3) -> None:
    """tf.Examples with features id, x, y and a text, which is no input."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for i in range(N):
            width = last_width if i == N - 1 else 3
            example = tf.train.Example()
            example.features.feature["id"].int64_list.value.append(int(IDS[i]))
            example.features.feature["x"].float_list.value.extend(X[i][:width])
            example.features.feature["y"].float_list.value.append(Y[i])
            example.features.feature["text"].bytes_list.value.append(b"word")
            writer.write(example.SerializeToString())


def write(path) -> None:
    if path.suffix == ".npz":
        np.savez(path, id=IDS, x=X, y=Y)
    elif path.suffix == ".parquet":
        pa.parquet.write_table(pa.table({"id": IDS, "x": list(X), "y": Y}), path)
    elif path.suffix == ".csv":
        rows = [f"{i},{b},{a},{c},{y}" for i, (a, b, c), y in zip(IDS, X, Y, strict=True)]
        path.write_text("\n".join(["id,x[1],x[0],x[2],y", *rows]) + "\n")
    elif path.suffix:
        write_records(path, compression="GZIP" if path.suffix == ".gz" else "")
    else:  # as TFX writes a split
        path.mkdir()
        write_records(path / "data_tfrecord-00000-of-00001.gz", compression="GZIP")


@pytest.mark.parametrize("name", ["r.npz", "r.csv", "r.parquet", "r.tfrecord", "r.gz", "Split-train"])
def test_every_kind_of_file_has_the_same_rows(tmp_path, name):
    write(tmp_path / name)
    columns, labels = read_rows(tmp_path / name, "y", INPUTS)
    assert columns["id"].dtype == np.int64 and columns["x"].dtype == np.float32
    np.testing.assert_array_equal(columns["id"], IDS[:, None])
    np.testing.assert_array_equal(columns["x"], X)
    np.testing.assert_array_equal(labels, Y)


def test_rows_of_several_widths_are_refused_in_one_line(tmp_path):
    write_records(tmp_path / "r.tfrecord", last_width=2)
    pa.parquet.write_table(pa.table({"id": IDS, "x": [*X[:-1], X[-1][:2]], "y": Y}), tmp_path / "r.parquet")
    (tmp_path / "r.csv").write_text("id,x[1],x[3],y\n" + "1,2,3,4\n" * N)
    (tmp_path / "no.tfrecord").write_bytes(b"no records")
    (tmp_path / "empty").mkdir()
    for name, text in (
        ("r.tfrecord", "r.tfrecord cannot be read: no tf.Examples of equal features: .*x"),
        ("r.parquet", "r.parquet cannot be read: x must be lists of equally many numbers, got 2 to 3"),
        ("r.csv", r"r.csv: columns x\[i\] must count from 0, got x\[1\], x\[3\]"),
        ("no.tfrecord", "no.tfrecord cannot be read: no records"),
        ("empty", "empty cannot be read: the folder has no files"),
    ):
        with pytest.raises(InputError, match=text) as caught:
            read_rows(tmp_path / name, "y", INPUTS)
        assert "\n" not in str(caught.value)
