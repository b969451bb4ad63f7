"""Ranges of predictions: split conformal prediction in bands of the predicted number. NumPy only, for any model.

Each band has its own pair of quantiles of the residuals (label minus prediction) of held-out rows, so that a range
covers a new label with the promised probability whatever its prediction is. Rows whose labels the model was not fitted
to give the residuals; the promise holds for rows drawn as they were.

Bands: Vovk, Lindsay, Nouretdinov and Gammerman 2003, "Mondrian Confidence Machine". A quantile of its own for each end:
Romano, Patterson and Candes 2019, "Conformalized Quantile Regression", theorem 2.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.errors import InputError

FACT = "bands"  # name among the facts of a file's description
DIGITS = 4  # significant digits of stored numbers
EXACT = 1e-9  # against binary rounding of (n + 1) * (1 - coverage)
# shares of the missed labels that lie below their range, of which `fit` takes the one with the narrowest ranges
SHARES_BELOW = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9)

Floats = npt.NDArray[np.float64]
Ends = tuple[float, ...]


class NoBandsError(ValueError):
    """Rows from which no range can be promised; the message says why."""


@dataclasses.dataclass(frozen=True)
class Bands:
    """A prediction p in band i, edges[i - 1] <= p < edges[i], has the range p + lower[i] to p + upper[i].

    coverage: share of labels that the ranges promise to hold. edges: ascending, one fewer than bands; the first band
    has no lower end, the last no upper one. lower: at most 0, upper: at least 0, so that a range holds its prediction.
    rows: held-out rows by band; empty where they are not known. floor: no range begins below it unless its prediction
    does; None for no such bound.
    All in the label's unit except coverage and rows.

    Raises InputError naming the field if these do not fit together.
    """

    coverage: float
    edges: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    rows: tuple[int, ...] = ()
    floor: float | None = None

    def __post_init__(self) -> None:
        n_bands = len(self.lower)
        numbers = (*self.edges, *self.lower, *self.upper, *([] if self.floor is None else [self.floor]))
        conditions = {
            "coverage": (0 < self.coverage < 1, "above 0 and below 1"),
            "lower": (n_bands > 0 and all(each <= 0 for each in self.lower), "numbers of at most 0, one or more"),
            "upper": (
                len(self.upper) == n_bands and all(each >= 0 for each in self.upper),
                f"{n_bands} numbers of at least 0",
            ),
            "rows": (len(self.rows) in (0, n_bands), f"{n_bands} numbers, or none"),
            "edges": (
                len(self.edges) == n_bands - 1 and all(a < b for a, b in zip(self.edges, self.edges[1:], strict=False)),
                f"{n_bands - 1} ascending numbers",
            ),
        }
        for name, (holds, bound) in conditions.items():
            if not holds:
                raise InputError(f"bands.{name}={getattr(self, name)} must be {bound}")
        if not all(map(math.isfinite, numbers)):
            raise InputError(f"bands: edges, lower, upper and floor must be finite, got {numbers}")

    def __len__(self) -> int:
        return len(self.lower)

    def ranges(self, predictions: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Lower and upper ends, float64 of the predictions' shape; NaN for a prediction that is NaN."""
        predicted = np.asarray(predictions, np.float64)
        band = np.searchsorted(self.edges, predicted, side="right")
        low, high = predicted + np.asarray(self.lower)[band], predicted + np.asarray(self.upper)[band]
        if self.floor is not None:
            low = np.minimum(np.maximum(low, self.floor), predicted)
        return low, high

    def covers(self, predictions: npt.ArrayLike, labels: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether each label lies in the range of its prediction; never for NaN."""
        low, high = self.ranges(predictions)
        values = np.asarray(labels, np.float64)
        return np.asarray((low <= values) & (values <= high))

    def to_json(self) -> dict[str, Any]:
        """The fields by name, without the rows, which a range does not need."""
        fields = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return {name: value for name, value in fields.items() if name != "rows"}

    @classmethod
    def from_json(cls, content: Any) -> Bands:
        """Reads what `to_json` returns. Raises InputError if it is something else."""
        try:
            fields: dict[str, Any] = {
                key: tuple(each) if isinstance(each, list) else each for key, each in content.items()
            }
            return cls(**fields)
        except (AttributeError, TypeError) as error:
            raise InputError(f"bands={content} must have coverage, edges, lower and upper: {error}") from error


def fit(
    predictions: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    coverage: float,
    n_bands: int,
    min_rows: int = 1,
    floor: float | None = None,
) -> Bands:
    """Bands with about equally many rows each, at most n_bands of them, from held-out rows of shape (n,).

    There are fewer bands if one would have less than `min_rows` rows or less than `rows_needed(coverage)`, or if many
    predictions are equal. All bands have one share of misses below the range, the one in
    `SHARES_BELOW` that makes the ranges narrowest. Stored ends are rounded outwards to four significant digits. floor:
    the smallest label that there can be.

    Raises NoBandsError if the rows are too few for one band, or if a number is not finite.
    """
    predicted = np.asarray(predictions, np.float64).reshape(-1)
    residuals = np.asarray(labels, np.float64).reshape(-1) - predicted
    n_unusable = int((~np.isfinite(residuals)).sum())
    if n_unusable:
        raise NoBandsError(f"{n_unusable} of {len(residuals)} held-out predictions or labels are not finite")
    least = max(min_rows, rows_needed(coverage))
    if len(residuals) < least:
        raise NoBandsError(f"{len(residuals)} held-out rows must be at least {least} for a coverage of {coverage:g}")
    edges = _edges(np.sort(predicted), min(n_bands, len(predicted) // least), least)
    band = np.searchsorted(edges, predicted, side="right")
    by_band = [np.sort(residuals[band == i]) for i in range(len(edges) + 1)]
    lower, upper = min(
        (_ends(by_band, coverage, share) for share in SHARES_BELOW),
        key=lambda ends: float(sum((high - low) * len(rows) for low, high, rows in zip(*ends, by_band, strict=True))),
    )
    return Bands(coverage, tuple(edges), lower, upper, tuple(map(len, by_band)), floor)


def rows_needed(coverage: float) -> int:
    """Rows from which both ends of a range are finite: 19 for a coverage of 0.9."""
    return math.ceil(2 / (1 - coverage) - 1 - EXACT)


def _edges(ordered: Floats, n_bands: int, least: int) -> list[float]:
    """Edges between bands of at least `least` rows each; ordered: predictions, ascending.

    An edge is rounded down, so that the prediction that it was made from stays in the band above it.
    """
    wanted = np.quantile(ordered, np.arange(1, n_bands) / n_bands, method="higher")
    edges, start = list[float](), 0
    for edge in sorted({_rounded(float(each), math.floor) for each in wanted}):
        place = int(np.searchsorted(ordered, edge, side="left"))
        if place - start >= least and len(ordered) - place >= least:
            edges.append(edge)
            start = place
    return edges


def _ends(by_band: Sequence[Floats], coverage: float, share_below: float) -> tuple[Ends, Ends]:
    """Lower and upper ends of the bands, from the residuals of each in ascending order.

    The ends are the i-th smallest and the j-th largest of n residuals, i + j = k = (n + 1)(1 - coverage), rounded down.
    A new residual that is exchangeable with these lies outside with probability k / (n + 1).
    """
    lower, upper = [], []
    for residuals in by_band:
        k = math.floor((len(residuals) + 1) * (1 - coverage) + EXACT)
        below = min(max(round(k * share_below), 1), k - 1)
        lower.append(min(_rounded(float(residuals[below - 1]), math.floor), 0.0))
        upper.append(max(_rounded(float(residuals[below - k]), math.ceil), 0.0))
    return tuple(lower), tuple(upper)


def _rounded(value: float, to_integer: Callable[[Fraction], int]) -> float:
    """A number with four significant digits; to_integer: floor or ceil."""
    if value == 0:
        return 0.0
    places = DIGITS - 1 - math.floor(math.log10(abs(value)))
    return float(to_integer(Fraction(value) * Fraction(10) ** places) / Fraction(10) ** places)


def odds(coverage: float) -> str:
    """A coverage in words: `9 of 10` for 0.9, `19 of 20` for 0.95."""
    share = Fraction(f"{coverage:g}")
    return f"{share.numerator} of {share.denominator}"


def of_facts(facts: Mapping[str, Any]) -> Bands | None:
    """The bands among the facts of a file's description; None without any. Raises InputError if they are damaged."""
    content = facts.get(FACT)
    return None if content is None else Bands.from_json(content)
