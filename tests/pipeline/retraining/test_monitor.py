"""`farebox monitor`: the journal as table, JSON and picture; files of actual fares from devices."""

from __future__ import annotations

import dataclasses
import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from live_trips import columns_of, predicted, write_examples

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import InputError
from farebox.modules.columns import COORDINATES
from farebox.pipeline.commands import monitor
from farebox.pipeline.retraining import actuals, live_error
from farebox.pipeline.retraining import monitor as history
from farebox.pipeline.retraining.deploying import pushed_versions
from farebox.pipeline.retraining.journal import Journal, Record, Spans
from farebox.pipeline.retraining.live_record import Deployment, two_decimals
from farebox.pipeline.settings.load import load_settings

N = 400
METRICS = {"rmse": 1.0, "mae": 0.8, "bias": 0.0}
OTHER = "0123456789ab"


@pytest.fixture
def settings(tmp_path):
    return load_settings("chicago", str(tmp_path), str(tmp_path), {"spans.pattern": "{YYYY}-{MM}-{DD}"})


@pytest.fixture
def right(settings, fare_tflite) -> str:
    return push.push(fare_tflite, LocalStore(settings.models_dir), {"metrics": METRICS})


def trips(settings, seed: int, rise: float = 1.0):
    columns = columns_of(settings, N, seed=seed)
    noise = np.random.default_rng(seed).normal(size=N)
    return columns | {"fare": (rise * predicted(columns) + noise).astype(np.float32)}


def scored(settings, folder, day: int, rise: float = 1.0):
    """Live errors on a day's trips."""
    examples = write_examples(folder / f"examples-{day}", trips(settings, day, rise))
    return live_error.live_errors(settings, (day, 1), examples, pushed_versions(settings), print)


def keep(settings, *days) -> None:
    """Records of these lives, and of a change after the last."""
    journal = Journal(settings.runs_dir)
    settings.runs_dir.mkdir(parents=True)
    for i, lives in enumerate(days):
        window = (lives[0].span,) if lives else ()
        change = Deployment("dropped", OTHER, "b", "b", "worse") if i == len(days) - 1 else None
        record = Record(f"2026-01-0{i + 1}T00:00:00", "chicago", "keep", spans=Spans(window=window), live=lives)
        journal.finish(record if change is None else dataclasses.replace(record, deployment=change))


def test_the_journal_as_table_json_and_picture(settings, tmp_path, right, capsys):
    days = [scored(settings, tmp_path, 20517 + i, rise) for i, rise in enumerate((1.0, 1.0, 1.3))]
    keep(settings, (), days[0], days[1], days[1], days[2])  # the second day was scored by two ticks
    monitor.show_history(settings, None, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines[1:4]] == [
        [day, right, "latest", f"{N}"] for day in ("2026-03-05", "2026-03-06", "2026-03-07")
    ]
    assert [line.rsplit("  ", 1)[1].strip() for line in lines[1:3]] == ["holds", "holds"]
    assert "breaks rmse, mae, bias" in lines[3]  # the promise has no slices
    assert lines[4] == f"span 2026-03-07: {OTHER} is dropped as CANDIDATE: worse"
    picture = (settings.runs_dir / "live_error.png").read_bytes()
    assert lines[5] == f"picture: {settings.runs_dir / 'live_error.png'}" and picture[:4] == b"\x89PNG"
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 1000 and height > 700  # three panels: this model has no ranges
    monitor.show_history(settings, str(tmp_path / "other.png"), as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in content["live"]] == ["2026-03-05", "2026-03-06", "2026-03-07"]
    assert content["live"][0]["errors"]["all trips"]["rows"] == N and content["deployments"][0]["action"] == "dropped"
    assert (tmp_path / "other.png").exists()
    with pytest.raises(InputError, match=r"^picture=a\.pdf must end in \.png$"):
        monitor.show_history(settings, "a.pdf", as_json=False)


def test_a_city_without_a_source_of_its_own_is_monitored(call, tmp_path, monkeypatch):
    """The trips are not read, and the command has no option for them."""
    monkeypatch.chdir(tmp_path)
    assert call("monitor", "--city", "nyc") == (0, "runs/nyc: no span has been scored yet\n", "")


def test_a_journal_without_live_errors(settings, capsys):
    monitor.show_history(settings, None, as_json=False)
    assert capsys.readouterr().out == f"{settings.runs_dir}: no span has been scored yet\n"
    assert history.history_of([]).lives == ()


