"""The description of a city's model: its words come from the settings and the table of raw columns."""

from __future__ import annotations

import pytest

from farebox import load_settings
from farebox.components.tflite.metadata import described, description_of, encoded
from farebox.pipeline.node_configs import description


@pytest.fixture
def chicago():
    return description(
        load_settings("chicago", overrides={"city.currency": "EUR", "city.passengers": {"min": 1, "max": 4}})
    )


def test_inputs_are_the_models_with_bounds_of_the_city(chicago):
    inputs = {each.name: each for each in chicago.inputs}
    assert tuple(inputs) == load_settings("chicago").model_inputs
    bounds = {name: (each.minimum, each.maximum) for name, each in inputs.items()}
    assert bounds["pickup_longitude"] == bounds["dropoff_longitude"] == (-87.95, -87.52)
    assert bounds["pickup_latitude"] == (41.64, 42.03)
    assert (bounds["passenger_count"], bounds["pickup_hour"], bounds["pickup_weekday"]) == ((1, 4), (0, 23), (0, 6))
    assert inputs["pickup_weekday"].meaning == "local time, Monday 0"
    assert inputs["pickup_latitude"].text == "latitude, WGS84 [degrees]"


def test_the_output_is_in_the_citys_currency(chicago):
    assert (chicago.output.name, chicago.output.text) == ("fare", "fare [EUR]")
    assert (chicago.output.minimum, chicago.output.maximum) == (2.25, 200)


def test_the_days_of_the_tariffs_changes_are_facts_where_the_era_is_an_input(chicago):
    era = chicago.inputs[-1]
    assert (era.name, era.minimum, era.maximum) == ("pickup_era", 0, 1)
    assert chicago.facts == {"time_zone": "America/Chicago", "tariff_changes": ["2016-01-01"]}
    plain = description(load_settings("chicago", overrides={"city.tariff_changes": []}))
    assert len(plain.inputs) == 7 and "tariff_changes" not in plain.facts


def test_a_citys_own_inputs_stand_last_with_their_coding(convert_tflite):
    features = {
        "surge": {"min": 1, "default": 1.5},
        "vehicle_type": {"values": ["sedan", "van"], "meaning": "car"},
        "traffic": {"unit": "trips"},
        "rate": {"values": [1, 2], "default": 2},
    }
    settings = load_settings("chicago", overrides={"city.features": features, "schema": None})
    own = description(settings)
    assert settings.model_inputs[-5:] == ("pickup_era", "surge", "vehicle_type", "traffic", "rate")
    assert [(each.text, each.minimum, each.maximum) for each in own.inputs[-4:]] == [
        ("surge", 1, None), ("car: sedan 0, van 1", 0, 1), ("traffic [trips]", None, None), ("rate: 1 0, 2 1", 0, 1),
    ]  # fmt: skip
    assert own.facts == {
        "time_zone": "America/Chicago",
        "tariff_changes": ["2016-01-01"],
        "categories": {"vehicle_type": ["sedan", "van"], "rate": ["1", "2"]},
        "feature_defaults": {"surge": 1.5, "rate": 1},
    }
    content = convert_tflite(
        era=1, types={name: "int32" if name in own.facts["categories"] else "float32" for name in features}
    )
    read = description_of(described(content, own))
    by_name = {each.name: each for each in read.inputs}
    surge, car = by_name["surge"], by_name["vehicle_type"]
    assert (surge.minimum, surge.maximum, car.meaning, car.maximum) == (1, None, "car: sedan 0, van 1", 1)
    assert read.facts == own.facts


def test_its_version_changes_with_the_bounds_and_not_with_the_gates(chicago):
    """Farebox's version, then digits of the schema, which follows from the city's bounds if there is no curated one."""
    versions = [
        description(load_settings("chicago", overrides={"schema": None, **overrides})).version
        for overrides in ({}, {"gates.max_rmse": 1}, {"city.fare.max": 99})
    ]
    assert versions[0] == versions[1] != versions[2]
    assert chicago.version.startswith("0.1.0+")


def test_a_citys_metadata_stay_small():
    """Names of seven inputs alone take 436 B."""
    chicago = description(load_settings("chicago", overrides={"city.tariff_changes": []}))
    assert len(encoded(chicago.with_facts(days=["2013-01-01", "2016-12-31"]), chicago.inputs, "fare")) <= 920
