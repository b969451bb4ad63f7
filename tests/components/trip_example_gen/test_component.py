"""TripExampleGen as TFX runs it: the driver's spans, the executor's files, the compiled forms."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import reader
from farebox.components.trip_example_gen.columns import EXAMPLE_COLUMNS
from farebox.components.trip_example_gen.profile import Bounds, Box, CityProfile, Columns
from farebox.components.trip_example_gen.splits import assign_splits
from farebox.pipeline.settings.load import BeamSettings

if TYPE_CHECKING:
    from tfx.types import standard_artifacts

PROFILE = CityProfile(
    name="toytown",
    columns=Columns("fare", "x1", "y1", "x2", "y2", passenger_count="n", pickup_time="t"),
    box=Box(0, 1, 0, 1),
    fare=Bounds(1, 100),
    times="local",
)
HEADER = "fare,x1,y1,x2,y2,n,t\n"
BEAM = list(BeamSettings().pipeline_args)


def lines(n: int, seed: int = 0) -> list[str]:
    """Lines, a tenth of which are rejected."""
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(0, 1, (n, 5)).round(6)
    return [
        f"{'x' if i % 10 == 9 else 2 + 90 * fare},{x1},{y1},{x2},{y2},{1 + i % 6},{1300000000 + 977 * i}\n"
        for i, (fare, x1, y1, x2, y2) in enumerate(numbers)
    ]


def component(source: Path | str, **options: Any) -> Any:
    """A TripExampleGen; TFX is imported when a test runs, not when it is collected."""
    from farebox.components.trip_example_gen.component import TripExampleGen

    return TripExampleGen(str(source), PROFILE, **options)


def execute(node: Any, uri: Path, properties: dict[str, Any] | None = None) -> standard_artifacts.Examples:
    from tfx.types import standard_artifacts

    examples = standard_artifacts.Examples()
    examples.uri = str(uri)
    executor_class = node.executor_spec.executor_class
    executor = executor_class(executor_class.Context(beam_pipeline_args=list(BEAM)))
    executor.Do({}, {name: [examples] for name in node.outputs}, dict(properties or node.exec_properties))
    return examples


def parse(examples: standard_artifacts.Examples, split: str) -> list[tuple[float, ...]]:
    """The examples of a split, sorted, read as TFX's components read them."""
    import tensorflow as tf

    spec = {name: tf.io.FixedLenFeature([1], column.dtype) for name, column in EXAMPLE_COLUMNS.items()}
    files = tf.io.gfile.glob(os.path.join(examples.uri, f"Split-{split}", "*"))
    records = list(tf.data.TFRecordDataset(sorted(files), compression_type="GZIP").as_numpy_iterator())
    parsed = tf.io.parse_example(records, spec)
    return sorted(zip(*(parsed[name].numpy()[:, 0].tolist() for name in EXAMPLE_COLUMNS), strict=True))


def expected(path: Path) -> dict[str, list[tuple[float, ...]]]:
    """The same rows, read without the component."""
    rows: dict[str, list[tuple[float, ...]]] = {"train": [], "eval": [], "test": []}
    for trips in reader.read_trips(str(path), PROFILE):
        for split, row in zip(assign_splits(trips.examples, (8, 1, 1)), trips.examples.to_pylist(), strict=True):
            rows[["train", "eval", "test"][split]].append(tuple(row.values()))
    return {split: sorted(values) for split, values in rows.items()}


