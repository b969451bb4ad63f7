"""A sketch of a set of rows: enough to tell how many of other rows are among them, in a few kilobytes.

It keeps the smallest hashes, as in Beyer et al. 2007, "On Synopses for Distinct-Value Estimation Under Multiset
Operations" (SIGMOD): of any two sets, the rows below the largest of these hashes are a random sample of both.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

SIZE = 512
LARGEST = 2**64 - 1


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

    def sample(self, hashes: npt.NDArray[np.uint64]) -> tuple[int, int]:
        """The size of a random sample of other rows, of these hashes, and how many of them are in the set."""
        bound = self.hashes[-1] if len(self.hashes) == SIZE else LARGEST
        sampled = hashes[hashes <= np.uint64(bound)]
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
