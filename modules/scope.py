"""Tells whether a model can be measured on a file of trips: of its own city, and not those that it was fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError
from farebox.components.tflite.description import Description
from farebox.components.trip_example_gen.row_sketch import RowSketch
from farebox.modules.columns import COORDINATES

FEW_ROWS = 5  # of a sample; one or two rows can be equal by chance


class Scope:
    """Counts rows that lie outside the model's box, and rows that it was fitted to; batch by batch."""

    def __init__(self, description: Description, trained: RowSketch | None) -> None:
        self._description, self._trained = description, trained
        self._bounds = {
            each.name: (each.minimum, each.maximum)
            for each in description.inputs
            if each.name in COORDINATES and each.minimum is not None and each.maximum is not None
        }
        self._n_rows, self._n_outside, self._n_sampled, self._n_trained = 0, 0, 0, 0

    @property
    def seed(self) -> int:
        """Seed of the row hashes that `update` takes."""
        return self._trained.seed if self._trained else 0

    @property
    def trained_share(self) -> float | None:
        """The share of the rows that the model was fitted to; None for too few to tell."""
        return self._n_trained / self._n_sampled if self._n_trained >= FEW_ROWS else None

    def update(self, rows: Mapping[str, npt.NDArray[Any]], hashes: npt.NDArray[np.uint64]) -> None:
        """Adds a batch: columns and `splits.row_hashes` of shape (n,)."""
        outside = np.zeros(len(hashes), bool)
        for name, (low, high) in self._bounds.items():
            outside |= (rows[name] < np.float32(low)) | (rows[name] > np.float32(high))
        self._n_rows += len(hashes)
        self._n_outside += int(outside.sum())
        if self._trained:
            sampled, trained = self._trained.sample(hashes)
            self._n_sampled, self._n_trained = self._n_sampled + sampled, self._n_trained + trained

    def lines(self, city: str, currency: str) -> list[str]:
        """Lines that a reader of the errors must know.

        city, currency: of the trips. Raises InputError if the model is made for other fares or for another place.
        """
        model, unit = self._description.name, self._description.output.unit
        if unit and unit != currency:
            raise InputError(f"city.currency={currency} must be {unit}, that of the model of {model or 'another city'}")
        if self._n_outside > self._n_rows / 2:
            box = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in self._bounds.items())
            raise InputError(
                f"city={city}: {self._n_outside:,} of {self._n_rows:,} trips lie outside the box of the model of "
                f"{model or 'another city'} ({box}): measure it on trips of its own city"
            )
        lines = []
        if model and model != city:
            lines.append(f"the model is of {model}, the trips are of {city}")
        if self._n_outside:
            lines.append(f"{self._n_outside:,} of {self._n_rows:,} trips lie outside the model's box")
        if share := self.trained_share:
            lines.append(f"the model was fitted to about {share:.0%} of these trips: on others it errs by more")
        return lines
