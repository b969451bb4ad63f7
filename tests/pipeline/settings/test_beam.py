"""Options of the engines: Beam's parser knows each, and a missing or contradictory one is refused in one line."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from farebox.pipeline.settings.beam import LOCAL_ARGS, OPTIONS, WORKER_ROWS, BeamSettings
from farebox.pipeline.settings.load import SettingsError, load_settings

ROOT = Path(__file__).parents[3]
FAREBOX = Path(sys.executable).with_name("farebox")
DATAFLOW = {
    "project": "fares",
    "region": "europe-west4",
    "temp_location": "gs://fares/temp",
    "sdk_container_image": "registry.example/farebox:1",
}
BEAM_NODES = {"TripExampleGen", "StatisticsGen", "Transform", "PcaReducer", "Evaluator"}
ENGINES = {
    "flink": {},
    "flink cluster": {"flink_master": "flink.example:8081", "parallelism": 8, "max_parallelism": 128},
    "flink uber jar": {"flink_master": "flink.example:8081", "flink_submit_uber_jar": True, "flink_version": "1.19"},
    "flink in docker": {"environment_type": "DOCKER", "environment_config": "registry.example/farebox:1"},
    "flink process": {"environment_type": "PROCESS", "environment_config": "/opt/boot", "sdk_worker_parallelism": 2},
    "spark": {"job_endpoint": "spark.example:8099", "artifact_endpoint": "spark.example:8098"},
    "spark cluster": {"spark_master_url": "spark://spark.example:7077"},
    "spark rest": {"spark_rest_url": "http://spark.example:6066", "spark_submit_uber_jar": True},
    "dataflow": DATAFLOW,
    "dataflow tuned": DATAFLOW | {
        "staging_location": "gs://fares/staging", "service_account_email": "beam@fares.example", "num_workers": 2,
        "subnetwork": "regions/europe-west4/subnetworks/private", "machine_type": "n2-standard-4",
        "max_num_workers": 8, "disk_size_gb": 50, "no_use_public_ips": True,
    },
}  # fmt: skip


def of(runner: str, **options: object) -> BeamSettings:
    return BeamSettings(runner=runner, **options)  # type: ignore[arg-type]


def parsed(beam: BeamSettings) -> dict[str, object]:
    """The options that Beam reads from the arguments. Beam's parser drops unknown ones by default: there are none."""
    from apache_beam.options.pipeline_options import PipelineOptions

    options = PipelineOptions([*beam.pipeline_args, *beam.job_args("chicago", "StatisticsGen")])
    known = options.get_all_options(drop_default=True)
    assert options.get_all_options(drop_default=True, retain_unknown_options=True) == known
    return known


def test_the_local_runner_has_its_own_arguments_and_no_job_name():
    local = (
        "--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner",
        "--sdk_container_image=unused",
    )
    assert BeamSettings().pipeline_args == local == LOCAL_ARGS
    assert BeamSettings(args=("--direct_num_workers=2",)).pipeline_args == (*local, "--direct_num_workers=2")
    assert BeamSettings().job_args("chicago", "Transform") == ()


@pytest.mark.parametrize("name", ENGINES)
def test_beam_knows_every_option(name):
    runner = name.split()[0]
    known = parsed(of(runner, **ENGINES[name]))
    assert known["runner"] == f"{runner.title()}Runner"
    assert known["job_name"] == "farebox-chicago-statisticsgen"
    options = {key: value for key, value in ENGINES[name].items() if value != "/opt/boot"}  # it becomes JSON
    if options.pop("no_use_public_ips", False):
        assert known.pop("use_public_ips") is False
    assert {key: str(known[key]) for key in options} == {key: str(value) for key, value in options.items()}


def test_every_option_is_tested_above_or_needs_a_file():
    tested = {name: set[str]() for name in OPTIONS}
    for name, options in ENGINES.items():
        tested[name.split()[0]] |= set(options)
    left = set().union(*OPTIONS.values()) - set().union(*tested.values())
    assert left == {
        "extra_package", "setup_file", "flink_job_server_jar", "spark_job_server_jar", "direct_num_workers",
    }  # fmt: skip
    fields = {field.name for field in dataclasses.fields(BeamSettings)}
    assert fields == {"runner", "args"}.union(*OPTIONS.values())


def test_flink_needs_no_other_option():
    """The job server and the workers are then those of `make flink`."""
    assert parsed(of("flink")) == {
        "runner": "FlinkRunner",
        "job_endpoint": "localhost:8099",
        "environment_type": "EXTERNAL",
        "environment_config": "localhost:50000",
        "sdk_container_image": "unused",
        "job_name": "farebox-chicago-statisticsgen",
    }


def test_beam_gets_a_process_environment_as_json():
    known = parsed(of("flink", **ENGINES["flink process"]))
    assert known["environment_config"] == '{"command": "/opt/boot"}'


