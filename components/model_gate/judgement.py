"""The record that ModelGate hands on, judgement.json. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from farebox.components.errors import Check

JUDGEMENT_FILE = "judgement.json"


@dataclasses.dataclass(frozen=True)
class LastBlessed:
    """The last blessed model, measured on the same rows: SHA-256 of its file, and its metrics by name."""

    sha256: str | None
    metrics: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class SliceErrors:
    """Number of rows and errors of the shipped file in one slice, such as `pickup_hour=8`; in the label's unit.

    coverage: share of labels in their ranges; range_width: mean width of these; None for a file without bands.
    intervals (lower, upper; 95 %): of RMSE, MAE, bias and coverage, by name.
    """

    slice: str
    rows: int
    rmse: float
    mae: float
    bias: float
    p95_absolute_error: float
    coverage: float | None = None
    range_width: float | None = None
    intervals: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SliceErrors:
        """Reads the fields from JSON. Raises TypeError for a missing or an unknown key."""
        return cls(**{**content, "intervals": intervals_from_json(content.get("intervals", {}))})


@dataclasses.dataclass(frozen=True)
class Judgement:
    """ModelGate's measurements of the shipped file on the test split, and its checks; fields are the keys of the file.

    sha256: of the file. metrics, intervals (lower, upper; 95 %): by name, in the label's unit. baseline: None without a
    blessed model. yardsticks: RMSE by name; yardstick_intervals: theirs, at 95 %. ratio: RMSE over the no-embedding
    DNN's. yardstick_ratios: (value, lower, upper; 95 %) of RMSE over each yardstick's on the same trips.
    spans: numbers of the spans in the data, empty without spans.
    """

    sha256: str | None
    rows: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    baseline: LastBlessed | None
    slices: tuple[SliceErrors, ...]
    yardsticks: Mapping[str, float]
    checks: tuple[Check, ...]
    ratio: float
    spans: tuple[int, ...]
    yardstick_intervals: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    yardstick_ratios: Mapping[str, tuple[float, float, float]] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Judgement:
        """Reads what `to_json` returns. Raises TypeError for a missing or an unknown key."""
        return cls(**{
            **content,
            "intervals": intervals_from_json(content["intervals"]),
            "baseline": LastBlessed(**content["baseline"]) if content["baseline"] else None,
            "slices": tuple(SliceErrors.from_json(errors) for errors in content["slices"]),
            "checks": tuple(Check(**check) for check in content["checks"]),
            "spans": tuple(content["spans"]),
            "yardstick_intervals": intervals_from_json(content.get("yardstick_intervals", {})),
            "yardstick_ratios": ratios_from_json(content.get("yardstick_ratios", {})),
        })  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The content of judgement.json."""
        return dataclasses.asdict(self)


def intervals_from_json(content: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """(lower, upper) by metric from JSON, where a pair is a list."""
    return {name: (lower, upper) for name, (lower, upper) in content.items()}


def ratios_from_json(content: Mapping[str, Any]) -> dict[str, tuple[float, float, float]]:
    """(value, lower, upper) by yardstick from JSON, where they are a list."""
    return {name: (value, lower, upper) for name, (value, lower, upper) in content.items()}
