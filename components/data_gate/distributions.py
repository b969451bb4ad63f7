"""Distances between distributions of a feature, from TFDV's statistics. NumPy and SciPy; no TFX here.

Categorical features: the L-infinity distance of their values' shares, as in TFDV. Numeric features: the Jensen-Shannon
divergence over bins that do not cut a value in two. TFDV's divergence interpolates within the buckets of two histograms
with different edges, and is up to 0.17 bits between random halves of a file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import statistics_pb2

BINS = 10
MIN_QUANTILES = 50  # TFDV's default of 10 is too coarse: a bin's share would be off by half of it
CHANCE = 1e-4  # probability that equal data exceed the distance allowed for chance


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A feature's distribution over n rows: shares by value if it is categorical, else sorted quantiles."""

    n: int
    shares: dict[str, float] | None = None
    quantiles: npt.NDArray[np.float64] | None = None

    @property
    def is_categorical(self) -> bool:
        return self.shares is not None


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A value, or the numbers above `low` and up to `high`; its share of the rows now and before, as fractions."""

    now: float
    before: float
    value: str | None = None
    low: float = -math.inf
    high: float = math.inf

    def holds(self, value: str | float) -> bool:
        return str(value) == self.value if self.value is not None else self.low < float(value) <= self.high

    def __str__(self) -> str:
        if self.value is not None:
            return f"= {self.value}"
        if math.isinf(self.low):
            return f"up to {self.high:g}"
        return f"above {self.low:g}" if math.isinf(self.high) else f"in ({self.low:g}, {self.high:g}]"


@dataclasses.dataclass(frozen=True)
class Distance:
    """value: L-infinity or Jensen-Shannon. chance: exceeded by equal data with probability `CHANCE`.

    grown: the bucket whose share grew most.
    """

    measure: str
    value: float
    chance: float
    grown: Bucket


def read(serialized: bytes) -> statistics_pb2.DatasetFeatureStatistics:
    """The statistics of one split, as StatisticsGen writes them."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    return statistics_pb2.DatasetFeatureStatisticsList.FromString(serialized).datasets[0]


def distributions(statistics: statistics_pb2.DatasetFeatureStatistics) -> dict[str, Distribution]:
    """The distribution of each feature that has values.

    Raises ValueError if a numeric feature has too few quantiles.
    """
    by_feature = {}
    for feature in statistics.features:
        name = ".".join(feature.path.step) or feature.name
        kind = feature.WhichOneof("stats")
        n = getattr(feature, kind).common_stats.num_non_missing if kind else 0
        if kind == "string_stats" and n:
            buckets = feature.string_stats.rank_histogram.buckets
            total = sum(bucket.sample_count for bucket in buckets)
            by_feature[name] = Distribution(n, shares={bucket.label: bucket.sample_count / total for bucket in buckets})
        elif kind == "num_stats" and n:
            by_feature[name] = Distribution(n, quantiles=_quantiles(name, feature.num_stats))
    return by_feature


def _quantiles(name: str, stats: statistics_pb2.NumericStatistics) -> npt.NDArray[np.float64]:
    """The bucket edges of the quantiles histogram: equally likely values of the feature."""
    (buckets,) = (histogram.buckets for histogram in stats.histograms if histogram.type == histogram.QUANTILES)
    if len(buckets) < MIN_QUANTILES:
        raise ValueError(
            f"statistics of {name}: num_quantiles_histogram_buckets={len(buckets)} must be at least {MIN_QUANTILES}: "
            "give StatisticsGen stats_options=StatsOptions(num_quantiles_histogram_buckets=100)"
        )
    return np.array([buckets[0].low_value, *(bucket.high_value for bucket in buckets)])


def distance(now: Distribution, before: Distribution) -> Distance | None:
    """The distance; None if only one of the two is categorical."""
    rows = 1 / now.n + 1 / before.n
    if now.shares is not None and before.shares is not None:
        return _l_infinity(now.shares, before.shares, rows)
    if now.quantiles is not None and before.quantiles is not None:
        return _jensen_shannon(now.quantiles, before.quantiles, rows)
    return None


def _l_infinity(now: dict[str, float], before: dict[str, float], rows: float) -> Distance:
    """The largest difference of a value's shares; chance: normal approximation of a binomial share."""
    from scipy.stats import norm

    values = sorted(now.keys() | before.keys())
    p, q = (np.array([shares.get(value, 0.0) for value in values]) for shares in (now, before))
    widest, grown = int(np.argmax(np.abs(p - q))), int(np.argmax(p - q))
    pooled = (p[widest] + q[widest]) / 2
    chance = norm.isf(CHANCE / 2) * math.sqrt(pooled * (1 - pooled) * rows)
    return Distance(
        "L-infinity", float(abs(p - q)[widest]), float(chance), Bucket(float(p[grown]), float(q[grown]), values[grown])
    )


def _jensen_shannon(now: npt.NDArray[np.float64], before: npt.NDArray[np.float64], rows: float) -> Distance:
    """The divergence in bits (Lin 1991), over bins with edges at the deciles of both, so no value is cut in two.

    chance: JS is sum((p - q)^2 / (p + q)) / (4 ln 2) to second order, so between samples of n and m rows of one
    distribution 8 ln(2) JS / (1/n + 1/m) is chi-squared, with one degree of freedom less than there are bins.
    """
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import chi2

    edges = np.unique(np.quantile(np.concatenate([now, before]), np.arange(1, BINS) / BINS, method="inverted_cdf"))
    p, q = _masses(now, edges), _masses(before, edges)
    chance = chi2.isf(CHANCE, len(edges)) * rows / (8 * math.log(2))
    grown = int(np.argmax(p - q))
    ends: Sequence[float] = (-math.inf, *edges.tolist(), math.inf)
    bucket = Bucket(float(p[grown]), float(q[grown]), low=ends[grown], high=ends[grown + 1])
    return Distance("Jensen-Shannon", float(jensenshannon(p, q, base=2) ** 2), float(chance), bucket)


def _masses(quantiles: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shares up to the first edge, between edges (the upper one included), and above the last."""
    return np.bincount(np.searchsorted(edges, quantiles), minlength=len(edges) + 1) / len(quantiles)
