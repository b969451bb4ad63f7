"""Rows in files: `.npz`, CSV, Parquet and tf.Examples, as a network's inputs and labels."""

from __future__ import annotations

import collections
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from farebox.components.compression.rows import Array, Input, as_columns, check_numbers
from farebox.components.errors import InputError

LEAST_ROWS = 70
NUMBERED = re.compile(r"(.+)\[(\d+)\]")  # a column with one of an input's numbers
OP = re.compile(r"\{\{.*?\}\}|\[Op:.*")  # in messages of TensorFlow
GZIP = b"\x1f\x8b"
RECORDS = (".tfrecord", ".tfrecords", ".gz")  # and folders of such files
KINDS = ".npz, .csv, .csv.gz, .parquet, .tfrecord, .tfrecords, .gz (of tf.Examples) or a folder of tf.Examples"


def check_table(path: Path, name: str) -> None:
    """Raises InputError, which starts with `name`, if the path is no table that can be read."""
    is_known = path.is_dir() or (_kind(path) in (*READERS, *RECORDS) and path.is_file())
    if not is_known:
        raise InputError(f"{name}={path} must be a file that exists: {KINDS}")


def read_rows(path: Path, label: str, inputs: Sequence[Input]) -> tuple[dict[str, Array], Array]:
    """Returns the inputs by name, each of shape (n, ...), and labels of shape (n, ...).

    A column for each input; `NAME[0]`, `NAME[1]`, ... for one of several numbers, or in `.npz` an array of any shape,
    in Parquet a list, in tf.Examples a feature of several values. A network with one input takes all columns except the
    labels, in their order, if none has its name. Raises InputError.
    """
    table = read_table(path)
    names = [label] if label in table else label.split(",")
    for name in names:
        if name not in table:
            raise InputError(f"{path}: label={name} must be one of its columns, got {', '.join(table)}")
    parts = [check_numbers(str(path), name, table[name]) for name in names]
    labels = parts[0] if len(parts) == 1 else np.stack([part.reshape(-1) for part in parts], axis=1)
    if labels.ndim == 0 or len(labels) < LEAST_ROWS:
        raise InputError(f"{path}: rows={len(labels) if labels.ndim else 1} must be at least {LEAST_ROWS}")
    is_input = {name for each in inputs for name in (each.name, *each.other_names)}
    table = {name: values for name, values in table.items() if name not in names or name in is_input}
    if len(inputs) == 1 and inputs[0].name_in(table) is None and table:
        table = {inputs[0].name: _side_by_side(path, table, len(labels))}
    return as_columns(inputs, table, len(labels), str(path)), labels


def _side_by_side(path: Path, table: Mapping[str, Array], n_rows: int) -> Array:
    """All columns as one array: the only one as it is, several as numbers of a row."""
    columns = [check_numbers(str(path), name, values) for name, values in table.items()]
    if len(columns) == 1:
        return columns[0]
    for name, values in zip(table, columns, strict=True):
        if len(values) != n_rows:
            raise InputError(f"{path}: {name} must have {n_rows} rows, as the label has, got {len(values)}")
    return np.concatenate([values.reshape(n_rows, -1) for values in columns], axis=1)


def read_table(path: Path) -> dict[str, Array]:
    """Returns the file's columns by name. Raises InputError if it cannot be read."""
    import pyarrow as pa

    reader = READERS.get(_kind(path), _read_records) if path.is_file() else _read_records
    try:
        return _joined(path, reader(path))
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, pa.ArrowException) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read: {str(error).strip().splitlines()[0]}") from error


def _kind(path: Path) -> str:
    """The suffix that tells the reader; Arrow reads a packed CSV by its name."""
    return ".csv" if path.name.endswith((".csv.gz", ".csv.bz2")) else path.suffix


