"""Settings of SpanWindow. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class WindowSettings:
    """The splits of a window of spans.

    by_time: of several spans the newest is all splits but the first, by hash of the row, and the older ones are the
        first. Otherwise each row stays in its split.
    most: the largest share of all rows that judge; of a newest span with more, the rows of its earlier pickups train.
    shares: of the splits but the first among the rows that judge. seed: of the hash.
    columns: the type of each column of the examples, in order. label: one of them.
    smallest, largest: bounds of labels.
    version: folder of the pushed version by whose predictions a step of the labels is measured (by_time only); None to
        move no label.
    """

    by_time: bool = False
    most: float = 1.0
    shares: tuple[int, ...] = (1, 1)
    seed: int = 0
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    label: str = "fare"
    smallest: float = 0.0
    largest: float = float("inf")
    version: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", tuple(self.shares))  # JSON has no tuples
        if self.by_time and (not self.columns or self.label not in self.columns):
            raise ValueError(f"columns={list(self.columns)} must hold the label={self.label} to split by time")
