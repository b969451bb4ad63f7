"""A sketch of a set of rows: enough to tell how many of other rows are among them, in a few kilobytes.

It keeps the smallest hashes, as in Beyer et al. 2007, "On Synopses for Distinct-Value Estimation Under Multiset
Operations" (SIGMOD): of any two sets, the rows below the largest of these hashes are a random sample of both.
"""

from __future__ import annotations

import base64
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

SIZE = 512
LARGEST = 2**64 - 1
MIN_COMMON = 8  # rows of a sample that two files share, below which it may be chance
REPEATED = 0.5  # share of a file's distinct rows that another file has, from which on the file is a copy


@dataclasses.dataclass(frozen=True)
class RowSketch:
    """The smallest `SIZE` hashes of a set of rows, sorted; all of a smaller set. seed: of the hashes."""

    seed: int
    hashes: tuple[int, ...] = ()

    @classmethod
    def of(cls, hashes: npt.NDArray[np.uint64], seed: int) -> RowSketch:
        """The sketch of rows with these `splits.row_hashes`."""
        distinct = np.unique(hashes)[:SIZE]
        return cls(seed, tuple(distinct.tolist()))

    @classmethod
    def union(cls, sketches: Iterable[RowSketch]) -> RowSketch | None:
        """The sketch of the rows of all; None of none, or if their seeds differ."""
        parts = list(sketches)
        if len({part.seed for part in parts}) != 1:
            return None
        everything = {each for part in parts for each in part.hashes}
        return cls(parts[0].seed, tuple(sorted(everything)[:SIZE]))

    @property
    def bound(self) -> int:
        """The hash up to which the sketch knows every row."""
        return self.hashes[-1] if len(self.hashes) == SIZE else LARGEST

    def sample(self, hashes: npt.NDArray[np.uint64]) -> tuple[int, int]:
        """The size of a random sample of other rows, of these hashes, and how many of them are in the set."""
        sampled = hashes[hashes <= np.uint64(self.bound)]
        return len(sampled), int(np.isin(sampled, np.array(self.hashes, np.uint64)).sum())

    def to_json(self) -> dict[str, Any]:
        """`seed`, and `smallest`: the hashes as base64 of little-endian uint64."""
        content = np.array(self.hashes, "<u8").tobytes()
        return {"seed": self.seed, "smallest": base64.b64encode(content).decode()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RowSketch:
        """Reads what `to_json` wrote. Raises ValueError for anything else."""
        try:
            hashes = np.frombuffer(base64.b64decode(content["smallest"], validate=True), "<u8")
            return cls(int(content["seed"]), tuple(hashes.tolist()))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a sketch of rows must have seed and smallest, got {str(content)[:60]}") from error


@dataclasses.dataclass(frozen=True)
class RepeatedRows:
    """Two files with the same rows. share: of the distinct rows of `file` that `other`, a file as large or larger, has,
    estimated from a sample."""

    file: str
    other: str
    share: float


def repeated_rows(sketches: Mapping[str, RowSketch]) -> list[RepeatedRows]:
    """The pairs of files of which one has at least `REPEATED` of the other's rows, by the sketches of their rows."""
    holders = defaultdict(list)
    for file, sketch in sorted(sketches.items()):
        for each in sketch.hashes:
            holders[each].append(file)
    common = Counter(pair for files in holders.values() for pair in combinations(files, 2))
    pairs = [_compared(*pair, sketches) for pair, n in sorted(common.items()) if n >= MIN_COMMON]
    return [pair for pair in pairs if pair.share >= REPEATED]


def _compared(first: str, second: str, sketches: Mapping[str, RowSketch]) -> RepeatedRows:
    """Compares the files' rows below the largest hash that both sketches reach."""
    bound = min(sketches[file].bound for file in (first, second))
    rows = {file: {each for each in sketches[file].hashes if each <= bound} for file in (first, second)}
    smaller, larger = sorted((first, second), key=lambda file: (len(rows[file]), file))
    return RepeatedRows(smaller, larger, len(rows[smaller] & rows[larger]) / len(rows[smaller]))
