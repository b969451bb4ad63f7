"""Settings that the graph hands to user code of stock nodes: Transform, Trainer, Tuner and Evaluator, as plain JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from farebox.pipeline.settings.load import Settings


def feature_config(settings: Settings) -> dict[str, Any]:
    """Settings of `farebox.modules.preprocessing`: feature set, crosses, and the city as a `features.Geography`."""
    city = settings.city
    places = {
        kind: [[place.longitude, place.latitude] for _, place in sorted(getattr(city, kind).items())]
        for kind in ("airports", "landmarks")
    }
    geography = {
        **dataclasses.asdict(city.box),
        **places,
        "grid_angle": city.grid_angle,
        "n_tariff_changes": len(city.tariff_changes) if settings.has_era else 0,
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
