"""Extractors of Evaluator: slices that no raw column names. `configure` first says what is known of the city."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma

from modules import features
from modules.columns import COORDINATES, DISTANCE_BAND, PICKUP_HOUR, PICKUP_WEEKDAY

AIRPORT, PICKUP_AREA = "airport", "pickup_area"
SLICED_BY = (PICKUP_HOUR, PICKUP_WEEKDAY, DISTANCE_BAND, AIRPORT, PICKUP_AREA)
BANDS_KM = (1.0, 2.0, 5.0, 10.0)
AIRPORT_KM = 3.0
AREAS = 5  # per axis of the city's box
NONE = "none"

# TFX gives custom extractors no configuration, and loads this module anew for them, which keeps what stands here
_city: dict[str, Any] = globals().get("_city", {"box": [-180.0, 180.0, -90.0, 90.0], "airports": {}})


def configure(city: Mapping[str, Any]) -> None:
    """box: west, east, south, north in degrees; airports: [longitude, latitude] by name."""
    _city.update(city)


def band_names() -> tuple[str, ...]:
    """Names of the distance bands, by rising distance."""
    edges = [f"{edge:g}" for edge in BANDS_KM]
    between = (f"{low}-{high} km" for low, high in itertools.pairwise(edges))
    return (f"under {edges[0]} km", *between, f"over {edges[-1]} km")


def kilometres(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Great-circle distance, shape (n,), between degrees of shape (n, 2), longitude first."""
    # a frame at the origin: distance needs no box
    whole = features.Geography(-180, 180, -90, 90)
    degrees = np.concatenate([places, others], axis=1) - np.tile([whole.west, whole.south], 2)
    return features.haversine_km(degrees.astype(np.float32), whole).numpy().reshape(-1)


def ends_of(columns: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Pickup and dropoff in degrees, each of shape (n, 2), from columns of shape (n, 1)."""
    degrees = np.stack([np.asarray(columns[name], np.float64).reshape(-1) for name in COORDINATES], axis=1)
    return degrees[:, :2], degrees[:, 2:]


def distance_bands(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """The band of each trip's great-circle distance, text of shape (n, 1)."""
    return np.array(band_names(), dtype=object)[np.digitize(kilometres(*ends_of(columns)), BANDS_KM)][:, None]


def airports(columns: Mapping[str, np.ndarray], places: Mapping[str, Sequence[float]]) -> np.ndarray:
    """The airport within 3 km of either end, or `none`; text of shape (n, 1)."""
    ends = ends_of(columns)
    found = np.full(len(ends[0]), NONE, dtype=object)
    for name, place in places.items():
        there = np.tile(np.asarray(place, np.float64), (len(found), 1))
        near = np.minimum(*(kilometres(end, there) for end in ends)) <= AIRPORT_KM
        found[near] = name
    return found[:, None]


def pickup_areas(columns: Mapping[str, np.ndarray], box: Sequence[float]) -> np.ndarray:
    """The middle of each pickup's cell of a 5 x 5 grid over the box, `longitude,latitude`; text of shape (n, 1)."""
    (west, east, south, north), (pickup, _) = box, ends_of(columns)
    corner, size = np.array([west, south]), np.array([east - west, north - south]) / AREAS
    cells = np.clip(np.floor((pickup - corner) / size), 0, AREAS - 1)
    middles = corner + (cells + 0.5) * size
    return np.array([f"{longitude:.2f},{latitude:.2f}" for longitude, latitude in middles], dtype=object)[:, None]


def _add_slices(extracts: dict[str, Any], city: Mapping[str, Any]) -> dict[str, Any]:
    columns = extracts[tfma.FEATURES_KEY]
    found = {
        DISTANCE_BAND: distance_bands(columns),
        AIRPORT: airports(columns, city["airports"]),
        PICKUP_AREA: pickup_areas(columns, city["box"]),
    }
    return {**extracts, tfma.FEATURES_KEY: {**columns, **found}}


def custom_extractors(eval_shared_model: Any, eval_config: Any, tensor_adapter_config: Any) -> list[Any]:
    """TFMA's default extractors, with these slices added to the features before rows are sliced."""
    import apache_beam as beam

    extractors = tfma.default_extractors(
        eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
    )
    names = [extractor.stage_name for extractor in extractors]
    slices = tfma.extractors.Extractor(stage_name="ExtractSlices", ptransform=beam.Map(_add_slices, city=dict(_city)))
    at = names.index("ExtractFeatures") + 1 if "ExtractFeatures" in names else 1
    return [*extractors[:at], slices, *extractors[at:]]