def test_do_writes_every_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from farebox.components.trip_example_gen import record_files
    from farebox.components.trip_example_gen.sources import chunks

    monkeypatch.setattr(chunks, "CHUNK_BYTES", 4000)  # many chunks of few rows
    monkeypatch.setattr(record_files, "ENCODE_ROWS", 7)
    source = tmp_path / "data"
    source.mkdir()
    (source / "a.csv").write_text(HEADER + "".join(lines(300)))
    (source / "b.csv").write_text(HEADER + "".join(lines(200, seed=1)))
    uri = tmp_path / "examples"
    examples = execute(component(source), uri)

    assert {split: parse(examples, split) for split in ("train", "eval", "test")} == expected(source)
    counts = json.loads((uri / "counts.json").read_text())
    assert {key: counts[key] for key in ("read", "examples", "rejected", "by_reason")} == {
        "read": 500, "examples": 450, "rejected": 50, "by_reason": {"unparseable": 50},
    }  # fmt: skip
    assert sum(counts["by_split"].values()) == 450
    # 1,300,000,000 s are 13 March 2011, 7:06; the last trip of a.csv is 298 * 977 s = 3 days 8:52 later.
    assert counts["days"] == ["2011-03-13", "2011-03-16"]
    on_map = [sum(counts["trip_map"][end][1]) for end in ("pickups", "dropoffs")]
    assert on_map == [counts["by_split"]["train"]] * 2, "only trips of train are on the map"
    rejected = "".join(path.read_text() for path in sorted(uri.glob("rejected/*.csv"))).splitlines()
    named = Counter(line.split(",")[0] for line in rejected)
    assert named == {f'"{source}/a.csv"': 30, f'"{source}/b.csv"': 20, '"file"': len(list(uri.glob("rejected/*")))}
    assert f'"{source}/a.csv",11,"unparseable","fare","{lines(10)[9].strip()}"' in rejected
    assert len(list(uri.glob("Split-train/data_tfrecord-*.gz"))) > 5
    assert not (uri / "aside").exists()


def test_trips_without_dates_have_no_days(tmp_path: Path) -> None:
    from farebox.components.trip_example_gen.component import TripExampleGen

    columns = Columns("fare", "x1", "y1", "x2", "y2", pickup_hour="h", pickup_weekday="d")
    profile = dataclasses.replace(PROFILE, columns=columns, weekdays="monday_0")
    rows = [f"{2 + i},0.{i},0.5,0.25,0.75,{i},{i % 7}\n" for i in range(10)] * 20
    (tmp_path / "trips.csv").write_text("fare,x1,y1,x2,y2,h,d\n" + "".join(rows))
    node = TripExampleGen(str(tmp_path / "trips.csv"), profile, splits=(1, 1, 1))
    execute(node, tmp_path / "examples")
    counts = json.loads((tmp_path / "examples" / "counts.json").read_text())
    assert (counts["examples"], counts["days"]) == (200, None)


@pytest.mark.slow
def test_the_examples_are_those_of_the_stock_component(tmp_path: Path) -> None:
    """Names, types and numbers of the same rows, as sets over all splits."""
    import tensorflow as tf
    from tfx.components import CsvExampleGen

    source = tmp_path / "data"
    source.mkdir()
    (source / "raw.csv").write_text(HEADER + "".join(lines(400)))
    rows = [row for trips in reader.read_trips(str(source), PROFILE) for row in trips.examples.to_pylist()]
    canonical = tmp_path / "canonical"
    canonical.mkdir()
    text = [",".join(str(value) for value in row.values()) for row in rows]
    (canonical / "trips.csv").write_text("\n".join([",".join(EXAMPLE_COLUMNS), *text]) + "\n")

    def examples_of(node: Any, name: str) -> list[dict[str, tuple[str, list[float]]]]:
        execute(node, tmp_path / name)
        examples = []
        files = [str(path) for path in (tmp_path / name).glob("Split-*/*")]
        for record in tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            kinds = {name: str(feature.WhichOneof("kind")) for name, feature in features.items()}
            examples.append({name: (kind, list(getattr(features[name], kind).value)) for name, kind in kinds.items()})
        return sorted(examples, key=lambda row: sorted(row.items()))

    ours, stock = examples_of(component(source), "ours"), examples_of(CsvExampleGen(str(canonical)), "stock")
    assert len(ours) == len(rows) == 360
    assert [sorted(row.items()) for row in ours] == [sorted(row.items()) for row in stock]


