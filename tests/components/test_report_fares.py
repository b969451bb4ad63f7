"""The report's numbers about fares, from trips whose errors are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.reporter import fares
from farebox.components.reporter.fares import JudgedTrips
from farebox.components.tflite.bands import Bands

ONE_KM = 1 / 111.195  # degrees of latitude


def trips(actual, predicted, km=None, bands=None, of=None) -> JudgedTrips:
    """Trips due north of one place on the equator."""
    n = len(actual)
    columns = {
        "pickup_longitude": np.zeros((n, 1), np.float32),
        "pickup_latitude": np.zeros((n, 1), np.float32),
        "dropoff_longitude": np.zeros((n, 1), np.float32),
        "dropoff_latitude": (np.ones(n) if km is None else np.asarray(km))[:, None] * ONE_KM,
        "pickup_hour": np.arange(n)[:, None] % 24,
    }
    return JudgedTrips(columns, np.asarray(actual, float), np.asarray(predicted, float), bands, of or n)


def test_the_distance_is_that_of_the_coordinates():
    assert fares.kilometres(trips([1, 1], [1, 1], km=[1.0, 8.0])) == pytest.approx([1.0, 8.0], rel=1e-3)


def test_errors_of_constant_size_have_no_width():
    """All errors are 2, so RMSE and every jackknife replicate are 2."""
    assert fares.rmse_with_interval(np.full(40, 2.0)) == (2.0, 2.0, 2.0)
    assert fares.rmse_with_interval(np.full(19, 2.0)) == (2.0, None, None)


def test_errors_by_octile_cover_every_trip_once():
    rows = fares.by_quantile(trips(np.arange(80.0), np.arange(80.0) + 3), np.arange(80.0))
    assert len(rows) == 8 and sum(row["rows"] for row in rows) == 80
    assert {(row["mae"], row["bias"], row["coverage"]) for row in rows} == {(3.0, 3.0, None)}
    assert rows[0]["low"] == 0 and rows[-1]["high"] == 79


def test_equal_values_make_one_bin():
    (row,) = fares.by_quantile(trips(np.full(30, 5.0), np.full(30, 6.0)), np.full(30, 5.0))
    assert (row["rows"], row["low"], row["high"]) == (30, 5.0, 5.0)


def test_coverage_is_counted_by_band_of_the_prediction():
    """Ranges: 10 ± 1 holds 10.5 and not 12; 20 - 2 to 20 + 4 holds both."""
    bands = Bands(0.9, (15.0,), (-1.0, -2.0), (1.0, 4.0))
    rows = fares.by_band(trips([10.5, 12, 18, 24], [10, 10, 20, 20], bands=bands))
    assert [(row["low"], row["high"], row["rows"], row["coverage"], row["width"]) for row in rows] == [
        (None, 15.0, 2, 0.5, 2.0),
        (15.0, None, 2, 1.0, 6.0),
    ]


def test_the_worst_trips_come_first_with_what_is_odd():
    """One of 200 trips stays in its place and costs 90 for a predicted 10: nearly all of the squared error."""
    actual = np.r_[90.0, np.full(199, 10.0)]
    km = np.r_[0.0, np.linspace(1, 2, 199)]
    found = fares.worst(trips(actual, np.r_[10.0, np.full(199, 10.5)], km=km))
    assert len(found) == 10
    first = found[0]
    assert (first["actual"], first["predicted"], first["km"]) == (90.0, 10.0, 0.0)
    assert first["share"] == pytest.approx(6400 / (6400 + 199 / 4))
    assert first["odd"] == ["begins and ends at one place", "fare in the highest 1%, distance in the lowest 1%"]
    assert first["columns"]["pickup_hour"] == 0


@pytest.mark.parametrize(("km", "times"), [(2.0, "4"), (0.01, "800")])
def test_a_rare_rate_is_odd(km, times):
    actual = np.r_[40.0, np.full(199, 10.0)]
    texts = fares.worst(trips(actual, np.full(200, 10.0), km=np.r_[km, np.full(199, 2.0)]))[0]["odd"]
    assert texts[0] == f"{times} times the median fare per km"


def test_cells_with_few_trips_show_no_error():
    grid = fares.cells(trips(np.full(8, 3.0), np.full(8, 5.0)))
    assert [cell[2:] for cell in grid["cells"]] == [[8, 2.0]]
    grid = fares.cells(trips(np.full(4, 3.0), np.full(4, 5.0)))
    assert [cell[2:] for cell in grid["cells"]] == [[4, None]]


def test_an_input_that_a_file_ignores_has_no_importance():
    """One file answers with the distance, which is the fare; the other with 0 whatever it is given."""
    km = np.linspace(1, 9, 64)
    judged = trips(km, km, km=km)
    files = {
        "reads": lambda columns: columns["dropoff_latitude"] / ONE_KM,
        "ignores": lambda columns: np.zeros(len(columns["dropoff_latitude"])),
    }
    names = ["pickup_longitude", "pickup_latitude", "dropoff_longitude", "dropoff_latitude", "pickup_hour"]
    rows = {row["input"]: row for row in fares.importance(judged, names, files)}
    assert list(rows) == ["pickup place", "dropoff place", "pickup_hour"]
    assert rows["dropoff place"]["reads"] > 1 and rows["pickup place"]["reads"] == rows["pickup_hour"]["reads"] == 0
    assert {row["ignores"] for row in rows.values()} == {0.0}


def test_the_page_shows_at_most_a_thousand_dots():
    content = fares.content(trips(np.linspace(3, 50, 5000), np.linspace(4, 51, 5000), of=9000))
    assert (len(content["dots"]), content["rows"], content["of"]) == (1000, 5000, 9000)
    assert content["median_absolute_error"] == pytest.approx(1.0)
