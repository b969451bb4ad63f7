"""Extractors of Evaluator: slices that no raw column names."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma

from modules import features
from modules.columns import COORDINATES, DISTANCE_BAND

BANDS_KM = (1.0, 2.0, 5.0, 10.0)


def band_names() -> tuple[str, ...]:
    """Names of the distance bands, by rising distance."""
    edges = [f"{edge:g}" for edge in BANDS_KM]
    between = (f"{low}-{high} km" for low, high in itertools.pairwise(edges))
    return (f"under {edges[0]} km", *between, f"over {edges[-1]} km")


def distance_bands(columns: dict[str, np.ndarray]) -> np.ndarray:
    """The band of each trip's great-circle distance, text of shape (n, 1), from coordinates of shape (n, 1)."""
    flat = [np.asarray(columns[name], np.float64).reshape(-1) for name in COORDINATES]
    degrees = np.stack(flat, axis=1)
    # a frame at the origin: distance needs no box
    whole = features.Geography(-180, 180, -90, 90)
    corner = np.tile(np.array([whole.west, whole.south]), 2)
    km = features.haversine_km((degrees - corner).astype(np.float32), whole).numpy()
    return np.array(band_names(), dtype=object)[np.digitize(km, BANDS_KM)]


def _add_bands(extracts: dict[str, Any]) -> dict[str, Any]:
    columns = extracts[tfma.FEATURES_KEY]
    return {**extracts, tfma.FEATURES_KEY: {**columns, DISTANCE_BAND: distance_bands(columns)}}


def custom_extractors(eval_shared_model: Any, eval_config: Any, tensor_adapter_config: Any) -> list[Any]:
    """TFMA's default extractors, with the distance band added to the features before rows are sliced."""
    import apache_beam as beam

    extractors = tfma.default_extractors(
        eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
    )
    names = [extractor.stage_name for extractor in extractors]
    bands = tfma.extractors.Extractor(stage_name="ExtractDistanceBands", ptransform=beam.Map(_add_bands))
    at = names.index("ExtractFeatures") + 1 if "ExtractFeatures" in names else 1
    return [*extractors[:at], bands, *extractors[at:]]