def test_a_package_replaces_the_image(tmp_path):
    """TFX adds an sdist of its own only if there is neither."""
    from tfx.utils.dependency_utils import make_beam_dependency_flags

    wheel = tmp_path / "farebox.whl"
    wheel.touch()
    for beam in (
        of("flink", extra_package=str(wheel)),
        of("spark", extra_package=str(wheel), spark_master_url="spark://spark.example:7077"),
        of("dataflow", **{**DATAFLOW, "sdk_container_image": None}, extra_package=str(wheel)),
    ):
        known = parsed(beam)
        assert known["extra_packages"] == [str(wheel)] and "sdk_container_image" not in known
        assert make_beam_dependency_flags(list(beam.pipeline_args)) == list(beam.pipeline_args)


@pytest.mark.parametrize(
    ("runner", "options", "message"),
    [
        ("local", {"flink_master": "f:1"}, "beam.flink_master=f:1 must go with beam.runner=flink, got local"),
        ("local", {"job_endpoint": "f:1"}, "beam.job_endpoint=f:1 must go with beam.runner=flink or spark, got local"),
        ("flink", {"project": "fares"}, "beam.project=fares must go with beam.runner=dataflow, got flink"),
        ("dataflow", {"parallelism": 2}, "beam.parallelism=2 must go with beam.runner=flink, got dataflow"),
        ("flink", {"parallelism": 0}, "beam.parallelism=0 must be at least 1"),
        ("flink", {"job_endpoint": "8099"}, "beam.job_endpoint=8099 must be host:port"),
        ("flink", {"job_endpoint": "f:99999"}, "beam.job_endpoint=f:99999 must be host:port"),
        ("flink", {"flink_master": "http://f"}, "beam.flink_master=f must be host:port"),
        ("flink", {"job_endpoint": "f:1", "flink_master": "f:2"}, "must not go with beam.flink_master"),
        ("flink", {"environment_config": "pool"}, "beam.environment_config=pool must be host:port"),
        ("flink", {"environment_type": "DOCKER"}, "environment_config must be given for .*=DOCKER: the image"),
        ("flink", {"environment_type": "PROCESS"}, "environment_config must be given for .*=PROCESS: the command"),
        ("flink", {"environment_type": "LOOPBACK", "environment_config": "f:1"}, "must not go with .*=LOOPBACK"),
        ("flink", {"extra_package": "no.whl"}, "beam.extra_package=no.whl must be a file, a wheel of farebox"),
        ("spark", {}, "beam.job_endpoint or beam.spark_master_url must be given for beam.runner=spark"),
        ("dataflow", DATAFLOW | {"project": None}, "beam.project must be given for beam.runner=dataflow"),
        ("dataflow", DATAFLOW | {"region": ""}, "beam.region must be given for beam.runner=dataflow"),
        ("dataflow", DATAFLOW | {"temp_location": None}, "beam.temp_location must be given for beam.runner=dataflow"),
        ("dataflow", DATAFLOW | {"temp_location": "/tmp"}, "beam.temp_location=/tmp must begin with gs://"),
        (
            "dataflow",
            DATAFLOW | {"sdk_container_image": None},
            "beam.extra_package or beam.sdk_container_image must be .*: its workers need farebox$",
        ),
    ],
)
def test_a_missing_or_contradictory_option_is_named(runner, options, message):
    with pytest.raises(ValueError, match=message):
        of(runner, **options)


def test_settings_name_the_overrides(tmp_path):
    with pytest.raises(SettingsError, match="^overrides: beam.project must be given for beam.runner=dataflow"):
        load_settings("chicago", None, str(tmp_path), ["beam.runner=dataflow"])
    with pytest.raises(SettingsError, match="^overrides: beam.runner=fink must be 'local', 'flink'"):
        load_settings("chicago", None, str(tmp_path), ["beam.runner=fink"])