def _joined(path: Path, table: dict[str, Array]) -> dict[str, Array]:
    """The columns, those of the numbers of one input as one."""
    numbered: dict[str, dict[int, str]] = {}
    for column in table:
        if (match := NUMBERED.fullmatch(column)) and match[1] not in table:
            numbered.setdefault(match[1], {})[int(match[2])] = column
    for name, columns in numbered.items():
        if sorted(columns) != list(range(len(columns))):
            raise InputError(f"{path}: columns {name}[i] must count from 0, got {', '.join(columns.values())}")
        table[name] = np.stack([table.pop(columns[i]) for i in range(len(columns))], axis=1)
    return table


def _read_npz(path: Path) -> dict[str, Array]:
    """The arrays; one of objects, whose pickle may run code, stays unread."""
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no .npz archive, which NumPy's savez writes")
    with np.load(path) as archive:
        return {name: _member(archive, name) for name in archive.files}


def _member(archive: Any, name: str) -> Array:
    try:
        return np.asarray(archive[name])
    except ValueError:
        return np.zeros(0, object)


def _read_csv(path: Path) -> dict[str, Array]:
    import pyarrow.csv

    return _arrays(pyarrow.csv.read_csv(path))


def _read_parquet(path: Path) -> dict[str, Array]:
    import pyarrow.parquet

    from farebox.components.trip_example_gen.sources.safe_arrow import close_cve_2023_47248

    close_cve_2023_47248()
    with pyarrow.parquet.ParquetFile(path) as file:
        return _arrays(file.read())


def _arrays(table: Any) -> dict[str, Array]:
    twice = [name for name, count in collections.Counter(table.column_names).items() if count > 1]
    if twice:
        raise ValueError(f"columns must have different names, got {', '.join(twice)} twice")
    return {name: _array(table[name]) for name in table.column_names}


def _array(column: Any) -> Array:
    """A column of numbers, or of lists of equally many numbers; of objects if it is neither."""
    import pyarrow as pa

    if pa.types.is_decimal(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    return _stacked(column.to_numpy())


def _stacked(values: Array) -> Array:
    """Arrays of one shape as one array; anything else as it is."""
    if values.dtype != object or not all(isinstance(each, np.ndarray) for each in values):
        return values
    parts = [_stacked(each) for each in values]
    return np.stack(parts) if len({each.shape for each in parts}) == 1 else values


def _read_records(path: Path) -> dict[str, Array]:
    """The features of tf.Examples that are numbers, as the first one has them."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    parts = sorted(each for each in path.iterdir() if each.name[0] not in "._") if path.is_dir() else [path]
    files = [each for each in parts if each.is_file()]
    if not files:
        raise ValueError("the folder has no files")
    with files[0].open("rb") as file:
        compression = "GZIP" if file.read(2) == GZIP else ""
    records = tf.data.TFRecordDataset([str(each) for each in files], compression)
    try:
        texts = list(records.as_numpy_iterator())
        if not texts:
            raise ValueError("no records")
        spec = _spec(tf.train.Example.FromString(texts[0]))
        columns = tf.io.parse_example(texts, spec) if spec else {}
    except (tf.errors.OpError, DecodeError) as error:
        reason = OP.sub("", getattr(error, "message", str(error))).strip()
        raise ValueError(f"no tf.Examples of equal features: {reason}") from error
    return {name: _rows_of(values) for name, values in columns.items()}


def _spec(example: Any) -> dict[str, Any]:
    import tensorflow as tf

    types = {"int64_list": tf.int64, "float_list": tf.float32}
    kinds = {name: feature.WhichOneof("kind") for name, feature in sorted(example.features.feature.items())}
    return {name: tf.io.RaggedFeature(types[kind]) for name, kind in kinds.items() if kind in types}


def _rows_of(values: Any) -> Array:
    """A feature as numbers of shape (n,) or (n, width), or as rows of several widths, which are no numbers."""
    widths = np.unique(values.row_lengths().numpy())
    if len(widths) > 1:
        return np.array([*values.numpy(), None], object)[:-1]
    flat: Array = values.flat_values.numpy()
    return flat if widths[0] == 1 else flat.reshape(values.nrows(), widths[0])


READERS: dict[str, Callable[[Path], dict[str, Array]]] = {
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
