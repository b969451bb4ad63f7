"""The result of one pass over rows: their moments and a sample. NumPy only; both merge in any order."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.networks.splitmix64 import GOLDEN_GAMMA, splitmix64


class Moments:
    """Mean and covariance of rows seen in batches, float64; memory is (n_features, n_features).

    Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance": merging keeps precision where the
    textbook sum of squares cancels.
    """

    def __init__(self, n_features: int) -> None:
        self.rows = 0
        self.mean = np.zeros(n_features)
        self.scatter = np.zeros((n_features, n_features))

    def update(self, batch: npt.NDArray[Any]) -> None:
        """Adds rows of shape (n, n_features)."""
        if len(batch):
            batch = batch.astype(np.float64)
            mean = batch.mean(axis=0)
            centred = batch - mean
            self._add(len(batch), mean, centred.T @ centred)

    def merge(self, other: Moments) -> None:
        """Adds the rows of `other`."""
        if other.rows:
            self._add(other.rows, other.mean, other.scatter)

    def _add(self, rows: int, mean: npt.NDArray[Any], scatter: npt.NDArray[Any]) -> None:
        delta, total = mean - self.mean, self.rows + rows
        self.scatter += scatter + np.outer(delta, delta) * (self.rows * rows / total)
        self.mean += delta * (rows / total)
        self.rows = total

    @property
    def covariance(self) -> npt.NDArray[Any]:
        """Unbiased (n - 1) sample covariance, as scikit-learn's PCA."""
        return self.scatter / (self.rows - 1)

    @property
    def second_moment(self) -> npt.NDArray[Any]:
        """Mean outer product of the uncentered rows."""
        return self.scatter / self.rows + np.outer(self.mean, self.mean)


class Sample:
    """The `size` rows with the smallest hashes: a sample without replacement that does not depend on the order of rows.

    hashes (n,) uint64, rows (n, n_features) float32, labels (n,) float64; n is at most size.
    """

    def __init__(self, n_features: int, size: int) -> None:
        self.size = size
        self.hashes = np.empty(0, np.uint64)
        self.rows = np.empty((0, n_features), np.float32)
        self.labels = np.empty(0)

    def update(self, hashes: npt.NDArray[Any], rows: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
        """Adds rows, each with its hash and label."""
        if len(self.hashes) == self.size:
            wanted = hashes < self.hashes[-1]
            hashes, rows, labels = hashes[wanted], rows[wanted], labels[wanted]
        if not len(hashes):
            return
        hashes = np.concatenate([self.hashes, hashes])
        kept = np.argsort(hashes, kind="stable")[: self.size]
        self.hashes = hashes[kept]
        self.rows = np.concatenate([self.rows, rows.astype(np.float32)])[kept]
        self.labels = np.concatenate([self.labels, labels])[kept]


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows (n, n_features), their labels (n,) and hashes (n,)."""

    hashes: npt.NDArray[Any]
    rows: npt.NDArray[Any]
    labels: npt.NDArray[Any]


class Summary:
    """Moments and sample of the same rows."""

    def __init__(self, n_features: int, sample_rows: int) -> None:
        self.moments = Moments(n_features)
        self.sample = Sample(n_features, sample_rows)

    def update(self, batch: Batch) -> None:
        """Adds the rows of a batch."""
        self.moments.update(batch.rows)
        self.sample.update(batch.hashes, batch.rows, batch.labels)

    def merge(self, others: Iterable[Summary]) -> None:
        """Adds the rows of others."""
        for other in others:
            self.moments.merge(other.moments)
            self.sample.update(other.sample.hashes, other.sample.rows, other.sample.labels)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by name; `summary_of` reads them."""
        moments, sample = self.moments, self.sample
        return {
            "count": np.array(moments.rows),
            "mean": moments.mean,
            "scatter": moments.scatter,
            "size": np.array(sample.size),
            "hashes": sample.hashes,
            "rows": sample.rows,
            "labels": sample.labels,
        }


def summary_of(arrays: dict[str, npt.NDArray[Any]]) -> Summary:
    """The Summary that `Summary.arrays` came from."""
    summary = Summary(len(arrays["mean"]), int(arrays["size"]))
    summary.moments.rows = int(arrays["count"])
    summary.moments.mean, summary.moments.scatter = arrays["mean"], arrays["scatter"]
    summary.sample.update(arrays["hashes"], arrays["rows"], arrays["labels"])
    return summary


def position_hashes(seed: int, shard: str, first_row: int, n_rows: int) -> npt.NDArray[np.uint64]:
    """Hashes, shape (n_rows,), that depend on seed, shard and row number only: a stream per seed and shard."""
    start = int.from_bytes(hashlib.blake2b(f"{seed}/{shard}".encode(), digest_size=8).digest(), "big")
    steps = np.arange(first_row, first_row + n_rows, dtype=np.uint64)
    return splitmix64(np.array([start], np.uint64) + steps * GOLDEN_GAMMA)
