"""Real ingest, statistics and gate on simulated trips, without the nodes that train."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from farebox.pipeline.settings.load import BeamSettings

BEAM = BeamSettings().pipeline_args


@dataclasses.dataclass(frozen=True)
class Ingested:
    """Artifacts by key: examples, schema, statistics, anomalies."""

    artifacts: dict[str, Any]


@pytest.fixture(scope="session")
def city() -> Callable[[str], Any]:
    """The profile of a shipped city, or one of its name built from the fields of a city file."""
    from farebox.pipeline.settings.load import build, city_file, read_yaml

    def profile(name: str, **columns: str) -> Any:
        content = read_yaml(city_file(name))
        fields = content["city"] | ({"columns": columns, "weekdays": "monday_0"} if columns else {})
        return build({**content, "city": fields, "data": "simulated"}, name).city

    return profile


@pytest.fixture(scope="session")
def simulated(tmp_path_factory) -> Callable[..., pd.DataFrame]:
    """Trips of a profile as its source has them: (profile, rows, seed) -> text cells."""
    from farebox.components.trip_example_gen.simulation.simulator import Order, simulate

    def frame(profile: Any, rows: int, seed: int) -> pd.DataFrame:
        path = tmp_path_factory.mktemp("simulated") / "trips.csv"
        simulate(profile, Order(rows, seed), str(path))
        return pd.read_csv(path)

    return frame


@pytest.fixture(scope="session")
def ingest() -> Callable[..., Ingested]:
    """Runs TripExampleGen on a frame, then TFDV and ExampleValidator, each of them for real."""
    from tfx.types import standard_artifacts

    from farebox.components.trip_example_gen.component import TripExampleGen
    from farebox.components.trip_example_gen.schema import schema_text

    def run(
        frame: pd.DataFrame,
        folder: Path,
        profile: Any,
        schema: str | None = None,
        splits: Sequence[int] = (8, 1, 1),
        by_beam: bool = False,
    ) -> Ingested:
        folder.mkdir(parents=True, exist_ok=True)
        frame.to_csv(folder / "trips.csv", index=False)
        node = TripExampleGen(str(folder / "trips.csv"), profile, splits=splits)
        examples = _artifact(standard_artifacts.Examples, folder / "examples")
        _execute(node, {}, {"examples": [examples]})
        curated = _artifact(standard_artifacts.Schema, folder / "schema")
        Path(curated.uri).mkdir()
        Path(curated.uri, "schema.pbtxt").write_text(schema or schema_text(profile))
        return _describe(examples, curated, folder, by_beam)

    return run


@pytest.fixture(scope="session")
def describe() -> Callable[..., Ingested]:
    """`_describe`."""
    return _describe


def _describe(examples: Any, schema: Any, folder: Path, by_beam: bool = False) -> Ingested:
    """Statistics, with the graph's options, by StatisticsGen or (in a tenth of the time) by TFDV in memory; then
    ExampleValidator. Files go into `folder`."""
    from tfx.components import ExampleValidator
    from tfx.types import standard_artifacts
    from tfx.types.channel_utils import as_channel

    statistics = _artifact(standard_artifacts.ExampleStatistics, folder / "statistics")
    (_by_statistics_gen if by_beam else _in_memory)(examples, schema, statistics)
    anomalies = _artifact(standard_artifacts.ExampleAnomalies, folder / "anomalies")
    validator = ExampleValidator(as_channel([statistics]), as_channel([schema]))
    _execute(validator, {"statistics": [statistics], "schema": [schema]}, {"anomalies": [anomalies]})
    return Ingested({"examples": examples, "schema": schema, "statistics": statistics, "anomalies": anomalies})


def _by_statistics_gen(examples: Any, schema: Any, statistics: Any) -> None:
    from tensorflow_data_validation import StatsOptions
    from tfx.components import StatisticsGen
    from tfx.types.channel_utils import as_channel

    from farebox.pipeline.nodes import QUANTILES

    options = StatsOptions(num_quantiles_histogram_buckets=QUANTILES)
    node = StatisticsGen(as_channel([examples]), schema=as_channel([schema]), stats_options=options)
    _execute(node, {"examples": [examples], "schema": [schema]}, {"statistics": [statistics]})


def _in_memory(examples: Any, schema: Any, statistics: Any) -> None:
    import tensorflow as tf
    import tensorflow_data_validation as tfdv
    from tfx.types import artifact_utils

    from farebox.components.trip_example_gen.columns import EXAMPLE_COLUMNS
    from farebox.pipeline.nodes import QUANTILES

    statistics.split_names = examples.split_names
    curated = tfdv.load_schema_text(f"{schema.uri}/schema.pbtxt")
    options = tfdv.StatsOptions(schema=curated, num_quantiles_histogram_buckets=QUANTILES)
    spec = {name: tf.io.FixedLenFeature([], column.dtype) for name, column in EXAMPLE_COLUMNS.items()}
    for split in examples.splits:
        folder = Path(artifact_utils.get_split_uri([examples], split))
        records = list(tf.data.TFRecordDataset(list(map(str, folder.iterdir())), "GZIP").as_numpy_iterator())
        frame = pd.DataFrame({name: column.numpy() for name, column in tf.io.parse_example(records, spec).items()})
        split_statistics = tfdv.generate_statistics_from_dataframe(frame, options, n_jobs=1)
        target = Path(artifact_utils.get_split_uri([statistics], split))
        target.mkdir(parents=True)
        (target / "FeatureStats.pb").write_bytes(split_statistics.SerializeToString())


@pytest.fixture(scope="session")
def judge() -> Callable[..., list[dict[str, Any]]]:
    """Runs DataGate on what was ingested; returns verdict.json. Raises GateError where data are refused."""
    from farebox.components.artifacts import GateVerdict
    from farebox.components.data_gate.executor import DataGateExecutor

    def run(now: Ingested, before: Ingested | None = None, finds_baseline: int = 1, **settings: Any) -> list[dict]:
        folder = Path(now.artifacts["examples"].uri).with_name("verdict")
        shutil.rmtree(folder, ignore_errors=True)
        verdict = _artifact(GateVerdict, folder)
        inputs = {key: [artifact] for key, artifact in now.artifacts.items()}
        inputs["baseline_statistics"] = [before.artifacts["statistics"]] if before else []
        properties = {"settings": json.dumps(settings), "finds_baseline": finds_baseline}
        DataGateExecutor().Do(inputs, {"verdict": [verdict]}, properties)
        return json.loads((folder / "verdict.json").read_text())

    return run


def _artifact(kind: type, folder: Path) -> Any:
    artifact = kind()
    artifact.uri = str(folder)
    return artifact


def _execute(node: Any, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]]) -> None:
    executor = node.executor_spec.executor_class
    context = getattr(executor, "Context", None)
    instance = executor(context(beam_pipeline_args=list(BEAM))) if "Beam" in str(executor.__mro__) else executor()
    instance.Do(inputs, outputs, dict(node.exec_properties))
