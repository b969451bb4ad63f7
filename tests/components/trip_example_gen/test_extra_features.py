"""Extra features: a city's own inputs, from cells of the source to columns of the examples."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import extra_features, reader
from farebox.components.trip_example_gen.extra_features import Feature
from farebox.components.trip_example_gen.judging.judge import Trips
from farebox.components.trip_example_gen.profile import (
    Bounds,
    Box,
    CityProfile,
    Columns,
    profile_from_json,
    profile_to_json,
)
from farebox.components.trip_example_gen.schema import schema_text
from farebox.components.trip_example_gen.simulation.simulator import Order, simulate
from farebox.components.trip_example_gen.sources import chunks, reading
from farebox.components.trip_example_gen.splits import assign_splits
from farebox.components.trip_example_gen.values.dialect import PLAIN, CsvDialect

TRAFFIC_SAMPLE = Path(
    os.environ.get(
        "FAREBOX_TRAFFIC_SAMPLE", Path(__file__).parents[4] / "shared" / "data" / "nyc-traffic" / "taxi-traffic.csv"
    )
)
FEATURES = {
    "traffic": Feature(min=0, max=5000, meaning="trips under way", unit="trips"),
    "surge": Feature(column="multiplier", min=1, default=1.0),
    "vehicle_type": Feature(column="car", values=("sedan", "van")),
    "rate": Feature(values=(1, 2, 5), default=1),
}
CITY = CityProfile(
    name="here",
    columns=Columns("usd", "lon_a", "lat_a", "lon_b", "lat_b", pickup_time="when"),
    box=Box(-74.05, -73.75, 40.63, 40.85),
    fare=Bounds(2.5, 200),
    time_format="%Y-%m-%d %H:%M:%S",
    features=FEATURES,
)
PLAIN_CELLS = "12.5,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75"
HEADER = "usd,when,lon_a,lat_a,lon_b,lat_b,traffic,multiplier,car,rate"


def with_features(**features: Feature) -> CityProfile:
    return dataclasses.replace(CITY, features=features)


def read(folder: Path, *cells: str, profile: CityProfile = CITY) -> Trips:
    """One trip for each of `cells`, which are traffic, multiplier, car and rate."""
    path = folder / "trips.csv"
    path.write_text("\n".join([HEADER, *(f"{PLAIN_CELLS},{each}" for each in cells)]) + "\n")
    return trips_of(path, profile)


def trips_of(path: Path, profile: CityProfile) -> Trips:
    (chunk,) = reading.plan_chunks(reading.find_files(str(path)), profile, chunks.CHUNK_BYTES)
    (trips,) = reader.read_chunk(chunk, profile)
    return trips


def column(trips: Trips, name: str) -> list[float]:
    return trips.examples.column(trips.examples.schema.get_field_index(name)).to_pylist()


def test_features_are_columns_before_the_label(tmp_path):
    trips = read(tmp_path, "1059.5,1.5,van,5", "0,,sedan,", "5000,1, van ,2.0")
    assert trips.examples.schema.names[-5:] == ["rate", "surge", "traffic", "vehicle_type", "fare"]
    assert [str(field.type) for field in trips.examples.schema][-5:] == ["int64", "float", "float", "int64", "float"]
    assert column(trips, "traffic") == [1059.5, 0, 5000]
    assert column(trips, "surge") == [1.5, 1, 1]
    assert column(trips, "vehicle_type") == [1, 0, 1]
    assert column(trips, "rate") == [2, 0, 1]
    assert not trips.rejected.num_rows


@pytest.mark.parametrize(
    ("cells", "reason", "source_column"),
    [
        (",1,van,1", "feature_missing", "traffic"),
        ("NaN,1,van,1", "feature_missing", "traffic"),
        ("-1,1,van,1", "feature_out_of_bounds", "traffic"),
        ("5000.5,1,van,1", "feature_out_of_bounds", "traffic"),
        ("1e300,1,van,1", "feature_out_of_bounds", "traffic"),
        ("5,0.9,van,1", "feature_out_of_bounds", "multiplier"),
        ("5,1e300,van,1", "feature_out_of_bounds", "multiplier"),  # infinite in float32, and no max
        ("much,1,van,1", "feature_not_a_number", "traffic"),
        ("5,1,,1", "feature_missing", "car"),
        ("5,1,bus,1", "feature_unknown_value", "car"),
        ("5,1,VAN,1", "feature_unknown_value", "car"),
    ],
)
def test_a_row_without_a_valid_feature_is_rejected_with_its_reason(tmp_path, cells, reason, source_column):
    trips = read(tmp_path, "5,1,van,1", cells)
    assert trips.examples.num_rows == 1
    (row,) = trips.rejected.to_pylist()
    assert (row["row"], row["reason"], row["column"]) == (3, reason, source_column)


def test_an_unknown_value_counts_as_the_default(tmp_path):
    """Rate 3 is none of 1, 2 and 5."""
    assert column(read(tmp_path, "5,1,van,3", "5,1,van,2"), "rate") == [0, 1]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pa.array([1, 5, None, 3]), [0, 2, 0, 0]),
        (pa.array([2.0, 5.0, float("nan"), 1.0]), [1, 2, 0, 0]),
        (pa.array(["01", "5.0", "", "2"]), [0, 2, 0, 1]),
        (pa.array(["5", "2", "2", "1"]).dictionary_encode(), [2, 1, 1, 0]),
    ],
)
def test_categories_of_numbers_are_read_from_every_type_of_parquet(tmp_path, cells, expected):
    table = pa.table(
        {
            "usd": [12.5] * 4, "when": ["2011-01-28 20:42:59"] * 4, "lon_a": [-73.99] * 4, "lat_a": [40.73] * 4,
            "lon_b": [-73.98] * 4, "lat_b": [40.75] * 4, "rate": cells,
        }
    )  # fmt: skip
    pq.write_table(table, tmp_path / "trips.parquet")
    trips = trips_of(tmp_path / "trips.parquet", with_features(rate=FEATURES["rate"]))
    assert column(trips, "rate") == expected


def test_a_category_of_true_and_false(tmp_path):
    codes, unknown = extra_features.codes(pa.array([True, False, None]), Feature(values=("false", "true")), PLAIN)
    np.testing.assert_array_equal(codes, [1, 0, np.nan])
    assert not unknown.any()


def test_a_value_may_be_a_word_for_missing():
    codes, unknown = extra_features.codes(pa.array(["none", "NA", "bus"]), Feature(values=("van", "none")), PLAIN)
    np.testing.assert_array_equal(codes, [1, np.nan, np.nan])
    assert unknown.tolist() == [False, False, True]


@given(
    values=st.lists(
        st.text("abcäß 12.", min_size=1, max_size=4).map(str.strip).filter(bool), min_size=1, max_size=16, unique=True
    ),
    draws=st.lists(st.integers(0, 15), max_size=20),
)
def test_codes_are_places_in_values(values, draws):
    wanted = [draw % len(values) for draw in draws]
    cells = pa.array([f" {values[code]} " for code in wanted], pa.string())
    codes, unknown = extra_features.codes(cells, Feature(values=tuple(values)), CsvDialect())
    assert codes.tolist() == wanted
    assert not unknown.any()


def test_numbers_of_a_category_are_found_in_the_files_dialect():
    comma = CsvDialect(separator=";", decimal=",")
    codes, unknown = extra_features.codes(pa.array(["1,5", "2,0", "2", "3"]), Feature(values=(1.5, 2)), comma)
    np.testing.assert_array_equal(codes, [0, 1, 1, np.nan])
    assert unknown.tolist() == [False, False, False, True]


@pytest.mark.skipif(not TRAFFIC_SAMPLE.exists(), reason=f"{TRAFFIC_SAMPLE} is missing")
def test_the_traffic_of_real_trips(tmp_path):
    """The numbers as pandas reads them, in the trips that lie in the box."""
    names = ["usd", "day", "hour", "lon_a", "lat_a", "lon_b", "lat_b", "traffic"]
    path = tmp_path / "trips.csv"
    path.write_text(",".join(names) + "\n" + TRAFFIC_SAMPLE.read_text())
    columns = Columns("usd", "lon_a", "lat_a", "lon_b", "lat_b", pickup_hour="hour", pickup_weekday="day")
    city = dataclasses.replace(with_features(traffic=Feature(min=0)), columns=columns, weekdays="sunday_1")
    trips = trips_of(path, city)
    table, box = pd.read_csv(path), city.box
    for end in ("a", "b"):
        table = table[table[f"lon_{end}"].astype("f").between(np.float32(box.west), np.float32(box.east))]
        table = table[table[f"lat_{end}"].astype("f").between(np.float32(box.south), np.float32(box.north))]
    assert trips.examples.num_rows == len(table) > 31000
    assert column(trips, "traffic") == table["traffic"].tolist()


def test_an_expression_is_a_feature(tmp_path):
    city = with_features(
        busy=Feature(column="traffic / 100 + multiplier"), car_rate=Feature(column="car + rate", values=("van1",))
    )
    trips = read(tmp_path, "50,1,van,1", "50,1,van,2", profile=city)
    assert column(trips, "busy") == [1.5]
    assert column(trips, "car_rate") == [0]
    assert trips.reasons() == {("feature_unknown_value", "car + rate"): 1}


def test_text_in_a_number_tells_to_give_values(tmp_path):
    city = with_features(car=Feature())
    (tmp_path / "trips.csv").write_text(f"{HEADER}\n" + f"{PLAIN_CELLS},5,1,van,1\n" * 3)
    with pytest.raises(
        InputError,
        match=r"none of 3 rows is a trip of here: 3 feature_not_a_number \(column car\); give the texts of column car "
        "as city.features.NAME.values",
    ):
        list(reader.read_trips(str(tmp_path / "trips.csv"), city))


def test_a_file_without_the_column_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"column car \(city.features.vehicle_type\) is missing"):
        (tmp_path / "trips.csv").write_text(f"{HEADER.replace('car', 'auto')}\n{PLAIN_CELLS},5,1,van,1\n")
        trips_of(tmp_path / "trips.csv", CITY)


def test_schema_has_types_and_domains():
    text = schema_text(CITY)

    def of(name: str) -> str:
        return text.partition(f'name: "{name}"')[2].partition("feature {")[0]

    assert "type: FLOAT" in of("traffic") and "float_domain { min: 0 max: 5000 }" in of("traffic")
    assert "float_domain { min: 1 }" in of("surge")
    assert "int_domain { min: 0 max: 1 is_categorical: true }" in of("vehicle_type")
    assert "domain" not in schema_text(with_features(free=Feature())).partition('"free"')[2].partition("feature {")[0]
    assert "int_domain { min: 0 max: 0 is_categorical: true }" in schema_text(with_features(one=Feature(values=("x",))))


def test_tfx_reads_the_schema():
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = text_format.Parse(schema_text(CITY), schema_pb2.Schema())
    assert [feature.name for feature in schema.feature] == list(CITY.example_columns)


def test_trips_that_differ_in_a_feature_only_may_differ_in_split(tmp_path):
    """Equal trips share a split; these are none."""
    trips = read(tmp_path, *(f"{traffic},1,van,1" for traffic in range(300)))
    counts = np.bincount(assign_splits(trips.examples, (1, 1, 1)), minlength=3)
    assert counts.min() > 60  # 100 each by chance, standard deviation 8
    same = read(tmp_path, *["7,1,van,1"] * 50)
    assert len(set(assign_splits(same.examples, (1, 1, 1)))) == 1


def test_profiles_survive_json():
    """With their columns in the same order, of which a split is a hash."""
    again = profile_from_json(profile_to_json(CITY))
    assert again == CITY
    assert list(again.example_columns) == list(CITY.example_columns)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"fare": Feature()}, "city.features.fare: fare is the name of one of Farebox's columns"),
        ({"numeric": Feature()}, "numeric is the name of one of Farebox's columns"),
        ({"traffic count": Feature()}, "traffic count is no name; use another one of letters, digits and _"),
        ({"a": Feature(values=("x", "x"))}, "city.features.a.values=x, x must be different texts"),
        ({"a": Feature(values=tuple("abcdefghijklmnopq"))}, "city.features.a.values must be at most 16, got 17"),
        ({"a": Feature(values=("x",), default="y")}, "city.features.a.default=y must be one of x"),
        ({"a": Feature(values=("x",), max=3)}, "city.features.a has values, so it must have no min, max or unit"),
        ({"a": Feature(values=(True, False))}, "city.features.a.values=True must be text: put it in quotes"),
        ({"a": Feature(default="x")}, "city.features.a.default=x must be a number, or give the category's `values`"),
        ({"a": Feature(min=3, max=3)}, "city.features.a: min=3 must be below max=3"),
        ({"a": Feature(max=float("inf"))}, "city.features.a.max=inf must be a finite number"),
        ({"a": Feature(min=0, default=-1)}, "city.features.a.default=-1 must be between min=0 and max=None"),
        ({"a": Feature(unit="[km]")}, r"city.features.a.unit='\[km\]' must have no"),
        ({"a": Feature(values=("x\ny",))}, r"city.features.a.values='x\\ny' must have no"),
        ({"a": Feature(column="usd", known_before=True)}, "column usd is the fare"),
        ({"a": Feature(column="usd / 2", known_before=True)}, "column usd is the fare"),
    ],
)
def test_features_that_cannot_be_are_refused(features, message):
    with pytest.raises(InputError, match=message):
        with_features(**features)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("trip_seconds", "a duration"),
        ("tripDuration", "a duration"),
        ("minutes", "a duration"),
        ("trip_distance", "a distance driven"),
        ("trip_miles", "a distance driven"),
        ("TripKm", "a distance driven"),
        ("tip_amount", "a tip"),
        ("Tips", "a tip"),
        ("total_amount", "a part of the fare"),
        ("tolls_amount", "a part of the fare"),
        ("fare_amount", "a part of the fare"),
        ("payment_type", "a payment"),
        ("tpep_dropoff_datetime", "a time of the dropoff"),
        ("Trip End Timestamp", None),  # three names; in backquotes the column's words are joined
        ("trip_end_timestamp", "a time of the dropoff"),
        ("dropoffTime", "a time of the dropoff"),
        ("traffic", None),
        ("multiplier", None),  # has "tip" in it
        ("dropoff_zone", None),
        ("min_temperature", None),
        ("passengers_with_bags", None),
        ("station", None),  # has "at" in it
    ],
)
def test_names_that_say_what_is_known_only_after_a_trip(name, reason):
    assert extra_features.known_after(name) == reason


def test_what_is_known_only_after_a_trip_is_refused_unless_insisted_upon():
    for feature in (Feature(), Feature(column="x")):
        with pytest.raises(
            InputError,
            match="city.features.trip_seconds: trip_seconds sounds like a duration, which is known only after the trip"
            ".*set city.features.trip_seconds.known_before: true",
        ):
            with_features(trip_seconds=feature)
    with pytest.raises(InputError, match=r"city.features.speed: trip_miles / hours sounds like a distance driven"):
        with_features(speed=Feature(column="trip_miles / hours"))
    assert "trip_seconds" in with_features(trip_seconds=Feature(known_before=True)).example_columns


@pytest.mark.parametrize("name", ["trips.csv", "trips.parquet"])
def test_simulated_trips_have_the_features(tmp_path, name):
    city = with_features(**FEATURES, place=Feature(values=('a "b"', "c, d")))
    simulate(city, Order(500, seed=3, dirt=0), str(tmp_path / name))
    trips = trips_of(tmp_path / name, city)
    assert trips.examples.num_rows == 500
    assert set(column(trips, "place")) == {0, 1} and set(column(trips, "rate")) == {0, 1, 2}
    assert min(column(trips, "traffic")) >= 0 and 1000 < max(column(trips, "traffic")) <= 5000
