"""A split in memory: all of its rows, or a seeded sample of at most `max_rows`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Batch = tuple[Mapping[str, tf.Tensor], tf.Tensor]
Columns = dict[str, npt.NDArray[Any]]

_LABELS, _DRAW = "labels of the rows", "draw of the rows"  # beside columns that may have any plain name


@dataclasses.dataclass(frozen=True)
class Rows:
    """columns: by name, each of shape (n, width); labels of shape (n, ...). Iteration gives batches, in order."""

    columns: Columns
    labels: npt.NDArray[Any]
    batch_size: int

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Batch]:
        for first in range(0, len(self), self.batch_size):
            part = slice(first, first + self.batch_size)
            columns = {name: tf.constant(values[part]) for name, values in self.columns.items()}
            yield columns, tf.constant(self.labels[part])


def in_memory(batches: Iterable[Batch], max_rows: int | None = None, seed: int = 0) -> Rows:
    """All rows of the batches, or a uniform sample of max_rows, in their order; Rows are returned as they are.

    The sample is the rows with the smallest of seeded random numbers. At most 2 * max_rows rows and a batch are in
    memory at once. batch_size becomes the size of the largest batch. Raises ValueError if there are no rows.
    """
    if isinstance(batches, Rows):
        return batches
    random = np.random.default_rng(seed)
    kept: list[Columns] = []
    n_kept, batch_size = 0, 0
    for columns, labels in batches:
        batch = {name: np.asarray(values) for name, values in columns.items()}
        kept.append({**batch, _LABELS: np.asarray(labels), _DRAW: random.random(len(labels))})
        n_kept, batch_size = n_kept + len(labels), max(batch_size, len(labels))
        if max_rows and n_kept > 2 * max_rows:
            kept, n_kept = [_sample(kept, max_rows)], max_rows
    if not n_kept:
        raise ValueError("a split has no rows: nothing can be fitted")
    sample = _sample(kept, max_rows or n_kept)
    del sample[_DRAW]
    return Rows(sample, sample.pop(_LABELS), batch_size)


def _sample(batches: list[Columns], n: int) -> Columns:
    """The n rows with the smallest draws, in their order."""
    joined = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    if len(joined[_DRAW]) <= n:
        return joined
    chosen = np.sort(np.argpartition(joined[_DRAW], n)[:n])
    return {name: values[chosen] for name, values in joined.items()}
