"""A model in Python: one trip or many, in the tables that people have, and errors that name value and row.

fare_tflite: fare = 2.5 - 0.1 pickup_longitude + passenger_count + 0.5 pickup_hour + 0.25 pickup_weekday
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import farebox
from farebox import FareModel, InputError
from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.metadata import described

TRIP = {
    "pickup_longitude": -70.0, "pickup_latitude": 40.7, "dropoff_longitude": -73.9, "dropoff_latitude": 40.8,
    "pickup_hour": 8, "pickup_weekday": 2,
}  # fmt: skip
FARE = 2.5 + 7 + 1 + 4 + 0.5


@pytest.fixture
def model(tmp_path: Path, fare_tflite: bytes) -> FareModel:
    (tmp_path / "fare.tflite").write_bytes(fare_tflite)
    return FareModel.load(tmp_path / "fare.tflite")


def test_one_trip_is_a_float(model):
    fare = model.predict(TRIP)
    assert isinstance(fare, float) and fare == pytest.approx(FARE)


@pytest.mark.parametrize(
    "table_of",
    [
        lambda rows: {name: [row[name] for row in rows] for name in rows[0]},
        pd.DataFrame,
        pa.Table.from_pylist,
        pa.RecordBatch.from_pylist,
    ],
    ids=["lists", "pandas", "table", "batch"],
)
def test_many_trips_in_each_table(model, table_of):
    fares = model.predict(
        table_of([{**TRIP, "passenger_count": 3, "note": "x"}, {**TRIP, "passenger_count": 1, "note": ""}])
    )
    assert fares.dtype == np.float32
    np.testing.assert_allclose(fares, [FARE + 2, FARE])


def zoned(folder: Path, content: bytes) -> FareModel:
    """The model as a version with a table of two places."""
    table = {"132": [-70, 40.7, "JFK Airport"], "230": [-73.9, 40.8]}
    push.push(content, LocalStore(folder / "models/zoned"), {}, locations=json.dumps(table).encode())
    return FareModel.load(folder / "models/zoned")


def test_places_instead_of_coordinates(tmp_path, fare_tflite):
    model = zoned(tmp_path, fare_tflite)
    time = {"pickup_hour": 8, "pickup_weekday": 2}
    assert model.predict({"pickup_location": 132, "dropoff_location": "230", **time}) == model.predict(TRIP)
    both = {"pickup_location": ["jfk airport", 230], "dropoff_location": [230, "132"], "pickup_hour": [8, 8]}
    fares = model.predict(pd.DataFrame({**both, "pickup_weekday": [2, 2]}))
    np.testing.assert_allclose(fares, [FARE, FARE + 0.39])
    half = {**TRIP, "dropoff_location": "nowhere"}
    assert model.predict(half) == model.predict(TRIP), "coordinates count if there are both"


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"pickup_location": 13, "dropoff_location": 230}, "pickup_location=13 must be the id or name of one of the"),
        ({"pickup_location": 230, "dropoff_location": "JFK"}, "dropoff_location=JFK must be .*; similar: JFK Airport"),
        ({"pickup_location": 230}, "dropoff_longitude"),
        ({"pickup_location": 230, "pickup_latitude": 40.0, "dropoff_location": 132}, "pickup_longitude"),
    ],
)
def test_unknown_places_are_refused(tmp_path, fare_tflite, places, message):
    with pytest.raises(InputError, match=message):
        zoned(tmp_path, fare_tflite).predict({**places, "pickup_hour": 8, "pickup_weekday": 2})


def test_places_need_a_table(model):
    with pytest.raises(InputError, match=r"column pickup_location needs locations.json beside the model, got none"):
        model.predict({"pickup_location": 132, "dropoff_location": 230, "pickup_hour": 8, "pickup_weekday": 2})


def with_words(folder: Path, content: bytes, currency: str = "", **facts) -> Path:
    """The file with a description of these facts."""
    path = folder / "fare.tflite"
    path.write_bytes(described(content, Description(output=TensorDescription("fare", unit=currency), facts=facts)))
    return path


BANDS = {"coverage": 0.9, "edges": [13.0], "lower": [-1.0, -4.0], "upper": [2.0, 8.0], "floor": 2.5}


def test_a_range_with_every_fare(tmp_path, fare_tflite):
    """A fare of 15 is in the upper band; 1 of 12, whose range begins at 11."""
    model = FareModel.load(with_words(tmp_path, fare_tflite, "USD", bands=BANDS))
    assert (model.coverage, model.currency) == (0.9, "USD")
    ranged = model.predict_range(TRIP)
    assert all(isinstance(value, float) for value in ranged) and ranged == pytest.approx((15.0, 11.0, 23.0))
    near = {**TRIP, "pickup_longitude": -40.0}
    fares, low, high = model.predict_range(pd.DataFrame([TRIP, near]))
    np.testing.assert_allclose([fares, low, high], [[15, 12], [11, 11], [23, 14]], rtol=1e-6)
    assert [len(each) for each in model.predict_range({name: [] for name in TRIP})] == [0, 0, 0]
    with pytest.raises(InputError, match="^pickup_hour=24 must be between 0 and 23$"):
        model.predict_range({**TRIP, "pickup_hour": 24})


def test_a_model_without_bands_has_no_ranges(model, tmp_path, fare_tflite):
    assert (model.coverage, model.currency) == (None, None)
    for each in (model, FareModel.load(with_words(tmp_path, fare_tflite))):
        with pytest.raises(InputError, match="^model=.*fare.tflite must have bands in its metadata, got none"):
            each.predict_range(TRIP)


def test_bands_that_cannot_be_read_are_bad_input(tmp_path, fare_tflite):
    path = with_words(tmp_path, fare_tflite, bands={**BANDS, "edges": []})
    with pytest.raises(InputError, match=r"^bands.edges=\(\) must be 1 ascending numbers"):
        FareModel.load(path)


def test_no_trips_are_no_fares(model):
    assert model.predict({name: [] for name in TRIP}).shape == (0,)


def test_the_time_of_a_pickup_gives_hour_and_weekday(model):
    """6 March 2024 was a Wednesday; 2 January 1970 a Friday."""
    trip = {name: value for name, value in TRIP.items() if name not in ("pickup_hour", "pickup_weekday")}
    assert model.predict({**trip, "pickup_time": np.datetime64("2024-03-06T08:59:59")}) == pytest.approx(FARE)
    times = pd.to_datetime(["2024-03-06 08:00", "1970-01-02 23:30"])
    fares = model.predict(pd.DataFrame([trip, trip]).assign(pickup_time=times))
    np.testing.assert_allclose(fares, [FARE, FARE + 0.5 * 15 + 0.25 * 2])


def test_the_time_of_a_pickup_gives_the_era(tmp_path, convert_tflite):
    """From the days that the file tells; a change comes at midnight."""
    model = FareModel.load(with_words(tmp_path, convert_tflite(era=2), tariff_changes=["2012-09-04", "2015-01-01"]))
    trip = {name: value for name, value in TRIP.items() if name not in ("pickup_hour", "pickup_weekday")}
    times = ["2012-09-03T08:00", "2014-12-31T08:59", "2015-01-01T08:00"]  # Monday, Wednesday, Thursday
    fares = model.predict(pd.DataFrame([trip] * 3).assign(pickup_time=pd.to_datetime(times)))
    np.testing.assert_allclose(fares, [FARE - 0.5, FARE, FARE + 5.25])
    assert model.predict({**TRIP, "pickup_time": np.datetime64("2012-09-03")}) == pytest.approx(FARE)


ZONED = pd.Timestamp("2012-07-04 13:00", tz="UTC")  # 8 h on a Wednesday in Chicago


@pytest.mark.parametrize(
    "table_of",
    [
        lambda row: row,
        lambda row: {**row, "pickup_time": ZONED.to_pydatetime()},
        lambda row: {name: [value] for name, value in row.items()},
        lambda row: pd.DataFrame([row]),
        lambda row: pd.DataFrame([{**row, "pickup_time": ZONED.tz_convert("Asia/Tokyo")}]),
        lambda row: pa.Table.from_pandas(pd.DataFrame([row])),
        lambda row: pa.RecordBatch.from_pandas(pd.DataFrame([row])),
    ],
    ids=["timestamp", "datetime", "list", "pandas", "pandas of another zone", "table", "batch"],
)
def test_times_with_a_zone_become_the_citys(tmp_path, fare_tflite, table_of):
    """NumPy turns them into UTC without a word: 13 h, for which the fare is 2.50 higher."""
    model = FareModel.load(with_words(tmp_path, fare_tflite, time_zone="America/Chicago"))
    trip = {name: value for name, value in TRIP.items() if name not in ("pickup_hour", "pickup_weekday")}
    assert model.time_zone == "America/Chicago"
    assert model.predict(table_of({**trip, "pickup_time": ZONED})) == pytest.approx(FARE)


@pytest.mark.parametrize("to", ["c", "js", "python"])
def test_exported_source_says_whose_local_time_it_takes(tmp_path, fare_tflite, to):
    inputs = tuple(
        TensorDescription(name, meaning="local time, Monday 0" if name == "pickup_weekday" else "")
        for name in FareModel(fare_tflite, tmp_path).input_names
    )
    zoned = Description(inputs=inputs, output=TensorDescription("fare"), facts={"time_zone": "America/Chicago"})
    (tmp_path / "fare.tflite").write_bytes(described(fare_tflite, zoned))
    answers = FareModel.load(tmp_path / "fare.tflite").predict(TRIP)
    rows = {name: [TRIP.get(name, 1)] for name in FareModel(fare_tflite, tmp_path).input_names}
    (tmp_path / "golden.json").write_text(json.dumps({"inputs": rows, "outputs": {"fare": [answers]}}))
    files = farebox.export(tmp_path / "fare.tflite", to, tmp_path / "out")
    assert any("local time of America/Chicago, Monday 0" in file.read_text() for file in files)


def test_times_with_a_zone_need_the_citys(model):
    with pytest.raises(
        InputError, match="^column pickup_time has the zone UTC, but the model does not tell its city's"
    ):
        model.predict({**TRIP, "pickup_time": ZONED})


def test_a_pickup_before_the_models_days_is_refused(tmp_path, fare_tflite):
    model = FareModel.load(with_words(tmp_path, fare_tflite, days=["2009-01-01", "2015-06-30"]))
    with pytest.raises(
        InputError, match="^pickup_time=1999-01-01 must be on 2009-01-01 or later: the model was made fr"
    ):
        model.predict({**TRIP, "pickup_time": np.datetime64("1999-01-01T08:00")})
    with pytest.warns(
        UserWarning, match="^pickup_time=2026-11-28 is more than 366 days after 2015-06-30, the last day"
    ):
        model.predict({**TRIP, "pickup_time": np.datetime64("2026-11-28T08:00")})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict({**TRIP, "pickup_time": np.datetime64("2016-06-30T08:00")})


def test_an_integer_beyond_64_bits_is_out_of_bounds(model):
    with pytest.raises(InputError, match=r"^passenger_count=1e\+20 must be between 1 and 99"):
        model.predict({**TRIP, "passenger_count": 10**20})


def test_days_that_are_none_are_bad_input(tmp_path, fare_tflite):
    with pytest.raises(InputError, match=r"^model=.*fare.tflite: tariff_changes=\['soon'\] must be days, such as"):
        FareModel.load(with_words(tmp_path, fare_tflite, tariff_changes=["soon"]))


def test_a_model_of_several_tariffs_takes_the_era_or_the_last_one(tmp_path, convert_tflite):
    (tmp_path / "dated.tflite").write_bytes(convert_tflite(era=2))
    model = FareModel.load(tmp_path / "dated.tflite")
    fares = [model.predict({**TRIP, "pickup_era": era}) for era in (0, 1, 2, 3)]
    assert [*fares, model.predict(TRIP)] == pytest.approx([FARE, FARE, FARE + 5, FARE + 5, FARE + 5])


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"pickup_hour": 24}, "pickup_hour=24 must be between 0 and 23"),
        ({"pickup_weekday": -1}, "pickup_weekday=-1 must be between 0 and 6"),
        ({"pickup_latitude": 140.7}, "pickup_latitude=140.7 must be between -90 and 90"),
        ({"dropoff_longitude": float("nan")}, "dropoff_longitude=nan must be between -180 and 180"),
        ({"passenger_count": 0}, "passenger_count=0 must be between 1 and 99"),
        ({"pickup_time": np.datetime64("NaT")}, "column pickup_time must be datetime64 without missing times"),
        ({"pickup_time": 1_500_000_000}, "column pickup_time must be datetime64 without missing times, got int64"),
        ({"pickup_time": "soon"}, "column pickup_time must be datetime64, got <U4"),
        ({"pickup_hour": "eight"}, "column pickup_hour must be numbers of shape (n,) or (n, 1), got <U5"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(model, changes, line):
    with pytest.raises(InputError) as caught:
        model.predict({**TRIP, **changes})
    assert str(caught.value).startswith(line)


BOUNDS = {"longitude": (-74.05, -69.5), "latitude": (40.63, 40.85)}


@pytest.fixture
def boxed(tmp_path: Path, fare_tflite: bytes) -> FareModel:
    """A model whose file tells its box and up to six passengers."""
    places = [
        TensorDescription(f"{end}_{axis}", minimum=low, maximum=high)
        for end in ("pickup", "dropoff")
        for axis, (low, high) in BOUNDS.items()
    ]
    inputs = (*places, TensorDescription("passenger_count", minimum=1, maximum=6))
    (tmp_path / "boxed.tflite").write_bytes(described(fare_tflite, Description("nyc", inputs=inputs)))
    return FareModel.load(tmp_path / "boxed.tflite")


SWAP = "; swap {0}_longitude and {0}_latitude: then the place fits"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"pickup_longitude": 40.7, "pickup_latitude": -70.0},
            "pickup_longitude=40.7 must be between -74.05 and -69.5 for the model of nyc" + SWAP.format("pickup"),
        ),
        (
            {"dropoff_longitude": 40.8, "dropoff_latitude": -73.9},
            "dropoff_longitude=40.8 must be between -74.05 and -69.5 for the model of nyc" + SWAP.format("dropoff"),
        ),
        ({"dropoff_latitude": 41.9}, "dropoff_latitude=41.9 must be between 40.63 and 40.85 for the model of nyc"),
        ({"pickup_longitude": 0, "pickup_latitude": 0}, "pickup_longitude=0 must be between -74.05 and -69.5 for the "),
        ({"passenger_count": 7}, "passenger_count=7 must be between 1 and 6 for the model of nyc"),
        ({"pickup_hour": 24}, "pickup_hour=24 must be between 0 and 23"),
    ],
)
def test_a_place_outside_the_files_own_box_is_refused(boxed, changes, line):
    with pytest.raises(InputError) as caught:
        boxed.predict({**TRIP, **changes})
    assert str(caught.value).startswith(line) and str(caught.value).endswith(line[-20:]) == (not line.endswith("the "))


def test_an_era_beyond_the_last_is_the_last_one(tmp_path, convert_tflite):
    """The file says 0 to 2: larger numbers stay allowed, smaller ones do not."""
    said = Description("nyc", inputs=(TensorDescription("pickup_era", minimum=0, maximum=2),))
    (tmp_path / "dated.tflite").write_bytes(described(convert_tflite(era=2), said))
    model = FareModel.load(tmp_path / "dated.tflite")
    assert model.predict({**TRIP, "pickup_era": 9}) == model.predict({**TRIP, "pickup_era": 2}) == model.predict(TRIP)
    with pytest.raises(InputError, match="^pickup_era=-1 must be between 0 and 2147483647 for the model of nyc$"):
        model.predict({**TRIP, "pickup_era": -1})


@pytest.mark.parametrize("dtype", [float, np.float32])
def test_the_edge_of_the_box_is_inside(boxed, dtype):
    """The file holds float32: -74.05 there is -74.05000305, and a row of either type lies within."""
    edges = {
        "pickup_longitude": -74.05,
        "dropoff_longitude": -69.5,
        "pickup_latitude": 40.63,
        "dropoff_latitude": 40.85,
    }
    rows = {name: np.array([value], dtype) for name, value in edges.items()}
    assert boxed.predict({**rows, "pickup_hour": [8], "pickup_weekday": [2]}).shape == (1,)


def test_a_model_tells_what_its_inputs_mean(boxed, model):
    by_name = {each.name: each for each in boxed.description.inputs}
    assert (boxed.description.name, by_name["pickup_longitude"].minimum) == ("nyc", -74.05)
    assert [each.name for each in model.description.inputs] == list(model.input_names)


def test_metadata_that_cannot_be_read_are_bad_input(tmp_path, fare_tflite):
    content = described(fare_tflite, Description("nyc")).replace(b"M001", b"M002")
    (tmp_path / "odd.tflite").write_bytes(content)
    with pytest.raises(InputError, match="odd.tflite: its metadata must be readable: TFLITE_METADATA must begin with"):
        FareModel.load(tmp_path / "odd.tflite")


def test_the_row_is_named(model):
    with pytest.raises(InputError, match="^pickup_hour=99 in row 1 must be between 0 and 23$"):
        model.predict(pd.DataFrame([TRIP, {**TRIP, "pickup_hour": 99}]))


def test_a_missing_column_is_named(model):
    with pytest.raises(InputError, match="^column pickup_hour is missing: .*got pickup_longitude"):
        model.predict({name: value for name, value in TRIP.items() if name != "pickup_hour"})


@pytest.mark.parametrize("trips", [7, "trips.csv", [TRIP]])
def test_what_is_no_table_is_bad_input(model, trips):
    with pytest.raises(
        InputError, match=f"^trips={type(trips).__name__} must be a dict, a DataFrame or an Arrow table$"
    ):
        model.predict(trips)


def test_the_face_lists_what_it_has_and_imports_nothing():
    """Each listed name can be used, and `import farebox` alone loads no module of ours or of TFX."""
    for name in farebox.__all__:
        assert getattr(farebox, name).__name__ == name
    assert set(farebox.__all__) <= set(dir(farebox))
    code = "import sys; before = set(sys.modules); import farebox; print(*(set(sys.modules) - before))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in shown if name.startswith(("farebox.", "tensorflow", "tfx", "numpy"))] == []


def test_a_name_that_the_face_lacks_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'farebox' has no attribute 'rnu'"):
        _ = farebox.rnu


@pytest.mark.slow
def test_a_library_call_leaves_the_process_as_it_is(tmp_path):
    """No output, no redirected descriptor, no variable, no import hook; libraries' own imports come first."""
    code = """
import os, sys
import tensorflow, tf_keras, tfx.v1
from farebox import load_settings, run

def state():
    files = [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)]
    return files, dict(os.environ), list(sys.meta_path), sys.stdout, sys.stderr

before = state()
result = run(load_settings("chicago", overrides={"training.epochs": 2, "training.max_rows": 2000}), out="work")
assert state() == before
assert result.pushed is None or result.model is not None
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ
    )
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr[-3000:]
