"""Scales of charts: numbers or names as shares of a length, with round ticks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from farebox.components.errors import number


@dataclasses.dataclass(frozen=True)
class Axis:
    """A scale from numbers to pixels. names: of the bands 0, 1, ..., in place of numbers.

    If all numbers are equal, as the zeros of a network that was not pruned are, the scale ends above them.
    """

    label: str
    low: float
    high: float
    is_log: bool = False
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.high > self.low:
            object.__setattr__(self, "high", self.low * 10 if self.is_log else self.low + 1.0)

    @classmethod
    def over(cls, label: str, values: Sequence[float], *, zero: bool = False, is_log: bool = False) -> Axis:
        """An axis that holds all finite values, above 0 if it is logarithmic, with room at its ends.

        zero: it begins at 0.
        """
        known = [value for value in values if math.isfinite(value) and (value > 0 or not is_log)]
        known = known or ([1.0, 10.0] if is_log else [0.0, 1.0])
        low, high = min(known), max(known)
        if is_log:
            return cls(label, low / 1.15, high * 1.15, is_log=True)
        room = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
        return cls(label, 0.0 if zero and low >= 0 else low - room, high + room)

    @classmethod
    def of(cls, label: str, names: Sequence[str]) -> Axis:
        """An axis of bands."""
        return cls(label, -0.5, len(names) - 0.5, names=tuple(names))

    def share(self, value: float) -> float:
        """The place of a value, 0 at the low end and 1 at the high end."""
        if self.is_log:
            return math.log(max(value, 1e-12) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Round numbers, or as many names as fit, with their texts."""
        if self.names:
            step = math.ceil(len(self.names) / most)
            return [(float(place), name) for place, name in enumerate(self.names) if place % step == 0]
        if self.is_log and self.high > 8 * self.low:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            values = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
            return [(value, number(value)) for value in values if self.low <= value <= self.high]
        width = nice_step((self.high - self.low) / most)
        first = math.ceil(self.low / width - 1e-9)
        count = math.floor(self.high / width + 1e-9) - first + 1
        return [(place * width, number(place * width)) for place in range(first, first + count)]


def nice_step(step: float) -> float:
    """The next of 1, 2, 5, 10, ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step)) if step > 0 else 1.0
    return next((digit * power for digit in (1, 2, 5) if digit * power >= step * (1 - 1e-9)), 10 * power)
