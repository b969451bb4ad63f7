"""A real run whose Beam nodes run on Apache Flink; each node again locally, on the same inputs, gives the same."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farebox.pipeline.settings.beam import LOCAL_ARGS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

ROOT = Path(__file__).parents[3]
FAREBOX = Path(sys.executable).with_name("farebox")
SERVER = [sys.executable, str(ROOT / "tools" / "flink.py")]
SMALL = (
    "training.epochs=2", "reducer.n_components=4", "reducer.fine_tune_epochs=1", "pruner.ramp_epochs=1",
    "pruner.recover_epochs=1", "pruner.final_sparsity=0.5", "quantizer.mode=dynamic", "model.embeddings={pair_cell: 4}",
    "gates.max_rmse=100", "gates.max_ratio_to_yardstick=10", "gates.max_bias=1",
)  # fmt: skip
EXECUTORS = {
    "TripExampleGen": "farebox.components.trip_example_gen.executor:TripExampleGenExecutor",
    "StatisticsGen": "tfx.components.statistics_gen.executor:Executor",
    "Transform": "tfx.components.transform.executor:Executor",
    "PcaReducer": "farebox.components.pca_reducer.executor:PcaReducerExecutor",
    "Evaluator": "farebox.components.evaluator.executor:FileEvaluatorExecutor",
}
SPLITS = ("train", "eval", "test")
CLOSE = {"rtol": 1e-6, "atol": 1e-9}


@dataclasses.dataclass(frozen=True)
class Engine:
    """A job server and a worker pool that run."""

    job_port: int
    worker_port: int

    @property
    def overrides(self) -> tuple[str, ...]:
        return (
            "beam.runner=flink",
            f"beam.job_endpoint=localhost:{self.job_port}",
            f"beam.environment_config=localhost:{self.worker_port}",
        )

    def jobs(self) -> list[tuple[str, str]]:
        """(name, state) of all jobs that the server has taken."""
        import grpc
        from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

        with grpc.insecure_channel(f"127.0.0.1:{self.job_port}") as channel:
            answer = beam_job_api_pb2_grpc.JobServiceStub(channel).GetJobs(
                beam_job_api_pb2.GetJobsRequest(), timeout=60
            )
        states = beam_job_api_pb2.JobState.Enum
        return sorted((job.job_name, states.Name(job.state)) for job in answer.job_info)


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    fetched = subprocess.run([*SERVER, "--fetch"], check=False, capture_output=True, text=True, timeout=1200)
    if fetched.returncode:
        pytest.skip(fetched.stderr.strip().splitlines()[-1])
    engine = Engine(*free_ports(2))
    ports = ["--job-port", str(engine.job_port), "--worker-port", str(engine.worker_port)]
    with subprocess.Popen([*SERVER, *ports], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            assert any("ready" in line for line in server.stdout), "the job server did not start"
            yield engine
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that has ended: its summary, its jobs, and each node's execution in MLMD."""

    out: Path
    summary: dict[str, Any]
    jobs: list[tuple[str, str]]
    log: str

    def execution(self, node: str) -> tuple[dict[str, list[Any]], dict[str, list[Any]], dict[str, Any]]:
        """Input and output artifacts, and the properties that the executor was given."""
        from tfx.orchestration import data_types_utils, metadata
        from tfx.orchestration.portable.mlmd import execution_lib

        path = self.out / "runs" / "chicago" / "metadata.sqlite"
        with metadata.Metadata(metadata.sqlite_metadata_connection_config(str(path))) as handle:
            (execution,) = (one for one in handle.store.get_executions() if one.type.endswith(node))
            properties = {
                key: data_types_utils.get_metadata_value(value)
                for key, value in execution.custom_properties.items()
                if not key.startswith("__")
            }
            inputs = execution_lib.get_input_artifacts(handle, execution.id)
            outputs = execution_lib.get_output_artifacts(handle, execution.id)
        return inputs, outputs, properties


@pytest.fixture(scope="module")
def run(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("on_flink")
    trips, out = folder / "trips.csv", folder / "out"
    simulated = ["data", "simulate", "--city", "chicago", "--rows", "2500", "--out", str(trips)]
    subprocess.run([str(FAREBOX), *simulated], check=True, timeout=120)
    overrides = [word for setting in (*SMALL, *engine.overrides) for word in ("--set", setting)]
    command = [str(FAREBOX), "run", "--city", "chicago", "--data", str(trips), "--out", str(out), "--json", *overrides]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=1800, env=os.environ)
    assert ended.returncode in (0, 3), ended.stderr[-2000:]
    log = (ROOT / ".flink" / f"log-{engine.job_port}.txt").read_text(errors="replace")
    return Run(out, json.loads(ended.stdout), engine.jobs(), log)


