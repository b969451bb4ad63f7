"""`farebox predict` and `farebox evaluate`: a .tflite outside the pipeline. No TensorFlow."""

from __future__ import annotations

import datetime
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farebox.components.errors import InputError
from farebox.pipeline.commands.options import AsJson, City, Data, Overrides, day_of, place_of

if TYPE_CHECKING:
    from farebox.pipeline.fare_model import FareModel

Model = Annotated[str, typer.Option(help="A .tflite file, a version's folder, or models/CITY for its latest.")]

PLACE = "Degrees; or the id or name of a zone, for a model with locations.json beside it."


def predict(
    *,
    model: Model,
    pickup: Annotated[str, typer.Option(metavar="LON,LAT|ZONE", help=PLACE)],
    dropoff: Annotated[str, typer.Option(metavar="LON,LAT|ZONE", help=PLACE)],
    hour: Annotated[int, typer.Option(help="0-23, local time.")],
    weekday: Annotated[int, typer.Option(help="0-6, Monday is 0.")],
    passengers: Annotated[int, typer.Option(help="1-99, or fewer if the model's file says so.")] = 1,
    date: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="The day, for a city whose tariff has changed; today without it."),
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="One of the city's own inputs, such as traffic=1200; repeat for more."),
    ] = None,
    require_signature: Annotated[
        str | None, typer.Option(metavar="PUBLIC.pem", help="An Ed25519 key whose owner must have signed the model.")
    ] = None,
) -> None:
    """Predicts the fare of one trip, as a device computes it, and its range if the model has ranges."""
    from farebox.modules import columns
    from farebox.pipeline.fare_model import FareModel

    fare_model = FareModel.load(model, public_key=require_signature)
    start, end = place_of("pickup", pickup, fare_model.places), place_of("dropoff", dropoff, fare_model.places)
    trip: dict[str, Any] = dict(zip(columns.MODEL_INPUTS, (*start, *end, passengers, hour, weekday), strict=True))
    if date:
        trip[columns.PICKUP_TIME] = datetime.datetime.combine(day_of(date), datetime.time(hour % 24))
    trip |= features_of(feature or [], fare_model.feature_names)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        print(describe_fare(fare_model, trip))
    for warning in caught:
        print(f"note: {warning.message}", file=sys.stderr)


def features_of(assignments: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The values of `--feature NAME=VALUE` by name. names: those that the model has.

    Raises InputError, which names what is wrong.
    """
    features: dict[str, str] = {}
    for assignment in assignments:
        name, separator, value = (part.strip() for part in assignment.partition("="))
        if not separator or not value:
            raise InputError(f"--feature={assignment} must read NAME=VALUE, such as traffic=1200")
        if name not in names:
            has = f"one of {', '.join(names)}" if names else "left out: the model has no inputs of its city's own"
            raise InputError(f"--feature={assignment}: {name} must be {has}")
        if name in features:
            raise InputError(f"--feature={assignment}: {name} must be given once")
        features[name] = value
    return features


def describe_fare(model: FareModel, trip: Mapping[str, Any]) -> str:
    """`13.80 USD (10.90 to 17.60, 9 of 10 trips)`; without what the model does not have."""
    from farebox.components.tflite.bands import odds

    unit = f" {model.currency}" if model.currency else ""
    if model.coverage is None:
        return f"{model.predict(trip):.2f}{unit}"
    fare, low, high = model.predict_range(trip)
    return f"{fare:.2f}{unit} ({low:.2f} to {high:.2f}, {odds(model.coverage)} trips)"


def evaluate(model: Model, city: City, data: Data = None, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Measures the error of a .tflite file on raw trips: RMSE, MAE, rows used and rejected."""
    from farebox.pipeline.fare_model import evaluate
    from farebox.pipeline.local.loss_lines import describe_losses
    from farebox.pipeline.settings.load import load_settings

    errors = evaluate(model, load_settings(city, data, overrides=overrides or ()))
    if not as_json:
        counts = f"{errors.rows_used:,} trips; {errors.rows_rejected:,} rejected"
        print(f"first trip: {errors.first_trip}")
        print(f"RMSE {errors.rmse:.4f}, MAE {errors.mae:.4f} over {counts}")
        for line in (*describe_losses(errors.losses), *(f"warning: {warning}" for warning in errors.warnings)):
            print(line)
        return
    rows = {
        "read": errors.rows_read,
        "used": errors.rows_used,
        "rejected": errors.rows_rejected,
        "left_out": errors.rows_left_out,
    }
    figures = {
        "model": errors.model,
        "city": errors.city,
        "rmse": errors.rmse,
        "mae": errors.mae,
        "rows": rows,
        "first_trip": errors.first_trip,
        "losses": errors.losses.to_json(),
        "warnings": errors.warnings,
    }
    print(json.dumps(figures, indent=2))
