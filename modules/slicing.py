"""Extractors of Evaluator: slices that no raw column names. `configure` first says what is known of the city."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma

from farebox.modules import features
from farebox.modules.columns import COORDINATES, DISTANCE_BAND, MODEL_INPUTS, PICKUP_HOUR, PICKUP_WEEKDAY

AIRPORT, PICKUP_AREA = "airport", "pickup_area"
SLICED_BY = (PICKUP_HOUR, PICKUP_WEEKDAY, DISTANCE_BAND, AIRPORT, PICKUP_AREA)
BANDS_KM = (1.0, 2.0, 5.0, 10.0)
AIRPORT_KM = 3.0
AREAS = 5  # per axis of the city's box
NONE = "none"
ROW_HASH = "row_hash"  # of an extract: what Evaluator's metric deals its rows into groups by

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


def row_hashes(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """A 64-bit hash of each trip, uint64 of shape (n,): of its own values alone, in whatever order trips are read."""
    import pandas as pd

    values = {name: np.asarray(columns[name]).reshape(-1) for name in MODEL_INPUTS}
    return pd.util.hash_pandas_object(pd.DataFrame(values), index=False).to_numpy()


def rows_by_value(column: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
    """Each value of a column of shape (n, 1), as a Python number or text, and the places where it stands."""
    values, places, counts = np.unique(column.reshape(-1), return_inverse=True, return_counts=True)
    return zip(values.tolist(), np.split(np.argsort(places, kind="stable"), np.cumsum(counts)[:-1]), strict=True)


def _take(values: Any, rows: np.ndarray) -> Any:
    """The rows of an array, or of each array in a dictionary."""
    return {name: _take(each, rows) for name, each in values.items()} if isinstance(values, Mapping) else values[rows]


def _slice(extracts: dict[str, Any], city: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Of a batch of trips, an extract for all of them and one for each slice: labels, predictions and hashes."""
    from tensorflow_model_analysis.slicer import slicer_lib

    columns = extracts[tfma.constants.FEATURES_KEY]
    columns = {
        **columns,
        DISTANCE_BAND: distance_bands(columns),
        AIRPORT: airports(columns, city["airports"]),
        PICKUP_AREA: pickup_areas(columns, city["box"]),
    }
    judged = {key: extracts[key] for key in (tfma.constants.LABELS_KEY, tfma.constants.PREDICTIONS_KEY)}
    judged[ROW_HASH] = row_hashes(columns)
    slices: list[tuple[tuple[tuple[str, Any], ...], Any]] = [((), judged)]
    for name in SLICED_BY:
        slices += [(((name, value),), _take(judged, rows)) for value, rows in rows_by_value(columns[name])]
    for slice_key, found in slices:
        yield {**found, tfma.constants.SLICE_KEY_TYPES_KEY: slicer_lib.slice_keys_to_numpy_array([slice_key])}


def custom_extractors(eval_shared_model: Any, eval_config: Any, tensor_adapter_config: Any) -> list[Any]:
    """TFMA's default extractors up to the predictions; then a batch is cut by slices, where TFMA cuts it into rows.

    Rows by themselves, each six times over, took three quarters of the evaluation of 98,035 of them.
    """
    import apache_beam as beam

    extractors = tfma.default_extractors(
        eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
    )
    names = [extractor.stage_name for extractor in extractors]
    last = tfma.extractors.Extractor(stage_name=names[-1], ptransform=beam.FlatMap(_slice, city=dict(_city)))
    return [*extractors[: names.index("ExtractUnbatchedInputs")], last]  # evaluators ask for the last one by its name
