"""Clean data pass: spans of simulated trips, each against the one before, and random halves of real trips."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from farebox.components.data_gate import data_checks, distributions
from farebox.components.data_gate.settings import DataGateSettings
from farebox.components.trip_example_gen import reader
from farebox.components.trip_example_gen.splits import assign_splits

SPANS, LEAST, MOST = 20, 1000, 15_000
SHARES = {"train": 8, "eval": 1, "test": 1}


@pytest.fixture(scope="module")
def describe_rows():
    """(profile, canonical columns) -> distributions by split, from TFDV with the graph's options."""
    import tensorflow_data_validation as tfdv
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from farebox.components.trip_example_gen.schema import schema_text
    from farebox.pipeline.nodes import QUANTILES

    def describe(profile, batch):
        schema = text_format.Parse(schema_text(profile), schema_pb2.Schema())
        options = tfdv.StatsOptions(schema=schema, num_quantiles_histogram_buckets=QUANTILES)
        split_of, frame = assign_splits(batch, tuple(SHARES.values())), batch.to_pandas()
        by_split = {}
        for i, split in enumerate(SHARES):
            statistics = tfdv.generate_statistics_from_dataframe(
                frame[split_of == i].reset_index(drop=True), options, n_jobs=1
            )
            by_split[split] = distributions.distributions(distributions.read(statistics.SerializeToString()))
        return by_split

    return describe


def read_all(path, profile):
    import pyarrow as pa

    return pa.Table.from_batches([trips.examples for trips in reader.read_trips(str(path), profile)])


def failed(now, before) -> list[str]:
    """The checks of drift and skew that fail with the default thresholds, with value and bound."""
    settings = DataGateSettings()
    verdict = data_checks.judge_drift(now["train"], before["train"], settings, lambda *_: [])
    verdict += data_checks.judge_skew(now, settings, lambda *_: [])
    assert len(verdict) == 16
    return [f"{check.name}={check.value:.4f} > {check.bound:.4f}" for check in verdict if not check.ok]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chicago", "nyc"])
def test_clean_spans_pass(name, city, describe_rows, tmp_path):
    """Four weeks each, of 1,000 to 15,000 rows, dirt included; of 1,000 rows eval and test have 100 each."""
    from farebox.components.trip_example_gen.simulation.simulator import Order, simulate

    profile, before, first = city(name), None, datetime.date(2023, 1, 2)
    for seed, rows in enumerate(np.random.default_rng(7).integers(LEAST, MOST, SPANS)):
        since = str(first + datetime.timedelta(days=28 * seed))
        simulate(profile, Order(int(rows), seed, since=since, days=28), str(tmp_path / f"{seed}.csv"))
        table = read_all(tmp_path / f"{seed}.csv", profile).combine_chunks()
        now = describe_rows(profile, table.to_batches()[0])
        if before is not None:
            assert failed(now, before) == [], f"span {seed} of {rows} rows"
        before = now


@pytest.mark.slow
def test_random_halves_of_real_trips_pass(city, describe_rows):
    """Chicago's places are centroids and its fares round: the values on which interpolated histograms disagree."""
    from farebox.pipeline.settings.load import load_settings

    profile = city("chicago")
    trips = read_all(load_settings("chicago", None).data, profile).to_pandas()
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(trips))
        halves = [trips.iloc[part] for part in np.array_split(order, 2)]
        now, before = (describe_rows(profile, _batch(half)) for half in halves)
        assert failed(now, before) == []


def _batch(frame):
    import pyarrow as pa

    return pa.RecordBatch.from_pandas(frame.reset_index(drop=True))
