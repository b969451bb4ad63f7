"""Evaluator's extractors: slices that are not raw columns. Call `configure` with the city's box and airports first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.modules.columns import DISTANCE_BAND, MODEL_INPUTS, PICKUP_HOUR, PICKUP_WEEKDAY
from farebox.modules.slices import (
    AIRPORT,
    PICKUP_AREA,
    airports,
    categories,
    distance_bands,
    pickup_areas,
    rows_by_value,
)

SLICED_BY = (PICKUP_HOUR, PICKUP_WEEKDAY, DISTANCE_BAND, AIRPORT, PICKUP_AREA)
ROW_HASH = "row_hash"  # key of an extract: Evaluator's metric groups rows by it

# TFX passes custom extractors no configuration, and reloads this module for them, which keeps these values
_city: dict[str, Any] = globals().get("_city", {"box": [-180.0, 180.0, -90.0, 90.0], "airports": {}, "features": {}})


def configure(city: Mapping[str, Any]) -> None:
    """box: west, east, south, north in degrees; airports: [longitude, latitude] by name; features: the city's own
    inputs, with the values of a category and none of a number."""
    _city.update(city)


def slicing_columns(columns: Mapping[str, npt.NDArray[Any]], city: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """The columns that trips are sliced by, each of shape (n, 1), from columns of shape (n, 1).

    city: as `configure` takes it.
    """
    derived = {
        DISTANCE_BAND: distance_bands(columns),
        AIRPORT: airports(columns, city["airports"]),
        PICKUP_AREA: pickup_areas(columns, city["box"]),
    }
    sliced = {name: {**columns, **derived}[name] for name in SLICED_BY}
    return {**sliced, **categories(columns, city.get("features", {}))}


def row_hashes(columns: Mapping[str, npt.NDArray[Any]], names: Sequence[str] = MODEL_INPUTS) -> npt.NDArray[Any]:
    """A 64-bit hash of each trip, uint64 of shape (n,): of its own values only, whatever the order of trips."""
    import pandas as pd

    values = {name: np.asarray(columns[name]).reshape(-1) for name in names}
    return np.asarray(pd.util.hash_pandas_object(pd.DataFrame(values), index=False))


def _take(values: Any, rows: npt.NDArray[Any]) -> Any:
    """The rows of an array, or of each array in a dictionary."""
    return {name: _take(each, rows) for name, each in values.items()} if isinstance(values, Mapping) else values[rows]


def _slice(extracts: dict[str, Any], city: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Extracts of a batch of trips, for all of them and for each slice: labels, predictions and hashes."""
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.slicer import slicer_lib

    columns = extracts[tfma.constants.FEATURES_KEY]
    own = city.get("features", {})
    fields = {key: extracts[key] for key in (tfma.constants.LABELS_KEY, tfma.constants.PREDICTIONS_KEY)}
    fields[ROW_HASH] = row_hashes(columns, [*MODEL_INPUTS, *own])
    slices: list[tuple[tuple[tuple[str, Any], ...], Any]] = [((), fields)]
    for name, column in slicing_columns(columns, city).items():
        slices += [(((name, value),), _take(fields, rows)) for value, rows in rows_by_value(column)]
    for slice_key, extract in slices:
        yield {**extract, tfma.constants.SLICE_KEY_TYPES_KEY: slicer_lib.slice_keys_to_numpy_array([slice_key])}


def custom_extractors(eval_shared_model: Any, eval_config: Any, tensor_adapter_config: Any) -> list[Any]:
    """TFMA's default extractors before the predictions, ours of the predictions, and one that splits a batch by slice.

    TFMA splits it into rows: single rows, six times each, took three quarters of the evaluation of 98,035 rows.
    """
    import apache_beam as beam
    import tensorflow_model_analysis as tfma

    from farebox.components.evaluator.predictions import predict_extractor

    extractors = tfma.default_extractors(
        eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
    )
    names = [extractor.stage_name for extractor in extractors]
    last = tfma.extractors.Extractor(stage_name=names[-1], ptransform=beam.FlatMap(_slice, city=dict(_city)))
    predictions = predict_extractor(eval_shared_model, eval_config)
    # evaluators ask for the last one by its name
    return [*extractors[: names.index(predictions.stage_name)], predictions, last]