def test_do_describes_the_examples_as_the_stock_component_does(tmp_path: Path) -> None:
    from tfx.components.util import examples_utils, tfxio_utils
    from tfx.proto import example_gen_pb2

    (tmp_path / "a.csv").write_text(HEADER + "".join(lines(100)))
    examples = execute(component(tmp_path / "a.csv"), tmp_path / "examples")
    assert json.loads(examples.split_names) == ["train", "eval", "test"]
    assert examples_utils.get_payload_format(examples) == example_gen_pb2.FORMAT_TF_EXAMPLE
    assert examples_utils.get_file_format(examples) == "tfrecords_gzip"
    factory = tfxio_utils.get_tfxio_factory_from_artifact([examples], telemetry_descriptors=["test"])
    assert factory(str(tmp_path / "examples" / "Split-train" / "*")) is not None


def test_parquet_and_csv_give_the_same_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    from farebox.components.trip_example_gen.sources import chunks

    monkeypatch.setattr(chunks, "BATCH_ROWS", 50)  # the one row group, and so the one chunk, comes in four pieces
    (tmp_path / "a.csv").write_text(HEADER + "".join(lines(200)))
    text = pa_csv.ConvertOptions(column_types={"fare": pa.string()})
    pq.write_table(pa_csv.read_csv(tmp_path / "a.csv", convert_options=text), tmp_path / "a.parquet")
    from_csv = execute(component(tmp_path / "a.csv"), tmp_path / "1")
    from_parquet = execute(component(tmp_path / "a.parquet"), tmp_path / "2")
    assert parse(from_csv, "train") == parse(from_parquet, "train")
    assert len(parse(from_csv, "train")) > 100
    (rejected,) = (tmp_path / "2" / "rejected").iterdir()
    assert [line.split(",")[1] for line in rejected.read_text().splitlines()] == [
        '"row"',
        *map(str, range(10, 201, 10)),
    ]


