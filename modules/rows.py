"""A split in memory: at most so many rows, a seeded sample where there are more."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from farebox.modules import columns


@dataclasses.dataclass(frozen=True)
class Rows:
    """columns: transformed features by name, each of shape (n, width); fares of shape (n,), float64."""

    columns: dict[str, np.ndarray]
    fares: np.ndarray

    def __len__(self) -> int:
        return len(self.fares)


def rmse(predicted: np.ndarray, fares: np.ndarray) -> float:
    """Root mean squared error, both of shape (n,), in the fares' unit."""
    return float(np.sqrt(np.mean((predicted - fares) ** 2)))


def read(batches: Iterable[tuple[dict[str, tf.Tensor], tf.Tensor]], max_rows: int, seed: int) -> Rows:
    """All rows, or those with the smallest of seeded random numbers (a uniform sample), in their order.

    At most 2 * max_rows rows and a batch are in memory at once. Raises ValueError where there is no row.
    """
    random = np.random.default_rng(seed)
    kept: list[dict[str, np.ndarray]] = []
    n_kept = 0
    for features, fare in batches:
        batch = {name: values.numpy() for name, values in features.items()}
        batch |= {columns.FARE: fare.numpy(), "draw": random.random(len(fare))}
        kept.append(batch)
        n_kept += len(fare)
        if n_kept > 2 * max_rows:
            kept = [_sample(kept, max_rows)]
            n_kept = max_rows
    if not n_kept:
        raise ValueError("a split has no rows: nothing can be fitted")
    found = _sample(kept, max_rows)
    del found["draw"]
    return Rows(found, found.pop(columns.FARE).astype(np.float64).reshape(-1))


def _sample(batches: list[dict[str, np.ndarray]], n: int) -> dict[str, np.ndarray]:
    """The n rows with the smallest draws, in their order."""
    joined = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    if len(joined["draw"]) <= n:
        return joined
    chosen = np.sort(np.argpartition(joined["draw"], n)[:n])
    return {name: values[chosen] for name, values in joined.items()}
