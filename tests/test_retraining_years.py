"""New York's real trips by years: the rise of September 2012 is detected as drift, and retraining on it helps.

The first whole year of the new fares shows it: 29 % of 2012's trips came after the rise. The sample of real trips is
not part of the project.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
BESIDE = Path(__file__).parents[2] / "shared" / "data" / "nyc" / "taxi-fares.csv"  # beside the repository
TRIPS = Path(os.environ.get("FAREBOX_NYC", BESIDE))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TRIPS.is_file(), reason="FAREBOX_NYC must name a file of dated trips of New York"),
]


@pytest.fixture(scope="module")
def years(tmp_path_factory):
    """The tick of each year, with default settings: without a teacher, 2013's model is refused by max_bias."""
    sys.path.insert(0, str(BENCHMARKS))
    benchmark = importlib.import_module("retraining_years")
    sys.path.remove(str(BENCHMARKS))
    return {each.year: each for each in benchmark.run(TRIPS, tmp_path_factory.mktemp("years"), ())}


def test_the_rise_of_2012_is_drift(years):
    causes = {year: each.record.causes for year, each in years.items()}
    assert (causes[2011], causes[2012], causes[2013]) == (("new_data",), (), ("drift",))  # in 2011 there was no model
    assert years[2013].record.drift["fare"] > 0.02


def test_a_model_retrained_on_the_drift_beats_the_one_from_before_it(years):
    assert years[2013].record.outcome == "pushed"
    assert years[2013].rmse < 0.97 * years[2013].stale
