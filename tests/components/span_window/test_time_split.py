"""The split by time: the newest span judges, older ones train, and their fares move to its level after a step."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.trip_example_gen.row_sketch import RowSketch

COLUMNS = {
    "pickup_longitude": "float32", "pickup_latitude": "float32", "dropoff_longitude": "float32",
    "dropoff_latitude": "float32", "passenger_count": "int64", "pickup_hour": "int64", "pickup_weekday": "int64",
    "pickup_era": "int64", "pickup_epoch": "int64", "fare": "float32",
}  # fmt: skip
SHARES = {"train": 0.8, "eval": 0.1, "test": 0.1}
ALL_WEEK = [9] * 7


def day(span_of, span: int, level=1.0, n: int = 600, *, era=0):
    """A span of n trips whose fares are `level` times what `fare_tflite` predicts, with noise of 10 %.

    level, era: of all trips, or of each.
    """
    random = np.random.default_rng(span)
    columns = {name: random.integers(0, 5, n) for name in ("passenger_count", "pickup_hour")}
    columns |= {"pickup_weekday": np.full(n, span % 7), "pickup_era": np.full(n, era)}
    columns["pickup_epoch"] = 86400 * span + random.permutation(n)
    columns |= {name: random.uniform(-60, -50, n).astype(np.float32) for name in COLUMNS if "itude" in name}
    fare = 2.5 - 0.1 * columns["pickup_longitude"] + columns["passenger_count"] + 0.5 * columns["pickup_hour"]
    fare = level * (fare + 0.25 * columns["pickup_weekday"]) * random.lognormal(0, 0.1, n)
    ends = np.cumsum([round(share * n) for share in SHARES.values()])[:-1]
    parts = {name: dict(zip(SHARES, np.split(column, ends), strict=True)) for name, column in columns.items()}
    fares = dict(zip(SHARES, np.split(fare, ends), strict=True))
    by_split = {split: {name: parts[name][split] for name in columns} for split in SHARES}
    return span_of(span, columns=by_split, **fares)


@pytest.fixture
def version(tmp_path, fare_tflite):
    """(weekdays) -> the folder of a pushed version that says how many rows of each day it was trained on."""

    def make(weekdays=ALL_WEEK) -> str:
        store = LocalStore(tmp_path / "models" / str(sum(weekdays)))
        facts = {"weekdays": list(weekdays)} if any(weekdays) else {}
        return str(store.base / push.push(fare_tflite, store, facts, PushSettings()))

    return make


def told(joined) -> dict:
    return json.loads(Path(joined.uri, "steps.json").read_text())


def every_fare(fares, examples) -> list[float]:
    return [each for split in SHARES for each in fares(examples, split)]


def test_the_newest_span_judges_and_every_row_of_the_others_trains(span_of, join, fares, tmp_path):
    spans = [day(span_of, span) for span in (3, 4, 5)]
    joined = join(spans, tmp_path / "joined", by_time=True, columns=COLUMNS, shares=(3, 1))
    assert sorted(fares(joined, "train")) == sorted([*every_fare(fares, spans[0]), *every_fare(fares, spans[1])])
    judging = [fares(joined, split) for split in ("eval", "test")]
    assert sorted(judging[0] + judging[1]) == sorted(every_fare(fares, spans[2]))
    assert len(judging[0]) / 600 == pytest.approx(0.75, abs=0.05)
    counts = json.loads(Path(joined.uri, "counts.json").read_text())
    assert counts["by_split"] == {"train": 1200, "eval": len(judging[0]), "test": len(judging[1])}
    assert counts["weekdays"] == [0, 0, 0, 600, 600, 0, 0]
    assert RowSketch.from_json(counts["trained_rows"]).hashes == (3, 4, 1003, 1004)  # of all splits of older spans
    assert told(joined) == {"measured_by": "", "steps": [], "why": "there is no version to measure them by"}


def test_a_newest_span_with_most_of_the_rows_judges_by_its_latest_trips(span_of, join, fares, tmp_path):
    """The 240 latest of 1,200 rows judge, a fifth; the other 360 rows of the newest span train."""
    older, newest = day(span_of, 3), day(span_of, 4)
    fare_of = dict(zip(every_epoch(newest), every_fare(fares, newest), strict=True))
    joined = join([older, newest], tmp_path / "joined", by_time=True, columns=COLUMNS, most=0.2)
    latest = sorted(fare_of)[-240:]
    judging = fares(joined, "eval") + fares(joined, "test")
    assert sorted(judging) == sorted(fare_of[epoch] for epoch in latest)
    assert sorted(fares(joined, "train")) == sorted(
        [*every_fare(fares, older), *(fare for epoch, fare in fare_of.items() if epoch < latest[0])]
    )
    counts = json.loads(Path(joined.uri, "counts.json").read_text())
    assert (counts["by_split"]["train"], counts["weekdays"]) == (960, [0, 0, 0, 600, 360, 0, 0])
    assert len(RowSketch.from_json(counts["trained_rows"]).hashes) == 2 + 360


def every_epoch(examples) -> list[int]:
    from farebox.components.span_window.span_files import all_files
    from farebox.components.trip_example_gen.record_files import read_records

    batches = read_records(all_files(examples), COLUMNS)
    return [epoch for batch in batches for epoch in batch.column("pickup_epoch").to_pylist()]


def test_a_row_stays_in_its_split_when_rows_come_in_another_order(span_of, join, fares, tmp_path):
    """The newest span is split by a hash of the row, so that a repeated delivery keeps eval and test apart."""
    again = [join([day(span_of, 3), day(span_of, 5)], tmp_path / name, by_time=True, columns=COLUMNS) for name in "ab"]
    assert fares(again[0], "test") == fares(again[1], "test")
    assert not set(fares(again[0], "test")) & set(fares(again[1], "eval"))


def test_one_span_and_a_window_by_hash_keep_their_splits(span_of, join, fares, tmp_path):
    one, two = day(span_of, 3), day(span_of, 4)
    for name, spans, by_time in (("one", [one], True), ("hash", [one, two], False)):
        joined = join(spans, tmp_path / name, by_time=by_time, columns=COLUMNS)
        for split in SHARES:
            assert fares(joined, split) == [fare for span in spans for fare in fares(span, split)]
        assert not Path(joined.uri, "steps.json").exists()


def test_after_a_step_older_fares_are_at_the_newest_level(span_of, join, fares, tmp_path, version):
    """Fares rose by 30 % with span 5: those of 3 and 4 become 1.3 times what they were, those of 5 and 6 stay."""
    spans = [day(span_of, span, 1.3 if span >= 5 else 1.0) for span in (3, 4, 5, 6)]
    settings = {"by_time": True, "columns": COLUMNS, "version": version(), "smallest": 1, "largest": 21}
    joined = join(spans, tmp_path / "joined", **settings)
    steps = told(joined)["steps"]
    assert [step["span"] for step in steps] == [3, 4]
    for step in steps:
        assert (step["base"] + step["rate"] * 10) / 10 == pytest.approx(1.3, rel=0.03)
    trained = np.split(np.array(fares(joined, "train")), 3)  # a span's files come one after another
    for moved, span in zip(trained, spans[:2], strict=False):
        ratios = np.sort(moved) / np.sort(every_fare(fares, span))
        is_bounded = np.sort(moved) == 21
        assert 0 < is_bounded.sum() < 50
        assert ratios[~is_bounded].mean() == pytest.approx(1.3, rel=0.03) and ratios[~is_bounded].min() > 1.15
    assert sorted(trained[2]) == sorted(every_fare(fares, spans[2]))
    assert sorted(fares(joined, "eval") + fares(joined, "test")) == sorted(every_fare(fares, spans[3]))


def test_a_window_that_ingest_has_joined_gets_the_same_fares(span_of, join, fares, tmp_path, version):
    """As on a cluster: one artifact with the spans' files, and the version as LatestPushed finds it. Ingest names files
    of a window as SpanWindow does, which stands for it here."""
    spans = [day(span_of, span, 1.3 if span >= 5 else 1.0) for span in (3, 4, 5, 6)]
    settings = {"by_time": True, "columns": COLUMNS, "smallest": 1, "largest": 21}
    expected = join(spans, tmp_path / "locally", **settings, version=version())
    window = join(spans, tmp_path / "window", **settings)
    joined = join([window], tmp_path / "joined", **settings, model=Path(version()))
    for split in SHARES:
        assert fares(joined, split) == pytest.approx(fares(expected, split), rel=1e-6)  # sums of rows in another order
    assert fares(joined, "train") != fares(window, "train") and told(joined)["measured_by"] == Path(version()).name
    for step, same in zip(told(joined)["steps"], told(expected)["steps"], strict=True):
        assert step == pytest.approx(same, rel=1e-6)
    assert [step["span"] for step in told(joined)["steps"]] == [3, 4]
    for name in ("span", "window"):
        assert str(joined.get_custom_property(name)) == str(expected.get_custom_property(name))
    assert (tmp_path / "joined/counts.json").read_text() == (tmp_path / "window/counts.json").read_text()
    rejected = sorted(path.name for path in (tmp_path / "joined/rejected").iterdir())
    assert rejected == sorted(path.name for path in (tmp_path / "window/rejected").iterdir()) and len(rejected) == 4


def test_before_the_first_version_a_joined_window_stays_as_it_is(span_of, join, fares, tmp_path):
    window = join([day(span_of, 3), day(span_of, 4, 1.3)], tmp_path / "window", by_time=True, columns=COLUMNS)
    joined = join([window], tmp_path / "joined", by_time=True, columns=COLUMNS, model=tmp_path / "nothing")
    assert fares(joined, "train") == fares(window, "train")
    assert told(joined) == {"measured_by": "", "steps": [], "why": "there is no version to measure them by"}


def test_without_a_step_every_older_span_is_a_link(span_of, join, tmp_path, version):
    spans = [day(span_of, span) for span in (3, 4, 5)]
    joined = join(spans, tmp_path / "joined", by_time=True, columns=COLUMNS, version=version())
    assert told(joined)["steps"] == [] and told(joined)["why"] == ""
    sources = {path.stat().st_ino for span in spans[:2] for path in Path(span.uri).glob("Split-*/*")}
    assert {path.stat().st_ino for path in Path(joined.uri, "Split-train").iterdir()} == sources


def test_each_era_of_a_span_moves_by_its_own_step(span_of, join, fares, tmp_path, version):
    """Span 3 has both: the settings name the day on which the tariff rose, so its later trips are at the new level."""
    era = np.random.default_rng(8).integers(2, size=600)
    mixed = day(span_of, 3, np.where(era == 1, 1.3, 1.0), era=era)
    spans = [mixed, day(span_of, 4, 1.3, era=1), day(span_of, 5, 1.3, era=1)]
    (step,) = told(join(spans, tmp_path / "joined", by_time=True, columns=COLUMNS, version=version()))["steps"]
    assert (step["span"], step["era"]) == (3, 0)
    assert (step["base"] + step["rate"] * 10) / 10 == pytest.approx(1.3, rel=0.05)


def test_days_of_the_week_that_the_version_does_not_know_make_no_step(span_of, join, tmp_path, version):
    """Sundays (6) cost more, and the version was never trained on one: that is no step of the fares."""
    spans = [day(span_of, 4), day(span_of, 5), day(span_of, 6, 1.3)]
    knows = [1, 1, 1, 1, 1, 1, 0]
    known = told(join(spans, tmp_path / "known", by_time=True, columns=COLUMNS, version=version()))
    unknown = told(join(spans, tmp_path / "unknown", by_time=True, columns=COLUMNS, version=version(knows)))
    assert len(known["steps"]) == 2
    assert unknown["steps"] == [] and "the newest span has too few trips of days" in unknown["why"]


def test_a_version_that_cannot_measure_moves_nothing_and_says_why(span_of, join, tmp_path, version):
    spans = [day(span_of, 3), day(span_of, 4, 1.3)]
    untold = version([0] * 7)
    damaged = Path(version())
    (damaged / "fare.tflite").write_bytes(b"other bytes")
    for name, folder, why in (
        ("untold", untold, "does not tell weekdays"),
        ("damaged", damaged, "fare.tflite"),
        ("absent", tmp_path / "absent", "absent"),
    ):
        measured = told(join(spans, tmp_path / f"by-{name}", by_time=True, columns=COLUMNS, version=str(folder)))
        assert measured["steps"] == [] and why in measured["why"]