def test_a_repeated_chunk_writes_the_same_files(tmp_path: Path) -> None:
    """Beam may run a bundle again: the second time writes the same files."""
    from tfx.types import standard_artifacts

    from farebox.components.trip_example_gen import executor
    from farebox.components.trip_example_gen.sources import reading

    path = tmp_path / "a.csv"
    path.write_text(HEADER + "".join(lines(100)))
    job = executor._Job(str(tmp_path), PROFILE, {"train": 8, "eval": 1, "test": 1}, 0, 1)
    for folder in ("aside", "rejected", "Split-train", "Split-eval", "Split-test"):
        (tmp_path / folder).mkdir()
    (chunk,) = reading.plan_chunks([str(path)], PROFILE)
    first = executor._write_chunk(chunk, job)
    files = sorted(tmp_path.glob("*/*"))
    assert len(files) == 4
    assert executor._write_chunk(chunk, job) == first
    assert sorted(tmp_path.glob("*/*")) == files
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path)
    assert {split: parse(examples, split) for split in ("train", "eval", "test")} == expected(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER, "a.csv: has a header and no rows"),
        (HEADER + "x" + lines(1)[0], "a.csv: none of 1 rows is a trip of toytown: 1 unparseable (column fare)"),
        (HEADER + lines(1)[0], "got none of 1 examples, give more trips"),
        ("fare\n1\n", "a.csv: column x1 (city.columns.pickup_longitude) is missing, found fare"),
    ],
)
def test_do_refuses_a_source_without_examples(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        execute(component(tmp_path / "a.csv"), tmp_path / "examples")
    assert message in str(caught.value)


def test_an_error_inside_beam_stays_an_input_error(tmp_path: Path) -> None:
    """A page of a Parquet file is damaged; its footer, the only part read before Beam starts, is not."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({name: np.arange(1000) for name in HEADER.strip().split(",")}), path)
    damaged = bytearray(path.read_bytes())
    damaged[4:2000] = b"\xff" * 1996
    path.write_bytes(damaged)
    with pytest.raises(InputError) as caught:
        execute(component(path), tmp_path / "examples")
    assert str(caught.value).startswith(f"{path}: unreadable Parquet: ")
    assert "while running" not in str(caught.value)  # what Beam adds
    assert "\n" not in str(caught.value)


def test_a_pattern_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{tmp_path}/data: no such file or folder"):
        execute(component(tmp_path / "data"), tmp_path / "examples")


def test_names_with_glob_characters(tmp_path: Path) -> None:
    folder = tmp_path / "trips [2020]"
    folder.mkdir()
    for name in ("a[1]?.csv", "a1x.csv"):
        (folder / name).write_text(HEADER + "".join(lines(100 if "?" in name else 50)))
    execute(component(folder / "a[1]?.csv"), tmp_path / "1")
    execute(component(folder), tmp_path / "2")
    read = [json.loads((tmp_path / name / "counts.json").read_text())["read"] for name in "12"]
    assert read == [100, 150]


def drive(node: Any, folder: Path) -> dict[str, Any]:
    """The execution properties as TFX's driver for this component resolves them."""
    from tfx.orchestration import data_types
    from tfx.orchestration.metadata import Metadata, sqlite_metadata_connection_config

    with Metadata(sqlite_metadata_connection_config(str(folder / "mlmd.sqlite"))) as handle:
        driver = node.driver_class(handle)
        info = data_types.PipelineInfo("p", "r")
        return driver.resolve_exec_properties(
            dict(node.exec_properties), info, data_types.ComponentInfo("t", "i", info)
        )


def test_the_driver_finds_the_latest_span_and_version(tmp_path: Path) -> None:
    from tfx.proto import example_gen_pb2, range_config_pb2

    for name, n in (("span-1/version-1", 40), ("span-2/version-1", 50), ("span-2/version-2", 60)):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.csv").write_text(HEADER + "".join(lines(n)))
    split = example_gen_pb2.Input.Split(name="all", pattern="span-{SPAN}/version-{VERSION}/*")
    options = {"input_config": example_gen_pb2.Input(splits=[split])}

    latest = component(tmp_path / "data", **options)
    properties = drive(latest, tmp_path)
    assert (properties["span"], properties["version"]) == (2, 2)
    execute(latest, tmp_path / "latest", properties)
    assert json.loads((tmp_path / "latest" / "counts.json").read_text())["read"] == 60

    one = range_config_pb2.StaticRange(start_span_number=1, end_span_number=1)
    first = component(tmp_path / "data", range_config=range_config_pb2.RangeConfig(static_range=one), **options)
    properties = drive(first, tmp_path)
    execute(first, tmp_path / "first", properties)
    assert (properties["span"], properties["version"]) == (1, 1)
    assert json.loads((tmp_path / "first" / "counts.json").read_text())["read"] == 40


@pytest.mark.parametrize(("by_time", "newest"), [(True, {"eval", "test"}), (False, {"train", "eval", "test"})])
def test_the_newest_span_of_a_window_judges_and_the_others_train(tmp_path: Path, by_time: bool, newest: set) -> None:
    """As on a cluster, where the node reads the window itself; of a single span every row keeps its split."""
    from farebox.components.trip_example_gen.spans import Window

    for span in (1, 2, 3):
        (tmp_path / "data" / f"span-{span}").mkdir(parents=True)
        text = HEADER + "".join(f"{10 + span},0.5,0.5,0.6,0.{i:03},1,1300000000\n" for i in range(100, 200))
        (tmp_path / "data" / f"span-{span}" / "a.csv").write_text(text)
    window = Window(str(tmp_path / "data"), "span-{SPAN}", 3, None, 0.0)
    examples = execute(component(tmp_path / "data", window=window, by_time=by_time), tmp_path / "examples")
    fares = {split: {row[-1] for row in parse(examples, split)} for split in ("train", "eval", "test")}
    assert {split for split, found in fares.items() if 13.0 in found} == newest
    assert {split for split, found in fares.items() if 12.0 in found} == ({"train"} if by_time else set(fares))
    counts = json.loads((tmp_path / "examples" / "counts.json").read_text())
    n_known = counts["by_split"]["train"] if by_time else 300  # a model knows the days that it was trained on
    assert (counts["weekdays"], sum(counts["by_split"].values())) == ([0, 0, 0, 0, 0, 0, n_known], 300)
    names = {path.name[:8] for path in (tmp_path / "examples" / "Split-train").iterdir()}
    assert names == {f"{span:05d}-1-" for span in (1, 2, *(() if by_time else (3,)))}


def test_what_changes_the_examples_changes_the_properties(tmp_path: Path) -> None:
    """TFX's cache key is made of the execution properties."""
    plain = component(tmp_path).exec_properties
    assert component(tmp_path).exec_properties == plain
    others = [component(tmp_path, **change) for change in ({"seed": 1}, {"code_digest": "f00"}, {"splits": (6, 2, 2)})]
    from farebox.components.trip_example_gen.component import TripExampleGen

    others.append(TripExampleGen(str(tmp_path), dataclasses.replace(PROFILE, fare=Bounds(1, 99))))
    assert all(other.exec_properties != plain for other in others)


def test_the_constructor_checks_its_arguments(tmp_path: Path) -> None:
    from tfx.proto import example_gen_pb2

    with pytest.raises(ValueError, match=r"splits=\(8, 2\) must be 3 positive shares, of train, eval, test"):
        component(tmp_path, splits=(8, 2))
    two = example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name=n, pattern=n) for n in "ab"])
    with pytest.raises(ValueError, match="input_config must have one split"):
        component(tmp_path, input_config=two)