def test_the_command_refuses_before_it_imports_tfx(tmp_path):
    """TFX cannot be imported here, and the message is the same."""
    (tmp_path / "tfx.py").write_text("raise SystemExit('tfx was imported')\n")
    overrides = ("--set", "beam.runner=dataflow", "--set", "beam.project=fares", "--set", "beam.region=europe-west4")
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    ended = subprocess.run(
        [str(FAREBOX), "run", "--city", "chicago", "--out", str(tmp_path / "out"), *overrides],
        capture_output=True, text=True, check=False, timeout=60, env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.endswith("farebox: --set beam.temp_location must be given for beam.runner=dataflow")


@pytest.fixture
def refused(call, tmp_path) -> Callable[..., str]:
    def run(*overrides: str) -> str:
        words = [word for setting in overrides for word in ("--set", setting)]
        code, _, error = call("run", "--city", "chicago", "--out", tmp_path / "out", *words)
        assert code == 2 and not (tmp_path / "out").exists()
        (line,) = error.splitlines()
        return line

    return run


def test_the_command_adds_how_to_get_what_is_missing(refused):
    line = refused("beam.runner=flink", "beam.extra_package=no.whl")
    assert line.endswith("--set beam.extra_package=no.whl must be a file, a wheel of farebox (`make wheel` builds one)")
    line = refused("gates.max_rmse")
    assert line == "farebox: override gates.max_rmse must read section.key=value (`--set gates.max_rmse=4`)"


def test_a_job_server_that_does_not_run_is_named_at_once(refused):
    """Beam itself waits for five minutes."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = refused("beam.runner=flink", f"beam.job_endpoint={address}")
    assert line == (
        f"farebox: beam.job_endpoint={address} must be a Beam job server that runs, got Connection refused "
        "(`make flink` starts one on this machine)"
    )


def test_dataflow_cannot_reach_this_machine(refused, tmp_path):
    overrides = (f"beam.{name}={value}" for name, value in DATAFLOW.items())
    line = refused("beam.runner=dataflow", *overrides)
    assert f"must go with artifacts in a bucket, got out={tmp_path / 'out'}, which its workers cannot reach" in line


def test_a_compiled_pipeline_contains_its_beam_options():
    from farebox.pipeline.cluster.compile import compile_job

    overrides = ["beam.runner=dataflow", *(f"beam.{name}={value}" for name, value in DATAFLOW.items())]
    settings = load_settings("chicago", "gs://fares/trips", overrides=overrides)
    job = compile_job(settings, "gs://fares/runs", "registry.example/farebox:1")
    executors = job["pipelineSpec"]["deploymentSpec"]["executors"]
    args = {
        name.removesuffix("_executor"): each.get("container", {}).get("args", []) for name, each in executors.items()
    }
    assert {name for name, words in args.items() if "--runner=DataflowRunner" in words} >= BEAM_NODES
    for node in BEAM_NODES:
        assert {"--project=fares", f"--job_name=farebox-chicago-{node.lower()}"} <= {*args[node]}


@pytest.mark.parametrize(
    ("beam", "rows", "workers"),
    [
        (BeamSettings(), 0, 1),
        (BeamSettings(), 2 * WORKER_ROWS - 1, 1),
        (BeamSettings(), 2 * WORKER_ROWS, 2),
        (BeamSettings(), 1000 * WORKER_ROWS, 3),
        (BeamSettings(direct_num_workers=1), 1000 * WORKER_ROWS, 1),
        (BeamSettings(direct_num_workers=7), 10, 7),
        (of("flink"), 1000 * WORKER_ROWS, 1),
    ],
)
def test_the_number_of_processes_follows_the_rows_up_to_the_cores(monkeypatch, beam, rows, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5})
    assert beam.local_workers(rows) == workers


def test_local_beam_nodes_except_ingest_run_in_the_number_of_processes_set(tmp_path):
    from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

    from farebox.pipeline.graph import create_pipeline
    from farebox.pipeline.target import Target

    def workers(count: int) -> dict[str, tuple[int, str]]:
        target = Target(str(tmp_path), str(tmp_path / "schema.pbtxt"), str(tmp_path), workers=count)
        pipeline = create_pipeline(load_settings("chicago", None, str(tmp_path)), target)
        specs = {node.id: getattr(node, "executor_spec", None) for node in pipeline.components}
        args = {node: spec.beam_pipeline_args for node, spec in specs.items() if hasattr(spec, "beam_pipeline_args")}
        parsed = {node: PipelineOptions(list(words)).view_as(DirectOptions) for node, words in args.items()}
        return {node: (each.direct_num_workers, each.direct_running_mode) for node, each in parsed.items()}

    in_process = (1, "in_memory")
    assert workers(1) == dict.fromkeys(BEAM_NODES, in_process)
    assert workers(3) == {**dict.fromkeys(BEAM_NODES, (3, "multi_processing")), "TripExampleGen": in_process}


def test_only_beam_nodes_get_a_job_name_and_only_on_an_engine(tmp_path):
    from farebox.pipeline.graph import create_pipeline
    from farebox.pipeline.target import Target

    def names(*overrides: str) -> dict[str, list[str]]:
        settings = load_settings("chicago", None, str(tmp_path), overrides)
        pipeline = create_pipeline(settings, Target(str(tmp_path), str(tmp_path / "schema.pbtxt"), str(tmp_path)))
        arguments = {
            node.id: getattr(getattr(node, "executor_spec", None), "beam_pipeline_args", [])
            for node in pipeline.components
        }
        return {
            node: [arg for arg in args if arg.startswith("--job_name=")] for node, args in arguments.items() if args
        }

    assert names() == {node: [] for node in BEAM_NODES}
    assert names("beam.runner=flink") == {node: [f"--job_name=farebox-chicago-{node.lower()}"] for node in BEAM_NODES}
