"""Settings for the user code of stock nodes, as plain JSON, and the description of the model's file."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import math
from typing import Any

from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.trip_example_gen import place_table
from farebox.components.trip_example_gen.columns import FARE, RawColumn
from farebox.components.trip_example_gen.profile import Interval
from farebox.modules import columns
from farebox.modules.feature_names import feature_names
from farebox.modules.feature_values import CATEGORIES, FEATURE_DEFAULTS
from farebox.pipeline import provenance
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
        "extras": [
            {"name": name, "n_values": len(city.extra[name].values), "default": column.default}
            for name, column in city.extra_columns.items()
        ],
    }
    return {"geography": geography, "features": settings.features, "crosses": dataclasses.asdict(settings.crosses)}


def names_of_features(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Names of the columns of the network's numeric input, for the loadings of PcaReducer."""
    city = settings.city
    return feature_names(
        settings.features,
        sorted(city.airports),
        sorted(city.landmarks),
        len(city.tariff_changes) if settings.has_era else 0,
        {name: city.extra[name].texts for name in city.extra_columns},
    )


def fitting_config(settings: Settings) -> dict[str, Any]:
    """Settings of `farebox.modules.training`: those of the features, the network and its training."""
    fitting = {"model": dataclasses.asdict(settings.model), "training": dataclasses.asdict(settings.training)}
    return feature_config(settings) | fitting


def slicing_config(settings: Settings) -> dict[str, Any]:
    """Settings of `farebox.modules.slicing`: the box, the airports, and the city's own inputs with their values."""
    box, airports = settings.city.box, settings.city.airports
    return {
        "box": [box.west, box.east, box.south, box.north],
        "airports": {name: [place.longitude, place.latitude] for name, place in airports.items()},
        "features": {name: list(feature.texts) for name, feature in settings.city.extra.items()},
    }


def locations_config(settings: Settings) -> dict[str, str]:
    """Setting of AtomicPusher: the text of locations.json; empty for a city without such a table."""
    if settings.city.locations is None:
        return {}
    places = settings.city.locations.places
    table = {id_: (place.longitude, place.latitude, place.name) for id_, place in places.items()}
    return {"locations": place_table.to_json(table)}


FOR_DEVICES = "Never float16. NaN: no place."


def description(settings: Settings) -> Description:
    """The text and the bounds that the model's file carries.

    Its version is Farebox's, then the first digits of the schema's SHA-256: files of one version were made by the same
    Farebox for the same columns, bounds and city.
    """
    city, schema = settings.city, hashlib.sha256(provenance.schema_source(settings).encode()).hexdigest()
    return Description(
        name=city.name,
        description=FOR_DEVICES,
        version=f"{importlib.metadata.version('farebox')}+{schema[:8]}",
        inputs=tuple(_described(city.example_columns[name], settings) for name in settings.model_inputs),
        output=_described(city.example_columns[FARE], settings),
        facts=_facts(settings),
    )


def _facts(settings: Settings) -> dict[str, Any]:
    """Facts that a program asks the file for: zone, tariff changes, values of categories, defaults; no empty ones."""
    city = settings.city
    facts = {
        columns.TIME_ZONE: city.time_zone,
        columns.TARIFF_CHANGES: list(map(str, city.tariff_changes)) if settings.has_era else [],
        CATEGORIES: {name: list(each.texts) for name, each in city.extra.items() if each.is_category},
        FEATURE_DEFAULTS: {
            name: column.default for name, column in city.extra_columns.items() if column.default is not None
        },
    }
    return {name: fact for name, fact in facts.items() if fact}


def _described(column: RawColumn, settings: Settings) -> TensorDescription:
    """A raw column in this city; the tariff's era counts to the number of changes."""
    city = settings.city
    is_era = column.name == columns.PICKUP_ERA
    bounds = Interval(0, len(city.tariff_changes)) if is_era else city.bounds_of(column)
    return TensorDescription(
        column.name,
        meaning=column.meaning,
        unit=city.unit_of(column),
        minimum=bounds.min if bounds and math.isfinite(bounds.min) else None,
        maximum=bounds.max if bounds and math.isfinite(bounds.max) else None,
    )


def about(settings: Settings) -> str:
    """The city's name and currency, and how its trips are split, for Reporter, as JSON."""
    split = {
        "shares": settings.split.shares,
        "seed": settings.split.seed,
        "by_time": settings.spans.split == "time",
    }
    return json.dumps({"city": settings.city.name, "currency": settings.city.currency, "split": split})