def test_it_compiles_for_kubeflow(tmp_path: Path) -> None:
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
    from tfx.orchestration.pipeline import Pipeline

    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(default_image="farebox:test"), output_dir=str(tmp_path)
    )
    pipeline = Pipeline("toytown", "gs://bucket/root", components=[component("gs://bucket/trips")])
    spec = json.dumps(runner.run(pipeline, write_out=False))
    assert "farebox.components.trip_example_gen.executor.TripExampleGenExecutor" in spec
    assert "file_based_example_gen" in spec  # TFX's driver runs before the executor, for spans
    assert "gs://bucket/trips" in spec


def test_it_finds_a_window_of_spans_itself(tmp_path):
    """With TensorFlow's file systems, as in a bucket, here in memory. An operator may name the spans."""
    import tensorflow as tf

    from farebox.components.trip_example_gen.spans import Window

    base = f"ram://{tmp_path}/trips"
    for span, version in ((1, 1), (2, 1), (2, 2), (3, 1)):
        folder = f"{base}/span-{span}/v-{version}"
        tf.io.gfile.makedirs(folder)
        with tf.io.gfile.GFile(f"{folder}/trips.csv", "w") as file:
            file.write(HEADER + "".join(lines(100 * span + version, seed=span)))
        if span < 3:
            with tf.io.gfile.GFile(f"{folder}/_SUCCESS", "w") as file:
                file.write("done")
    node = component(base, window=Window(base, "span-{SPAN}/v-{VERSION}", 2, "_SUCCESS", 60.0))

    def ingested(name: str, **properties: int) -> tuple[int, list, int]:
        examples = execute(node, tmp_path / name, {**node.exec_properties, **properties})
        read = json.loads((tmp_path / name / "counts.json").read_text())["read"]
        spans = json.loads(examples.get_string_custom_property("window"))
        return read, spans, examples.get_int_custom_property("span")

    assert ingested("newest") == (101 + 202, [[1, 1], [2, 2]], 2)
    tf.io.gfile.copy(f"{base}/span-2/v-2/trips.csv", f"{base}/span-2062/v-1/trips.csv")
    tf.io.gfile.copy(f"{base}/span-2/v-2/_SUCCESS", f"{base}/span-2062/v-1/_SUCCESS")
    assert ingested("wrong number") == ingested("newest again") == (101 + 202, [[1, 1], [2, 2]], 2)
    assert ingested("named", first_span=-1, last_span=1) == (101, [[1, 1]], 1)
    with pytest.raises(InputError, match="must hold a complete span of spans.pattern=.*, from 3 to None"):
        ingested("none", first_span=3)