MORE = ("pickup_hour", "pickup_weekday", "pickup_area")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_actual_fares_of_devices_have_the_same_errors_as_a_span(settings, tmp_path, right, kind):
    """The same trips, predicted by the file itself: as scoring has them, but for text with six digits."""
    columns = trips(settings, 5)
    file = live_error.PushedFile.load(settings, right)
    answers = file.model.predict({name: values[:, None] for name, values in columns.items()})
    table = pa.table({
        "version": [right] * N, "predicted": answers, "actual": columns["fare"], "driver": ["x,y"] * N,
        **{name: columns[name] for name in (*COORDINATES, "pickup_hour", "pickup_weekday")},
    })  # fmt: skip
    path = tmp_path / f"actuals.{kind}"
    (pq.write_table if kind == "parquet" else pa.csv.write_csv)(table, path)
    (live,) = actuals.measure(settings, str(path)).lives
    (span,) = live_error.live_errors(
        settings, (5, 1), write_examples(tmp_path / "e", columns), pushed_versions(settings), print
    )
    assert {name for name in live.errors if name.partition("=")[0] not in MORE} == span.errors.keys()
    for name in MORE:
        sliced = {key: errors for key, errors in live.errors.items() if key.startswith(f"{name}=")}
        assert sum(errors["rows"] for errors in sliced.values()) == N
    is_eight = columns["pickup_hour"] == 8
    errors = answers.reshape(-1)[is_eight] - columns["fare"][is_eight]
    assert live.errors["pickup_hour=8"]["mae"][0] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    assert live.errors["pickup_weekday=2"]["rows"] == N
    for name, errors in span.errors.items():
        assert live.errors[name]["rows"] == errors["rows"]
        for error in ("rmse", "mae", "bias"):
            places = slice(1 if errors["rows"] == 1 else 3)  # a single row has no interval
            assert live.errors[name][error][places] == pytest.approx(errors[error][places], rel=1e-4, abs=1e-4)
    assert [check.ok for check in live.checks] == [True] * 3 and live.role == "device"


def test_bad_rows_are_refused_and_counted_and_unknown_versions_told(settings, tmp_path, right, capsys):
    sha256 = json.loads((settings.models_dir / right / "manifest.json").read_text())["sha256"]
    lines = ["version,predicted,actual", f"{right},10,11", f"{sha256.upper()},10,9.5", f"{right},10", f"{right},ten,11"]
    lines += [
        f"{right},10,",
        f"{right},10,inf",
        f"{right},10,-3",
        "v2,10,11",
        ",10,11",
        f"{OTHER},10,11",
        f"{right},12,12",
    ]
    path = tmp_path / "actuals.csv"
    path.write_text("\n".join(lines) + "\n")
    found = actuals.measure(settings, str(path))
    fare = settings.city.fare
    assert found.refused == {
        "version is no name of a version": 2,
        "actual is no finite number": 2,
        "another number of fields than the header": 1,
        "predicted is no finite number": 1,
        f"actual is not between {fare.min:g} and {fare.max:g}": 1,
    }
    (live,) = found.lives
    assert (found.rows, live.errors["all trips"]["rows"], found.unknown) == (11, 3, {OTHER: 1})
    assert live.errors["all trips"]["bias"][0] == pytest.approx((-1 + 0.5 + 0) / 3, rel=1e-5)
    monitor.show_actuals(settings, str(path), as_json=False)
    out = capsys.readouterr().out
    assert "11 rows in USD; 7 refused" in out and f"1 of version {OTHER}, which is not in {settings.models_dir}" in out
    monitor.show_actuals(settings, str(path), as_json=True)
    assert json.loads(capsys.readouterr().out)["unknown"] == {OTHER: 1}


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", b"version,predicted\n", "must have the columns version, predicted, actual, got version, predicted$"),
        ("a.csv", b"", "must have the columns version, predicted, actual, got none$"),
        (
            "a.csv",
            b"version,predicted,actual\n",
            "must have rows of versions in .*, got 0 rows: 0 refused, 0 of unknown",
        ),
        ("a.csv", b"version,predicted,actual\n\xff\xfe,1,2\n", "must be CSV or Parquet: "),
        ("a.parquet", b"PAR1", "must be CSV or Parquet: |unreadable Parquet"),
    ],
)
def test_files_that_tell_nothing_are_bad_input(settings, tmp_path, right, name, content, line):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=line):
        actuals.measure(settings, str(tmp_path / name))
    with pytest.raises(InputError, match="none.csv must be CSV or Parquet: "):
        actuals.measure(settings, str(tmp_path / "none.csv"))


@pytest.mark.parametrize(("value", "text"), [(-0.001, "0.00"), (-0.006, "-0.01"), (1234.5, "1,234.50"), (0.0, "0.00")])
def test_no_number_is_minus_zero(value, text):
    assert two_decimals(value) == text
