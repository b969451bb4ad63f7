"""The bands of Quantizer's chosen file, from its own predictions on eval. No TFX here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.quantizer.settings import BandSettings
from farebox.components.tflite.bands import Bands, NoBandsError, fit
from farebox.components.tflite.interpreter import TfliteModel


def bands_of(
    content: bytes,
    batches: Sequence[tuple[Mapping[str, npt.NDArray[Any]], npt.NDArray[Any]]],
    settings: BandSettings,
    *,
    is_of_numbers: bool,
    floor: float | None,
) -> tuple[Bands | None, str]:
    """Bands of a file, None if no range can be promised, and the bands in words, or the reason.

    batches: eval rows as the file takes them, with labels. is_of_numbers: its output is one number, not classes.
    floor: the smallest label that there can be.
    """
    if settings.count == 0:
        return None, "none: bands.count=0"
    if not is_of_numbers:
        return None, "none: the model predicts classes"
    model = TfliteModel(content)
    predictions = np.concatenate([model.predict(columns) for columns, _ in batches])
    if predictions.ndim > 1:
        return None, f"none: the model predicts {predictions.shape[1]} numbers a row"
    labels = np.concatenate([labels.reshape(-1) for _, labels in batches])
    try:
        bands = fit(
            predictions,
            labels,
            coverage=settings.coverage,
            n_bands=settings.count,
            min_rows=settings.min_rows,
            floor=floor,
        )
    except NoBandsError as error:
        return None, f"none: {error}"
    return bands, f"{len(bands)} bands of {min(bands.rows)} to {max(bands.rows)} rows of eval"
