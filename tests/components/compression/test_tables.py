"""The same rows from every kind of file, and what is wrong with one in a line."""

from __future__ import annotations

import decimal
import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from farebox.components.compression.rows import Input
from farebox.components.compression.tables import read_rows
from farebox.components.errors import InputError

N = 80
HEAD = "id,x[0],x[1],x[2],y"
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
    elif path.name.endswith(".csv.gz"):
        write(plain := path.with_suffix(""))
        path.write_bytes(gzip.compress(plain.read_bytes()))
    elif path.suffix:
        write_records(path, compression="GZIP" if path.suffix == ".gz" else "")
    else:  # as TFX writes a split
        path.mkdir()
        write_records(path / "data_tfrecord-00000-of-00001.gz", compression="GZIP")


@pytest.mark.parametrize("name", ["r.npz", "r.csv", "r.csv.gz", "r.parquet", "r.tfrecord", "r.gz", "Split-train"])
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
        ("r.tfrecord", "r.tfrecord: x must be numbers, got 2 to 3 of them a row"),
        ("r.parquet", "r.parquet: x must be numbers, got 2 to 3 of them a row"),
        ("r.csv", r"r.csv: columns x\[i\] must count from 0, got x\[1\], x\[3\]"),
        ("no.tfrecord", "no.tfrecord cannot be read: no records"),
        ("empty", "empty cannot be read: the folder has no files"),
    ):
        with pytest.raises(InputError, match=text) as caught:
            read_rows(tmp_path / name, "y", INPUTS)
        assert "\n" not in str(caught.value)


def test_columns_that_nobody_asked_for_may_be_anything(tmp_path):
    import tensorflow as tf

    np.savez(tmp_path / "r.npz", id=IDS, x=X, y=Y, notes=np.array([{"a": 1}] * N))
    uneven = [[1.0] * (i % 3) for i in range(N)]
    pa.parquet.write_table(pa.table({"id": IDS, "x": list(X), "y": Y, "notes": uneven}), tmp_path / "r.parquet")
    with tf.io.TFRecordWriter(str(tmp_path / "r.tfrecord")) as writer:
        for i in range(N):
            example = tf.train.Example()
            example.features.feature["id"].int64_list.value.append(int(IDS[i]))
            example.features.feature["x"].float_list.value.extend(X[i])
            example.features.feature["y"].float_list.value.append(Y[i])
            if i % 3 == 0:
                example.features.feature["notes"].float_list.value.extend(uneven[i + 1])
            writer.write(example.SerializeToString())
    for name in ("r.npz", "r.parquet", "r.tfrecord"):
        columns, labels = read_rows(tmp_path / name, "y", INPUTS)
        np.testing.assert_array_equal(columns["x"], X)
        np.testing.assert_array_equal(labels, Y)


def test_decimals_and_lists_of_lists_are_numbers(tmp_path):
    prices = [decimal.Decimal(i) / 2 for i in range(N)]
    images = [[[1.0, 2.0], [3.0, i]] for i in range(N)]
    pa.parquet.write_table(pa.table({"image": images, "y": prices}), tmp_path / "r.parquet")
    columns, labels = read_rows(tmp_path / "r.parquet", "y", (Input("image", (2, 2), "float32"),))
    np.testing.assert_array_equal(columns["image"], np.array(images, np.float32))
    np.testing.assert_array_equal(labels, Y)


def csv(*rows: str) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


@pytest.mark.parametrize(("name", "content", "text"), [
    ("no.npz", b"", "no.npz cannot be read: it is no .npz archive, which NumPy's savez writes"),
    ("no.npz", b"no archive", "no.npz cannot be read: it is no .npz archive"),
    ("twice.csv", csv("id,id,x[0],x[1],x[2],y", *["1,1,2,3,4,5"] * N), "columns must have different names, got id tw"),
    ("text.csv", csv(HEAD, *["1,2,3,4,5"] * N, "1,2,3,4,n/a?"), "y must be numbers, got 'n/a.' in row 80"),
    ("none.csv", csv(HEAD), "rows=0 must be at least 70"),
    ("large.csv", csv(HEAD, *["1,2,3,1e300,5"] * N), r"x must be float32 from -3.4e\+38 to 3.4e\+38, got 1e\+300"),
])  # fmt: skip
def test_what_is_wrong_with_a_file_is_one_line(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=text) as caught:
        read_rows(tmp_path / name, "y", INPUTS)
    assert "\n" not in str(caught.value)


def test_a_damaged_archive_is_one_line(tmp_path):
    np.savez(tmp_path / "r.npz", id=IDS, x=X, y=Y)
    content = bytearray((tmp_path / "r.npz").read_bytes())
    content[200:500] = bytes(300)
    (tmp_path / "r.npz").write_bytes(content)
    with pytest.raises(InputError, match="r.npz cannot be read: Bad CRC-32 for file 'id.npy'"):
        read_rows(tmp_path / "r.npz", "y", INPUTS)
