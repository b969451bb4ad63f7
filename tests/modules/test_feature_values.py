"""Values of a city's own inputs as people give them: texts, codes, numbers, missing ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from farebox.components.errors import InputError
from farebox.modules.feature_values import with_features

FACTS = {
    "categories": {"trailer": ["None", "small"], "car": ["sedan", "van"], "rate": ["1", "2", "5"], "zone": ["0", "1"]},
    "feature_defaults": {"surge": 1.5, "rate": 2},
}


def of(name: str, values) -> list[float]:
    rows = {"fare": np.zeros(np.size(values))} if values is None else {name: np.asarray(values)}
    return with_features(rows, ["pickup_hour", name], FACTS)[name].tolist()


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("traffic", [1, 2.5], [1, 2.5]),
        ("traffic", ["1200"], [1200]),
        ("surge", [2.0, np.nan], [2, 1.5]),
        ("surge", np.array([None, 2], object), [1.5, 2]),
        ("car", ["van", "sedan", "van"], [1, 0, 1]),
        ("car", [1, 0], [1, 0]),
        ("car", [1.0], [1]),
        ("car", ["1"], [1]),
        ("car", pd.Series(["van"], dtype="category"), [1]),
        ("car", pd.Series(["van"], dtype="string"), [1]),
        ("rate", ["1", "5"], [0, 2]),
        ("rate", pd.Series(["2", pd.NA], dtype="string"), [1, 2]),
        ("trailer", ["None", "small"], [0, 1]),  # a value, not a missing one
        ("zone", [1, 0], [1, 0]),  # its codes are its values
        ("zone", ["1", "0"], [1, 0]),
    ],
)
def test_values_become_numbers_and_codes(name, values, expected):
    assert of(name, values) == expected


def test_without_the_column_the_default_counts():
    rows = with_features({"pickup_hour": np.zeros(3)}, ["pickup_hour", "surge", "rate"], FACTS)
    assert (rows["surge"].tolist(), rows["rate"].tolist()) == ([1.5] * 3, [2] * 3)
    assert (rows["surge"].dtype, rows["rate"].dtype) == (np.float32, np.int64)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("traffic", [1, np.nan], "traffic=nan in row 1 is missing: the model asks for a number, and its city has no"),
        (
            "car",
            np.array([None], object),
            "car=None is missing: the model asks for one of sedan, van, and its city has no",
        ),
        ("traffic", ["much"], "traffic=much must be a number"),
        ("traffic", ["1", "much"], "traffic=much in row 1 must be a number"),
        ("traffic", [np.inf], "traffic=inf must be a finite number"),
        ("car", ["bus"], "car=bus must be one of sedan, van, or their codes, 0 to 1"),
        ("car", [2], "car=2 must be one of sedan, van, or their codes, 0 to 1"),
        ("car", [0.5], "car=0.5 must be one of"),
        ("rate", [1], "rate=1 may be a value or a code: give a value as text, such as '1'"),
        ("rate", ["3"], "rate=3 must be one of 1, 2, 5$"),
    ],
)
def test_values_that_are_none_are_refused_in_one_line(name, values, message):
    with pytest.raises(InputError, match=message):
        of(name, values)


def test_a_missing_column_is_named():
    with pytest.raises(
        InputError, match=r"^car is missing: the model asks for one of sedan, van, and its city has no default$"
    ):
        with_features({"pickup_hour": np.zeros(1)}, ["pickup_hour", "car"], FACTS)
