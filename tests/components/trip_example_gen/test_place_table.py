"""Places by id or name, as a pushed model's locations.json has them, and unknown ones refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.place_table import PlaceTable, to_json

PLACES = {
    "56": (-73.85, 40.74, "Corona"),
    "57": (-73.86, 40.75, "Corona"),
    "132": (-73.78653, 40.64699, "JFK Airport"),
    "230": (-73.9842, 40.75982, "Times Sq/Theatre District"),
    "Back Bay": (-71.08, 42.35, ""),
}
TABLE = PlaceTable(PLACES)


def test_the_file_gives_the_table_back() -> None:
    text = to_json(PLACES)
    assert text.splitlines()[3:5] == [
        '"132": [-73.78653, 40.64699, "JFK Airport"],',
        '"230": [-73.9842, 40.75982, "Times Sq/Theatre District"],',
    ]
    assert PlaceTable.parse(text.encode(), "x").places == PLACES


@pytest.mark.parametrize("content", [b"", b"[]", b'{"1": 2}', b'{"1": ["a", 2]}', b'{"1": [1, 2, "a", "b", "c", "d"]}'])
def test_a_file_that_is_no_table(content: bytes) -> None:
    with pytest.raises(InputError, match=r"^locations.json must hold \[longitude, latitude, name\] by id"):
        PlaceTable.parse(content, "locations.json")


@pytest.mark.parametrize(
    "values",
    [
        np.array([230, 132, 230]),
        np.array([230.0, 132.0, 230.0]),
        np.array(["230", "jfk  airport", "times sq/THEATRE district"]),
        np.array([230, "132", 230.0], dtype=object),
    ],
)
def test_ids_and_names_of_every_type(values: np.ndarray) -> None:
    longitude, latitude = TABLE.coordinates(values, "pickup_location")
    np.testing.assert_array_equal(longitude, [-73.9842, -73.78653, -73.9842])
    np.testing.assert_array_equal(latitude, [40.75982, 40.64699, 40.75982])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([230, 999], "row 1: pickup_location=999 must be the id or name of one of the model's 5 places"),
        (["JFK"], "pickup_location=JFK must be the id or name of one of the model's 5 places; similar: JFK Airport"),
        (["Bak Bay"], "; similar: Back Bay"),
        (["corona"], "pickup_location=corona must be one place, got those of the ids 56, 57: give the id"),
        ([None], "pickup_location= must be the id or name"),
        ([float("nan")], "pickup_location=nan must be the id or name"),
    ],
)
def test_each_unknown_place_is_one_line(values: list, message: str) -> None:
    with pytest.raises(InputError) as caught:
        TABLE.coordinates(np.array(values), "pickup_location")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_rows() -> None:
    assert TABLE.coordinates(np.array([], dtype=str), "pickup_location").shape == (2, 0)