@pytest.fixture(scope="module")
def locally(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A node's outputs on Flink, and those of the local runner on the same inputs: two folders by key."""
    folder = tmp_path_factory.mktemp("locally")

    def both(node: str) -> tuple[dict[str, Path], dict[str, Path]]:
        from tfx.dsl.io import fileio

        inputs, outputs, properties = run.execution(node)
        again = {}
        for key, (artifact,) in outputs.items():
            again[key] = [type(artifact)()]
            again[key][0].uri = str(folder / node / key)
            fileio.makedirs(again[key][0].uri)
        module, name = EXECUTORS[node].split(":")
        executor = getattr(importlib.import_module(module), name)
        context = executor.Context(
            beam_pipeline_args=list(LOCAL_ARGS),
            tmp_dir=str(folder / node / "tmp"),
            stateful_working_dir=str(folder / node / "working"),
            executor_output_uri=str(folder / node / "executor_output.pb"),
            unique_id="1",
        )
        executor(context).Do(inputs, again, properties)
        return (
            {key: Path(artifact.uri) for key, (artifact,) in outputs.items()},
            {key: Path(artifact.uri) for key, (artifact,) in again.items()},
        )

    return both


def records(folder: Path, split: str) -> list[bytes]:
    """The split's examples, sorted; their features, too, which a writer may leave in any order."""
    import tensorflow as tf

    files = sorted(map(str, (folder / f"Split-{split}").glob("*.gz")))
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator()
    return sorted(tf.train.Example.FromString(record).SerializeToString(deterministic=True) for record in records)


def rows(folder: Path, split: str) -> np.ndarray:
    """Every column of the split's examples, (n_rows, n_columns), float64, in one order whatever the files' order is."""
    import tensorflow as tf

    def row(record: bytes) -> list[float]:
        features = tf.train.Example.FromString(record).features.feature
        kinds = [features[name] for name in sorted(features)]
        return [float(value) for kind in kinds for value in (*kind.float_list.value, *kind.int64_list.value)]

    table = np.array([row(record) for record in records(folder, split)])
    return table[np.lexsort(np.round(table, 4).T)]


def test_every_beam_node_ran_on_flink(run):
    names = [f"farebox-chicago-{node.lower()}" for node in sorted(EXECUTORS)]
    assert run.jobs == [(name, "DONE") for name in names]
    assert run.log.count("reached terminal state FINISHED") == len(EXECUTORS)
    assert set(run.summary["cpu_s"]) > set(EXECUTORS)


def test_examples_are_the_same_set(locally):
    flink, local = (outputs["examples"] for outputs in locally("TripExampleGen"))
    for split in SPLITS:
        assert records(flink, split) == records(local, split) != []
    assert json.loads((flink / "counts.json").read_text()) == json.loads((local / "counts.json").read_text())


def test_statistics_are_the_same(locally):
    import tensorflow_data_validation as tfdv

    flink, local = (outputs["statistics"] for outputs in locally("StatisticsGen"))
    for split in SPLITS:
        on_flink, expected = (
            tfdv.load_stats_binary(str(folder / f"Split-{split}" / "FeatureStats.pb")) for folder in (flink, local)
        )
        assert on_flink.datasets[0].num_examples == expected.datasets[0].num_examples > 0
        on_flink, expected = flat(on_flink), flat(expected)
        numbers = {path for path, value in expected.items() if isinstance(value, float)}
        assert len(numbers) > 100
        for path in numbers:
            assert on_flink.pop(path) == pytest.approx(expected.pop(path), rel=1e-6, abs=1e-9), path
        assert on_flink == expected


def flat(statistics: Any) -> dict[str, Any]:
    """Leaves of a message by their path; features by name, which are in no order."""
    from google.protobuf.json_format import MessageToDict

    leaves = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, part in value.items():
                walk(part, f"{path}.{key}")
        elif isinstance(value, list):
            for number, part in enumerate(value):
                walk(part, f"{path}[{number}]")
        else:
            leaves[path] = value

    for feature in MessageToDict(statistics.datasets[0])["features"]:
        walk(feature, "".join(feature["path"]["step"]))
    return leaves


def test_transformed_examples_are_the_same_set(locally):
    flink, local = (outputs["transformed_examples"] for outputs in locally("Transform"))
    for split in SPLITS:
        # standardized float32: to within a few of its steps at 1
        np.testing.assert_allclose(rows(flink, split), rows(local, split), rtol=1e-6, atol=1e-6)


def test_projections_are_the_same(locally):
    flink, local = (outputs["projection"] for outputs in locally("PcaReducer"))
    with np.load(flink / "projection.npz") as on_flink, np.load(local / "projection.npz") as expected:
        assert set(on_flink) == set(expected)
        for name in on_flink:
            np.testing.assert_allclose(on_flink[name], expected[name], **CLOSE, err_msg=name)


def test_metrics_are_the_same(locally):
    """Of all trips and of every slice, with their confidence intervals.

    A prediction is float32 and its last digit hangs on the batch that it was made in. Bounds and biases are differences
    of fares that nearly cancel: to 1e-6 of the mean fare.
    """
    from farebox.components.evaluator.metrics import by_slice

    flink, local = (by_slice(str(outputs["evaluation"])) for outputs in locally("Evaluator"))
    assert len(flink) > 40 and flink.keys() == local.keys()
    for where, figures in local.items():
        assert flink[where].keys() == figures.keys()
        mean = figures["mean_label"].value
        for name, expected in figures.items():
            on_flink, scale = flink[where][name], mean if name == "bias" else 0
            assert on_flink.value == pytest.approx(expected.value, rel=1e-6, abs=1e-6 * scale), (where, name)
            bounds, wanted = (on_flink.lower, on_flink.upper), (expected.lower, expected.upper)
            assert bounds == pytest.approx(wanted, rel=1e-6, abs=1e-6 * mean), (where, name)
