"""A split in memory: at most so many rows, a seeded sample where there are more."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf

Batch = tuple[Mapping[str, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Rows:
    """columns: by name, each of shape (n, width); labels of shape (n, ...). Iteration gives batches, in order."""

    columns: dict[str, np.ndarray]
    labels: np.ndarray
    batch_size: int

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Batch]:
        for first in range(0, len(self), self.batch_size):
            part = slice(first, first + self.batch_size)
            columns = {name: tf.constant(values[part]) for name, values in self.columns.items()}
            yield columns, tf.constant(self.labels[part])


def in_memory(batches: Iterable[Batch], max_rows: int | None = None, seed: int = 0) -> Rows:
    """All rows of the batches, or those with the smallest of seeded random numbers (a uniform sample), in their order.

    At most 2 * max_rows rows and a batch are in memory at once. Raises ValueError where there is no row.
    """
    if isinstance(batches, Rows):
        return batches
    random = np.random.default_rng(seed)
    kept: list[dict[str, np.ndarray]] = []
    n_kept, batch_size = 0, 0
    for columns, labels in batches:
        batch = {name: np.asarray(values) for name, values in columns.items()}
        kept.append({**batch, _LABELS: np.asarray(labels), _DRAW: random.random(len(labels))})
        n_kept, batch_size = n_kept + len(labels), max(batch_size, len(labels))
        if max_rows and n_kept > 2 * max_rows:
            kept, n_kept = [_sample(kept, max_rows)], max_rows
    if not n_kept:
        raise ValueError("a split has no rows: nothing can be fitted")
    found = _sample(kept, max_rows or n_kept)
    del found[_DRAW]
    return Rows(found, found.pop(_LABELS), batch_size)


_LABELS, _DRAW = "labels of the rows", "draw of the rows"  # beside columns that may have any plain name


def _sample(batches: list[dict[str, np.ndarray]], n: int) -> dict[str, np.ndarray]:
    """The n rows with the smallest draws, in their order."""
    joined = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    if len(joined[_DRAW]) <= n:
        return joined
    chosen = np.sort(np.argpartition(joined[_DRAW], n)[:n])
    return {name: values[chosen] for name, values in joined.items()}
