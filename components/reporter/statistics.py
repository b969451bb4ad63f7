"""Contents of the report about the data: StatisticsGen's numbers, and a histogram per feature. NumPy only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from tfx import types
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from farebox.components.data_gate.distributions import Distribution, distributions, read
from farebox.components.reporter.figures import LAST_ACCEPTED

STATISTICS_FILE = "FeatureStats.pb"  # tfx.components.statistics_gen.executor.DEFAULT_FILE_NAME, slow to import
BINS, MOST_VALUES, TAIL = 24, 30, 0.01  # TFDV gives hundredths: a smaller tail is a guess
TRAIN = "train"


def content(statistics: types.Artifact, baseline: types.Artifact | None) -> dict[str, Any]:
    """Rows by split, numbers by feature of train, and histograms of the splits and of the last accepted model's."""
    found = {split: dataset_of(statistics, split) for split in statistics.splits}
    by_split = {split: each for split, each in found.items() if each is not None}
    shown = {split: distributions(each) for split, each in by_split.items() if split != "eval"}
    if baseline is not None and (before := dataset_of(baseline, TRAIN)) is not None:
        shown[LAST_ACCEPTED] = distributions(before)
    train = by_split.get(TRAIN)
    return {
        "rows": {split: int(each.num_examples) for split, each in by_split.items()},
        "features": [numbers_of(feature) for feature in train.features] if train else [],
        "histograms": {name: histogram(name, shown) for name in shown.get(TRAIN, {})},
    }


def dataset_of(artifact: types.Artifact, split: str) -> Any:
    """A split's DatasetFeatureStatistics; None without the split, or if its file is gone."""
    if split not in artifact.splits:
        return None
    path = os.path.join(artifact_utils.get_split_uri([artifact], split), STATISTICS_FILE)
    if not fileio.exists(path):
        return None
    with fileio.open(path, "rb") as file:
        return read(file.read())


def numbers_of(feature: Any) -> dict[str, Any]:
    """Present and missing rows of a feature and, for numbers, mean, deviation and quartiles."""
    kind = feature.WhichOneof("stats")
    common = getattr(feature, kind).common_stats
    name = ".".join(feature.path.step) or feature.name
    numbers = {"name": name, "present": int(common.num_non_missing), "missing": int(common.num_missing)}
    if kind != "num_stats":
        return {**numbers, "values": int(feature.string_stats.unique)}
    stats = feature.num_stats
    return {**numbers, "mean": stats.mean, "std": stats.std_dev, "min": stats.min, "median": stats.median,
            "max": stats.max}  # fmt: skip


def histogram(name: str, by_part: Mapping[str, Mapping[str, Distribution]]) -> dict[str, Any]:
    """Shares by bin and part; bins are values, whole numbers, or equal widths between train's outermost hundredths.

    reach: the smallest and the largest number of all parts; the outermost bins hold what is beyond their edges.
    """
    parts = {part: each[name] for part, each in by_part.items() if name in each}
    train = parts[TRAIN]
    if train.shares is not None:
        values = sorted(train.shares, key=_as_number)[:MOST_VALUES]
        return {
            "values": values,
            "shares": {
                part: [round(each.shares.get(value, 0.0), 4) for value in values]
                for part, each in parts.items() if each.shares is not None
            },
        }  # fmt: skip
    if train.quantiles is None:
        return {"values": [], "shares": {}}
    edges, shares = _edges(train.quantiles), _between
    if whole := _whole_edges(train.quantiles):
        edges, shares = np.array(whole), _counted
    return {
        "edges": [float(f"{edge:.6g}") for edge in edges],
        "reach": [float(f"{end:.6g}") for end in _reach(parts)],
        "shares": {
            part: [round(share, 4) for share in shares(each.quantiles, edges)]
            for part, each in parts.items() if each.quantiles is not None
        },
    }  # fmt: skip


def _reach(parts: Mapping[str, Distribution]) -> tuple[float, float]:
    """The smallest and the largest number of the parts."""
    ends = [each.quantiles for each in parts.values() if each.quantiles is not None]
    return float(min(map(np.min, ends))), float(max(map(np.max, ends)))


def _edges(quantiles: Any) -> npt.NDArray[np.float64]:
    low, high = np.quantile(quantiles, [TAIL, 1 - TAIL])
    return np.asarray(np.linspace(low, high if high > low else low + 1, BINS + 1), np.float64)


def _whole_edges(quantiles: Any) -> list[float]:
    """Edges around each of a few whole numbers, such as hours; empty for other numbers."""
    low, high = float(np.min(quantiles)), float(np.max(quantiles))
    if high - low >= MOST_VALUES or not np.all(np.mod(quantiles, 1) == 0):
        return []
    return [low - 0.5 + step for step in range(round(high - low) + 2)]


def _counted(quantiles: Any, edges: npt.NDArray[np.float64]) -> list[float]:
    """Shares of the quantiles between the edges, to a hundredth; those outside go into the outermost bins."""
    inside = np.clip(quantiles, edges[0], edges[-1])
    shares: list[float] = (np.histogram(inside, edges)[0] / len(quantiles)).tolist()
    return shares


def _between(quantiles: Any, edges: npt.NDArray[np.float64]) -> list[float]:
    """Shares between the edges, by the distribution function that is linear between quantiles; the tails go into the
    outermost bins."""
    values, places = np.unique(quantiles, return_index=True)
    last = np.append(places[1:], len(quantiles)) - 1
    below = np.interp(edges, values, last / max(len(quantiles) - 1, 1), left=0.0, right=1.0)
    below[0], below[-1] = 0.0, 1.0
    shares: list[float] = np.diff(below).tolist()
    return shares


def _as_number(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value
