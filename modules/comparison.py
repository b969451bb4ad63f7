"""Errors of two models on the same trips, for all of them and by Evaluator's slices, and whether they differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from farebox.components.evaluator.group_sums import Sums
from farebox.components.evaluator.metrics import (
    BIAS,
    CONFIDENCE,
    COVERAGE,
    GROUPS,
    MAE,
    OVERALL,
    RMSE,
    Estimate,
    SliceKey,
    describe,
)
from farebox.components.tflite.bands import Bands
from farebox.modules import slicing
from farebox.modules.columns import MODEL_INPUTS
from farebox.modules.slices import band_names, rows_by_value

METRICS = (RMSE, MAE, BIAS, COVERAGE)

Better = Literal["A", "B", ""]
Column = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class ComparedSlice:
    """Two models on the trips of a slice, in the label's unit.

    a, b: each model's metrics; coverage is NaN for a model without ranges. difference: B minus A of RMSE on the same
    trips, with its interval by Evaluator's jackknife. better: the model with the lower RMSE if the interval leaves out
    zero.
    """

    slice: str
    rows: int
    a: Mapping[str, float]
    b: Mapping[str, float]
    difference: Estimate
    better: Better


class Comparison:
    """Gathers the errors of two models, batch by batch; keeps no single trip."""

    def __init__(self, city: Mapping[str, Any], bands: tuple[Bands | None, Bands | None]) -> None:
        """city: as `slicing.configure` takes it. bands: of A and of B."""
        self._city, self._bands = city, bands
        self._sums: dict[SliceKey, tuple[Sums, Sums]] = {}

    def update(self, trips: Mapping[str, Column], labels: Column, fares: tuple[Column, Column]) -> None:
        """Adds a batch: columns of shape (n,), labels and the fares by A and by B of n elements."""
        if not len(labels):
            return
        columns = {name: values.reshape(-1, 1) for name, values in trips.items()}
        groups = slicing.row_hashes(columns, [*MODEL_INPUTS, *self._city["features"]]) % GROUPS
        everything = np.arange(len(labels))
        for key, rows in [(OVERALL, everything), *self._slices(columns)]:
            for sums, predicted, bands in zip(self._of(key), fares, self._bands, strict=True):
                sums.add(
                    labels.reshape(-1)[rows].astype(np.float64),
                    predicted.reshape(-1)[rows].astype(np.float64),
                    groups[rows].astype(np.int64),
                    bands,
                )

    def slices(self, min_rows: int) -> list[ComparedSlice]:
        """All trips, then each slice of at least `min_rows` trips, by name.

        The interval of all trips has a confidence of 95 %; those of the slices have it for all of them together
        (Bonferroni), as ModelGate's.
        """
        rows = {key: round(float(sums.sums[0].sum())) for key, (sums, _) in self._sums.items()}
        kept = [key for key in self._sums if key != OVERALL and rows[key] >= min_rows]
        confidence = 1 - (1 - CONFIDENCE) / max(1, len(kept))
        order = {name: place for place, name in enumerate(slicing.SLICED_BY)}
        kept.sort(key=lambda key: (order.get(key[0][0], len(order)), key[0][0], _rank(key[0][1])))
        overall = [self._compared(OVERALL, rows[OVERALL], CONFIDENCE)] if OVERALL in rows else []
        return [*overall, *(self._compared(key, rows[key], confidence) for key in kept)]

    def _slices(self, columns: Mapping[str, Column]) -> Iterator[tuple[SliceKey, Column]]:
        for name, column in slicing.slicing_columns(columns, self._city).items():
            for value, rows in rows_by_value(column):
                yield ((name, value),), rows

    def _of(self, key: SliceKey) -> tuple[Sums, Sums]:
        return self._sums.setdefault(key, (Sums(), Sums()))

    def _compared(self, key: SliceKey, rows: int, confidence: float) -> ComparedSlice:
        a, b = (sums.metrics() for sums in self._sums[key])
        difference = Estimate.from_jackknife(b[RMSE] - a[RMSE]).widened(confidence)
        better: Better = "A" if difference.lower > 0 else "B" if difference.upper < 0 else ""
        return ComparedSlice(describe(key), rows, _values(a), _values(b), difference, better)


def _values(metrics: Mapping[str, Column]) -> dict[str, float]:
    return {name: float(metrics[name][0]) for name in METRICS}


def _rank(value: Any) -> tuple[int, Any]:
    """Bands of distance by distance, numbers by value, other texts by the alphabet."""
    if value in band_names():
        return 0, band_names().index(value)
    return (0, value) if isinstance(value, (int, float)) else (1, str(value))
