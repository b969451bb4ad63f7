"""Trips and examples for tests of live errors: encoded by TripExampleGen's own writer, priced as `fare_tflite` does."""

from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa

from farebox.components.trip_example_gen.records import tfrecords

SPLITS = ("train", "eval", "test")


def columns_of(settings, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Trips in the city's box, with the columns and types of TripExampleGen."""
    random, box = np.random.default_rng(seed), settings.city.box
    degrees = {"longitude": (box.west, box.east), "latitude": (box.south, box.north)}
    values = {f"{end}_{axis}": random.uniform(*degrees[axis], n) for end in ("pickup", "dropoff") for axis in degrees}
    values |= {"pickup_hour": random.integers(24, size=n), "pickup_weekday": np.full(n, 2)}
    values |= {"passenger_count": random.integers(1, 5, n), "fare": random.lognormal(2.5, 0.6, n)}
    columns = settings.city.example_columns
    return {name: np.asarray(values.get(name, np.zeros(n)), column.dtype) for name, column in columns.items()}


def write_examples(folder, columns) -> str:
    """An Examples artifact's folder, with a row in five in eval and in test."""
    place = np.arange(len(columns["fare"])) % 5
    for split, rows in zip(SPLITS, (place < 3, place == 3, place == 4), strict=True):
        (folder / f"Split-{split}").mkdir(parents=True)
        batch = pa.RecordBatch.from_pydict({name: values[rows] for name, values in columns.items()})
        shard = folder / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
        shard.write_bytes(gzip.compress(tfrecords(batch)))
    return str(folder)


def predicted(columns) -> np.ndarray:
    """The arithmetic of `fare_tflite`: see `_convert`."""
    return 2.5 - 0.1 * columns["pickup_longitude"] + columns["passenger_count"] + 0.5 * columns["pickup_hour"] + 0.5
