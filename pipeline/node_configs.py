"""Settings that the graph hands to user code of stock nodes: Transform, Trainer, Tuner and Evaluator, as plain JSON."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from farebox.pipeline.settings.load import Settings

MIDNIGHT = datetime.time(tzinfo=datetime.timezone.utc)  # pickup_epoch is the city's local time, read as UTC


def feature_config(settings: Settings) -> dict[str, Any]:
    """Settings of `farebox.modules.preprocessing`: feature set, crosses, and the city as a `features.Geography`."""
    city = settings.city
    places = {
        kind: [[place.longitude, place.latitude] for _, place in sorted(getattr(city, kind).items())]
        for kind in ("airports", "landmarks")
    }
    changes = [int(datetime.datetime.combine(day, MIDNIGHT).timestamp()) for day in city.tariff_changes]
    geography = {
        **dataclasses.asdict(city.box),
        **places,
        "grid_angle": city.grid_angle,
        "tariff_changes": changes if settings.has_era else [],
    }
    return {"geography": geography, "features": settings.features, "crosses": dataclasses.asdict(settings.crosses)}


def fitting_config(settings: Settings) -> dict[str, Any]:
    """Settings of `farebox.modules.training`: those of the features, the network and its training."""
    fitting = {"model": dataclasses.asdict(settings.model), "training": dataclasses.asdict(settings.training)}
    return feature_config(settings) | fitting


def slicing_config(settings: Settings) -> dict[str, Any]:
    """Settings of `farebox.modules.slicing`: the box and the airports."""
    box, airports = settings.city.box, settings.city.airports
    return {
        "box": [box.west, box.east, box.south, box.north],
        "airports": {name: [place.longitude, place.latitude] for name, place in airports.items()},
    }
