"""The description of a city's model: its words come from the settings and the table of raw columns."""

from __future__ import annotations

import pytest

from farebox import load_settings
from farebox.components.tflite.metadata import encoded
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
    assert chicago.facts == {"tariff_changes": ["2016-01-01"]}
    plain = description(load_settings("chicago", overrides={"city.tariff_changes": []}))
    assert len(plain.inputs) == 7 and not plain.facts


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
    assert len(encoded(chicago.with_facts(days=["2013-01-01", "2016-12-31"]), chicago.inputs, "fare")) <= 900
