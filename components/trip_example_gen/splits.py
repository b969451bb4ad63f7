"""The split of each example: a hash of its values, so that equal trips share a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from farebox.components.networks.splitmix64 import splitmix64
from farebox.components.trip_example_gen.columns import PICKUP_ERA


def row_hashes(examples: pa.RecordBatch, seed: int = 0) -> npt.NDArray[np.uint64]:
    """A hash of each example, shape (n,).

    It depends on the example's values and the seed only, not on order, file or chunk. The era follows from the epoch
    and the city's settings, and is left out: a day added to the tariff's changes moves no trip.
    """
    hashes = np.full(examples.num_rows, seed, np.uint64)
    for name in (name for name in examples.schema.names if name != PICKUP_ERA):
        values = examples.column(examples.schema.get_field_index(name)).to_numpy(zero_copy_only=False)
        bits = values.view(np.uint32) if values.dtype == np.float32 else values.view(np.uint64)
        hashes = splitmix64(hashes ^ bits.astype(np.uint64))
    return hashes


def assign_splits(examples: pa.RecordBatch, buckets: Sequence[int], seed: int = 0) -> npt.NDArray[np.int64]:
    """The split of each example, shape (n,), in 0..len(buckets)-1, drawn by `row_hashes` in proportion to `buckets`."""
    return splits_of(row_hashes(examples, seed), buckets)


def splits_of(hashes: npt.NDArray[np.uint64], buckets: Sequence[int]) -> npt.NDArray[np.int64]:
    """The split of each row by its hash, as in `assign_splits`."""
    edges = np.cumsum(buckets)
    return np.searchsorted(edges, hashes % np.uint64(edges[-1]), side="right")
