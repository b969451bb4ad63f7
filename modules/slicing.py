"""Evaluator's extractors: slices that are not raw columns. Call `configure` with the city's box and airports first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow_model_analysis as tfma

from farebox.modules import features
from farebox.modules.columns import COORDINATES, DISTANCE_BAND, MODEL_INPUTS, PICKUP_HOUR, PICKUP_WEEKDAY

AIRPORT, PICKUP_AREA = "airport", "pickup_area"
SLICED_BY = (PICKUP_HOUR, PICKUP_WEEKDAY, DISTANCE_BAND, AIRPORT, PICKUP_AREA)
BANDS_KM = (1.0, 2.0, 5.0, 10.0)
AIRPORT_KM = 3.0
AREAS = 5  # per axis of the city's box
NONE = "none"
ROW_HASH = "row_hash"  # key of an extract: Evaluator's metric groups rows by it

# TFX passes custom extractors no configuration, and reloads this module for them, which keeps these values
_city: dict[str, Any] = globals().get("_city", {"box": [-180.0, 180.0, -90.0, 90.0], "airports": {}, "features": {}})


def configure(city: Mapping[str, Any]) -> None:
    """box: west, east, south, north in degrees; airports: [longitude, latitude] by name; features: the city's own
    inputs, with the values of a category and none of a number."""
    _city.update(city)


def band_names() -> tuple[str, ...]:
    """Names of the distance bands, by rising distance."""
    edges = [f"{edge:g}" for edge in BANDS_KM]
    between = (f"{low}-{high} km" for low, high in itertools.pairwise(edges))
    return (f"under {edges[0]} km", *between, f"over {edges[-1]} km")


def kilometres(places: npt.NDArray[Any], others: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Great-circle distance, shape (n,), between degrees of shape (n, 2), longitude first."""
    # a frame at the origin: distance needs no box
    whole = features.Geography(-180, 180, -90, 90)
    degrees = np.concatenate([places, others], axis=1) - np.tile([whole.west, whole.south], 2)
    return np.asarray(features.haversine_km(degrees.astype(np.float32), whole)).reshape(-1)


def ends_of(columns: Mapping[str, npt.NDArray[Any]]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Pickup and dropoff in degrees, each of shape (n, 2), from columns of shape (n, 1)."""
    degrees = np.stack([np.asarray(columns[name], np.float64).reshape(-1) for name in COORDINATES], axis=1)
    return degrees[:, :2], degrees[:, 2:]


def distance_bands(columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The band of each trip's great-circle distance, text of shape (n, 1)."""
    bands = np.digitize(kilometres(*ends_of(columns)), BANDS_KM)
    return np.asarray(np.array(band_names(), dtype=object)[bands][:, None])


def airports(columns: Mapping[str, npt.NDArray[Any]], places: Mapping[str, Sequence[float]]) -> npt.NDArray[Any]:
    """The airport within 3 km of either end, or `none`; text of shape (n, 1)."""
    ends = ends_of(columns)
    nearest = np.full(len(ends[0]), NONE, dtype=object)
    for name, place in places.items():
        there = np.tile(np.asarray(place, np.float64), (len(nearest), 1))
        near = np.minimum(*(kilometres(end, there) for end in ends)) <= AIRPORT_KM
        nearest[near] = name
    return nearest[:, None]


def pickup_areas(columns: Mapping[str, npt.NDArray[Any]], box: Sequence[float]) -> npt.NDArray[Any]:
    """The middle of each pickup's cell of a 5 x 5 grid over the box, `longitude,latitude`; text of shape (n, 1)."""
    (west, east, south, north), (pickup, _) = box, ends_of(columns)
    corner, size = np.array([west, south]), np.array([east - west, north - south]) / AREAS
    cells = np.clip(np.floor((pickup - corner) / size), 0, AREAS - 1)
    middles = corner + (cells + 0.5) * size
    return np.array([f"{longitude:.2f},{latitude:.2f}" for longitude, latitude in middles], dtype=object)[:, None]


def categories(columns: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The value of each of the city's categories, text of shape (n, 1), by name."""
    return {
        name: np.array(texts, dtype=object)[np.asarray(columns[name], np.int64).reshape(-1)][:, None]
        for name, texts in values.items()
        if texts
    }


def row_hashes(columns: Mapping[str, npt.NDArray[Any]], names: Sequence[str] = MODEL_INPUTS) -> npt.NDArray[Any]:
    """A 64-bit hash of each trip, uint64 of shape (n,): of its own values only, whatever the order of trips."""
    import pandas as pd

    values = {name: np.asarray(columns[name]).reshape(-1) for name in names}
    return np.asarray(pd.util.hash_pandas_object(pd.DataFrame(values), index=False))


def rows_by_value(column: npt.NDArray[Any]) -> Iterator[tuple[Any, npt.NDArray[Any]]]:
    """Each value of a column of shape (n, 1), as a Python number or text, and the indices of its rows."""
    values, places, counts = np.unique(column.reshape(-1), return_inverse=True, return_counts=True)
    return zip(values.tolist(), np.split(np.argsort(places, kind="stable"), np.cumsum(counts)[:-1]), strict=True)


def _take(values: Any, rows: npt.NDArray[Any]) -> Any:
    """The rows of an array, or of each array in a dictionary."""
    return {name: _take(each, rows) for name, each in values.items()} if isinstance(values, Mapping) else values[rows]


def _slice(extracts: dict[str, Any], city: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Extracts of a batch of trips, for all of them and for each slice: labels, predictions and hashes."""
    from tensorflow_model_analysis.slicer import slicer_lib

    columns = extracts[tfma.constants.FEATURES_KEY]
    columns = {
        **columns,
        DISTANCE_BAND: distance_bands(columns),
        AIRPORT: airports(columns, city["airports"]),
        PICKUP_AREA: pickup_areas(columns, city["box"]),
    }
    own = city.get("features", {})
    values = categories(columns, own)
    fields = {key: extracts[key] for key in (tfma.constants.LABELS_KEY, tfma.constants.PREDICTIONS_KEY)}
    fields[ROW_HASH] = row_hashes(columns, [*MODEL_INPUTS, *own])
    slices: list[tuple[tuple[tuple[str, Any], ...], Any]] = [((), fields)]
    for name, column in {**{name: columns[name] for name in SLICED_BY}, **values}.items():
        slices += [(((name, value),), _take(fields, rows)) for value, rows in rows_by_value(column)]
    for slice_key, extract in slices:
        yield {**extract, tfma.constants.SLICE_KEY_TYPES_KEY: slicer_lib.slice_keys_to_numpy_array([slice_key])}


def custom_extractors(eval_shared_model: Any, eval_config: Any, tensor_adapter_config: Any) -> list[Any]:
    """TFMA's default extractors before the predictions, ours of the predictions, and one that splits a batch by slice.

    TFMA splits it into rows: single rows, six times each, took three quarters of the evaluation of 98,035 rows.
    """
    import apache_beam as beam

    from farebox.components.evaluator.predictions import predict_extractor

    extractors = tfma.default_extractors(
        eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
    )
    names = [extractor.stage_name for extractor in extractors]
    last = tfma.extractors.Extractor(stage_name=names[-1], ptransform=beam.FlatMap(_slice, city=dict(_city)))
    predictions = predict_extractor(eval_shared_model, eval_config)
    # evaluators ask for the last one by its name
    return [*extractors[: names.index(predictions.stage_name)], predictions, last]
