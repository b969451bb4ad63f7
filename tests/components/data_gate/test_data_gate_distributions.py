"""DataGate's distances: against TFDV's own and SciPy's, on statistics that TFDV made."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from farebox.components.data_gate import distributions
from farebox.components.data_gate.distributions import Bucket, Distribution

CHANCES = {"l_infinity": 3.891, "chi2": 33.72}  # two-sided normal and chi-squared of 9, at 1e-4: tables


@pytest.fixture(scope="module")
def schema():
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    text = 'feature { name: "weekday" type: INT int_domain { min: 0 max: 6 is_categorical: true } }'
    return text_format.Parse(text + ' feature { name: "fare" type: FLOAT }', schema_pb2.Schema())


@pytest.fixture(scope="module")
def statistics(schema):
    """(rows, seed, factor, Sundays' weight) -> TFDV's statistics of fares, most of them round, and weekdays."""
    import tensorflow_data_validation as tfdv

    def make(n, seed, factor=1.0, sundays=1.0, buckets=100):
        random = np.random.default_rng(seed)
        fare = np.round(random.lognormal(2.3, 0.6, n) * factor * 2) / 2
        weight = np.array([1, 1, 1, 1, 1, 1, sundays])
        frame = pd.DataFrame({"fare": fare.astype(np.float32), "weekday": random.choice(7, n, p=weight / weight.sum())})
        options = tfdv.StatsOptions(schema=schema, num_quantiles_histogram_buckets=buckets)
        return tfdv.generate_statistics_from_dataframe(frame, options, n_jobs=1)

    return make


def _distributions(statistics):
    return distributions.distributions(distributions.read(statistics.SerializeToString()))


def test_l_infinity_is_tfdvs(schema, statistics):
    import tensorflow_data_validation as tfdv
    from tensorflow_metadata.proto.v0 import schema_pb2

    now, before = statistics(3000, 1, sundays=3.0), statistics(2000, 2)
    compared = schema_pb2.Schema()
    compared.CopyFrom(schema)
    compared.feature[0].drift_comparator.infinity_norm.threshold = 0.0
    tfdv_drift = tfdv.validate_statistics(now, compared, previous_statistics=before).drift_skew_info[0]
    ours = distributions.distance(_distributions(now)["weekday"], _distributions(before)["weekday"])
    assert ours.value == pytest.approx(tfdv_drift.drift_measurements[0].value, abs=1e-9)
    assert (ours.measure, ours.grown.value) == ("L-infinity", "6") and ours.grown.holds(6) and not ours.grown.holds(5)


def test_jensen_shannon_by_hand():
    """Half of all values in common: JS of (1/2, 1/2, 0) and (0, 1/2, 1/2) is 0.5 bits."""
    now, before = np.repeat([1.0, 2.0], 50), np.repeat([2.0, 3.0], 50)
    distance = distributions.distance(Distribution(400, quantiles=now), Distribution(400, quantiles=before))
    assert distance.value == pytest.approx(0.5)
    assert distance.measure == "Jensen-Shannon"
    assert (distance.grown.now, distance.grown.before) == (0.5, 0.0)
    assert distance.grown.holds(1.0) and not distance.grown.holds(2.0)


def test_chance_equals_the_tables():
    half = Distribution(1000, shares={"a": 0.5, "b": 0.5})
    distance = distributions.distance(half, half)
    assert distance.chance == pytest.approx(CHANCES["l_infinity"] * math.sqrt(0.25 * 2 / 1000), rel=1e-3)
    even = Distribution(1000, quantiles=np.arange(100.0))
    distance = distributions.distance(even, even)
    assert distance.value == pytest.approx(0.0, abs=1e-12)
    assert distance.chance == pytest.approx(CHANCES["chi2"] * 2 / 1000 / (8 * math.log(2)), rel=1e-3)


def test_equal_data_stay_within_a_fraction_of_the_threshold(statistics):
    """TFDV's divergence, which interpolates, exceeds the threshold."""
    for seed in range(5):
        now, before = (_distributions(statistics(4000, seed + part))["fare"] for part in (0, 100))
        distance = distributions.distance(now, before)
        assert distance.value < 0.01 + distance.chance / 4


def test_a_tariff_rise_is_far_below_a_gross_fault(statistics):
    before = _distributions(statistics(4000, 1))["fare"]
    rise, fault = (
        distributions.distance(_distributions(statistics(4000, 2, factor))["fare"], before).value
        for factor in (1.1, 1.6)
    )
    assert 0.002 < rise < 0.03 and fault > 3 * 0.03


def test_stock_statistics_are_too_coarse(statistics):
    with pytest.raises(ValueError, match="fare: num_quantiles_histogram_buckets=10 must be at least 50"):
        _distributions(statistics(100, 1, buckets=10))


def test_buckets_in_words():
    assert str(Bucket(0.5, 0.1, value="6")) == "= 6"
    assert str(Bucket(0.5, 0.1, high=3.5)) == "up to 3.5"
    assert str(Bucket(0.5, 0.1, low=3.5)) == "above 3.5"
    assert str(Bucket(0.5, 0.1, low=3.5, high=7)) == "in (3.5, 7]"
    assert Bucket(0.5, 0.1, low=3.5, high=7).holds(7) and not Bucket(0.5, 0.1, low=3.5, high=7).holds(3.5)
