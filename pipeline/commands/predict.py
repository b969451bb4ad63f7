"""A `.tflite` outside the pipeline: one fare, or its error over a file of raw trips. No TensorFlow."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from farebox.components.atomic_pusher.versions import read_model
from farebox.components.errors import InputError
from farebox.components.networks.errors import RunningError
from farebox.components.tflite.interpreter import TfliteModel
from farebox.modules import columns

if TYPE_CHECKING:
    from farebox.pipeline.settings.load import Settings


def predict(
    model: str,
    pickup: tuple[float, float],
    dropoff: tuple[float, float],
    hour: int,
    weekday: int,
    passengers: int,
    day: datetime.date,
    public_key: str | None = None,
) -> float:
    """The fare of one trip; places as (longitude, latitude) in degrees, hour 0-23, weekday 0-6 from Monday.

    day: tells the tariff where the city's has changed; a model that knows of no change does not ask for it.
    public_key: a PEM file; then the model must be signed by its owner.
    """
    for name, value, low, high in (
        ("hour", hour, 0, 23),
        ("weekday", weekday, 0, 6),
        ("passengers", passengers, 1, 99),
        *((f"{end} longitude", place[0], -180, 180) for end, place in (("pickup", pickup), ("dropoff", dropoff))),
        *((f"{end} latitude", place[1], -90, 90) for end, place in (("pickup", pickup), ("dropoff", dropoff))),
    ):
        if not low <= value <= high:
            raise InputError(f"{name}={value} must be between {low} and {high}")
    moment = datetime.datetime.combine(day, datetime.time(hour), datetime.timezone.utc)  # local time, as in training
    values = {
        **columns.DEFAULTS,
        **dict(zip(columns.COORDINATES, (*pickup, *dropoff), strict=True)),
        columns.PASSENGER_COUNT: passengers,
        columns.PICKUP_HOUR: hour,
        columns.PICKUP_WEEKDAY: weekday,
        columns.PICKUP_EPOCH: int(moment.timestamp()),
    }
    row = {name: np.array([value]) for name, value in values.items()}
    file, content = read_model(model, public_key)
    return float(TfliteModel(content, origin=file).predict(row)[0])


def evaluate(model: str, settings: Settings) -> dict[str, Any]:
    """RMSE and MAE of the file over every trip of the settings' data, in the city's currency, and how many rows."""
    from farebox.components.trip_example_gen.reader import read_trips

    file, content = read_model(model)
    interpreter = TfliteModel(content, origin=file)
    error, rejected = RunningError(), 0
    for trips in read_trips(settings.data, settings.city):
        batch = {name: trips.examples.column(name).to_numpy() for name in trips.examples.schema.names}
        error.update(interpreter.predict(batch), batch[columns.FARE])
        rejected += trips.rejected.num_rows
    return {
        "model": str(file),
        "city": settings.city.name,
        "rmse": error.rmse,
        "mae": error.mae,
        "rows": {"read": error.rows + rejected, "used": error.rows, "rejected": rejected},
    }
