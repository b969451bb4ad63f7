"""Parquet files that would run code when they are read (CVE-2023-47248), and threads that outlive a reader."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from farebox.components.trip_example_gen import reader
from farebox.components.trip_example_gen.profile import Bounds, Box, CityProfile, Columns
from farebox.components.trip_example_gen.sources import parquet_files, reading
from farebox.pipeline.retraining import actuals

TOYTOWN = CityProfile(
    name="toytown",
    columns=Columns("fare", "x1", "y1", "x2", "y2", pickup_time="t"),
    box=Box(0, 1, 0, 1),
    fare=Bounds(1, 100),
    times="local",
)


def columns(n: int) -> dict[str, pa.Array]:
    """Trips of March 2011."""
    halves = {name: pa.array(np.full(n, 0.5)) for name in ("x1", "y1", "x2", "y2")}
    return halves | {"fare": pa.array(2.0 + np.arange(n)), "t": pa.array(1300000000 + np.arange(n))}


class Touch:
    """Writes a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def evil_table(mark: Path, nested: bool) -> pa.Table:
    """Trips with a column, or a field in a column, whose type Arrow would unpickle; written in Arrow's own terms."""
    metadata = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Touch(mark)),
    }
    field = pa.field("evil", pa.float64(), metadata=metadata)
    values = pa.array(np.zeros(4))
    if nested:
        field, values = pa.field("outer", pa.struct([field])), pa.StructArray.from_arrays([values], fields=[field])
    table = pa.table(columns(4))
    return table.append_column(field, values)


IS_UNSAFE = tuple(map(int, pa.__version__.split(".")[:2])) < (14, 1)
IN_A_FRESH_PROCESS = {
    "arrow": "import pyarrow.parquet as pq; pq.read_metadata(path)",
    "evaluate": "from farebox.components.trip_example_gen import reader; list(reader.read_trips(path, profile))",
    "estimate": "from farebox.components.trip_example_gen.sources import reading; reading.estimated_rows([path])",
    "compress": "from farebox.components.compression import tables; tables.read_table(pathlib.Path(path))",
    "ingest": """
from farebox.components.trip_example_gen.executor import _write_chunk  # as a worker of an engine calls it
chunk, job = pickle.loads(pathlib.Path(path + "-work").read_bytes())
print("worker:", _write_chunk(chunk, job).error)
from farebox.components.trip_example_gen.component import TripExampleGen
from tfx.types import standard_artifacts
node, examples = TripExampleGen(path, profile), standard_artifacts.Examples()
examples.uri = path + "-out"
kind = node.executor_spec.executor_class
kind(kind.Context(beam_pipeline_args=[])).Do({}, {"examples": [examples]}, dict(node.exec_properties))
""",
}


def in_a_fresh_process(what: str, path: Path) -> str:
    """Returns what the process printed; for an InputError, its message."""
    code = f"""
import pathlib, pickle, sys
path, profile = sys.argv[1], pickle.loads(pathlib.Path(sys.argv[2]).read_bytes())
try:
    exec({IN_A_FRESH_PROCESS[what]!r})
except ValueError as error:
    print(type(error).__name__, error)
"""
    pickled = path.with_suffix(".profile")
    pickled.write_bytes(pickle.dumps(TOYTOWN))
    command = [sys.executable, "-c", code, str(path), str(pickled)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr or what == "arrow", ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    ("what", "nested"),
    [
        *((what, False) for what in IN_A_FRESH_PROCESS if what != "ingest"),
        pytest.param("ingest", False, marks=pytest.mark.slow),  # imports TFX
        ("arrow", True),
        ("evaluate", True),
    ],
)
def test_a_file_with_a_pickled_type_runs_no_code(tmp_path: Path, what: str, nested: bool) -> None:
    """CVE-2023-47248. `arrow` shows that the file is what it should be: bare pyarrow 10 runs its code."""
    mark, path = tmp_path / "mark", tmp_path / "trips.parquet"
    pq.write_table(evil_table(mark, nested), path)
    mark.unlink(missing_ok=True)
    if what == "ingest":
        from farebox.components.trip_example_gen.executor import _Job

        pq.write_table(pa.table(columns(4)), tmp_path / "good.parquet")
        (chunk,) = reading.plan_chunks([str(tmp_path / "good.parquet")], TOYTOWN)
        work = dataclasses.replace(chunk, path=str(path)), _Job(str(tmp_path), TOYTOWN, {"train": 1}, 0, 1)
        Path(f"{path}-work").write_bytes(pickle.dumps(work))
        (tmp_path / "rejected").mkdir()
    printed = in_a_fresh_process(what, path)
    assert mark.exists() == (IS_UNSAFE and what == "arrow")
    if what not in ("arrow", "estimate"):
        refusals = printed.count(
            "a column of double has a pickled type (arrow.py_extension_type), which could run code"
        )
        assert refusals == (2 if what == "ingest" else 1), printed


