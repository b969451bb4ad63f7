"""The names say what the columns hold."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from farebox.modules import columns, extra, features
from farebox.modules.feature_names import feature_names

EXTRAS = {"payment": ("cash", "card"), "tolls": ()}
ROW = {
    columns.PICKUP_LONGITUDE: -87.63, columns.PICKUP_LATITUDE: 41.88, columns.DROPOFF_LONGITUDE: -87.60,
    columns.DROPOFF_LATITUDE: 41.90, columns.PASSENGER_COUNT: 3, columns.PICKUP_HOUR: 8, columns.PICKUP_WEEKDAY: 2,
    columns.PICKUP_ERA: 1, "payment": 1, "tolls": 4.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("feature_set", "compute", "landmarks"),
    [("course", features.numeric, ()), ("full", features.extended, ("loop",)), ("raw", features.raw, ())],
)
def test_each_column_has_its_own_name(feature_set, compute, landmarks):
    geography = features.Geography(
        -88, -87, 41, 42, airports=((-87.9, 41.97),), landmarks=((-87.63, 41.88),) * len(landmarks),
        n_tariff_changes=2, extras=(extra.ExtraInput("payment", 2), extra.ExtraInput("tolls")),
    )  # fmt: skip
    inputs = {name: tf.constant([[value]]) for name, value in ROW.items()}
    names, *others = feature_names(feature_set, ["ohare"], landmarks, 2, EXTRAS).values()
    values = compute(inputs, geography).numpy()[0]
    assert len(names) == len(set(names)) == len(values)
    named = dict(zip(names, values, strict=True))
    assert named["passenger_count"] == 3 and named["tolls"] == 4.5
    assert (named["payment=cash"], named["payment=card"]) == (0, 1)
    if feature_set == "raw":
        assert named["after tariff change 1"] == 1 and named["after tariff change 2"] == 0
        return
    east, north = 0.03 * geography.cosine * 111.195, 0.02 * 111.195
    assert named["manhattan_km"] == pytest.approx(east + north, rel=1e-3)
    assert (named["east_km"], named["north_km"]) == pytest.approx((east, north), rel=1e-3)
    assert named["pickup_hour_sine"] == pytest.approx(np.sin(2 * np.pi / 3), abs=1e-3)
    assert named["pickup_to_ohare_km"] < named["dropoff_to_ohare_km"]
    if feature_set == "full":
        assert named["pickup_to_loop_km"] < 0.1 < named["dropoff_to_loop_km"]
        assert (named["before tariff change 1"], named["before tariff change 2"]) == (-1, 1)
        assert named["morning rush, 7-9 h"] == 1 and named["weekend"] == -1
        assert named["straight_km"] == pytest.approx(np.hypot(east, north), rel=1e-3)
        assert named["log_km"] == pytest.approx(np.log1p(np.hypot(east, north)), rel=1e-3)
        brief = dict(zip(*others, features.brief(inputs, geography).numpy()[0], strict=True))
        assert (brief["pickup_hour"], brief["tariff era, at most 1"], brief["tariff era, at most 2"]) == (8, 1, 1)
        assert {name: brief[name] for name in brief if name in named} == {n: named[n] for n in brief if n in named}