def test_the_first_look_of_a_run_runs_no_code(tmp_path: Path) -> None:
    """The whole command, in a process of its own."""
    mark, path = tmp_path / "mark", tmp_path / "trips.parquet"
    pq.write_table(evil_table(mark, nested=False), path)
    mark.unlink(missing_ok=True)
    (tmp_path / "toytown.yaml").write_text(
        "city:\n  name: toytown\n  columns: {fare: fare, pickup_longitude: x1, pickup_latitude: y1, dropoff_longitude: "
        "x2, dropoff_latitude: y2, pickup_time: t}\n  times: local\n  box: {west: 0, east: 1, south: 0, north: 1}\n"
        "  fare: {min: 1, max: 100}\n"
    )
    command = [sys.executable, "-m", "farebox", "run", "--city", "toytown.yaml", "--data", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (ended.returncode, mark.exists()) == (2, False), ended.stderr
    assert "trips.parquet: unreadable Parquet: a column of double has a pickled type" in ended.stderr


def test_pyarrow_hotfix_may_come_before_or_after() -> None:
    pytest.importorskip("pyarrow_hotfix")
    ours = "from farebox.components.trip_example_gen.sources import safe_arrow; safe_arrow.close_cve_2023_47248()"
    for code in (f"import pyarrow_hotfix; {ours}", f"{ours}; import pyarrow_hotfix", f"{ours}; {ours}"):
        subprocess.run([sys.executable, "-c", code], check=True)


class SlowThread:
    """Keeps what a reader of Arrow was given for a while, as Arrow's own threads do on a busy machine."""

    def __init__(self, open_reader: Callable[..., Any]) -> None:
        self.open_reader, self.held, self.n_opened = open_reader, list[Any](), 0

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.n_opened += 1
        self.held += [*given, *named.values()]
        threading.Thread(target=self._release).start()
        return self.open_reader(*given, **named)

    def _release(self) -> None:
        time.sleep(0.2)
        self.held.clear()


def parquet_rows(path: str) -> Iterable[Any]:
    """Rows of a file that is read as one of a bucket is."""
    with parquet_files.open_parquet(f"gs://{path}", lambda path, mode: open(path.removeprefix("gs://"), mode)) as file:
        yield from file.iter_batches()


def csv_rows(path: str) -> Iterable[Any]:
    return reader.read_trips(path, TOYTOWN)


@pytest.mark.parametrize(
    ("module", "name", "rows"),
    [
        (pa_csv, "open_csv", csv_rows),
        (pa_csv, "open_csv", actuals.csv_batches),
        (pq, "ParquetFile", parquet_rows),
    ],
    ids=["trips.csv", "actuals.csv", "bucket"],
)
def test_no_thread_of_arrow_outlives_a_reader(tmp_path: Path, monkeypatch, module, name: str, rows) -> None:
    """One that releases a Python object while the interpreter ends aborts the process: apache/arrow issue 34314."""
    path = tmp_path / ("trips.parquet" if name == "ParquetFile" else "trips.csv")
    table = pa.table({**columns(4), "version": ["1"] * 4, "predicted": [1.0] * 4, "actual": [1.0] * 4})
    (pq.write_table if name == "ParquetFile" else pa_csv.write_csv)(table, path)
    slow = SlowThread(getattr(module, name))
    monkeypatch.setattr(module, name, slow)
    n_read = len(list(rows(str(path))))
    assert (n_read, slow.n_opened, slow.held) == (1, 1, [])
