"""Settings of the engine that runs the Beam nodes; options are named as Beam names them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Literal

from farebox.components.errors import Count, check_fields

Runner = Literal["local", "flink", "spark", "dataflow"]

# Locally, Beam's own default would first try to download a runner (Prism). Without an image or package, TFX packs
# itself into an sdist for remote workers at every node, and leaves 42 MB in the temporary folder. Hence the image
# `unused`: no container is started from it, because workers bring their own Python or the environment names an image.
LOCAL_ARGS = (
    "--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner",
    "--sdk_container_image=unused",
)
RUNNER_CLASS = {"flink": "FlinkRunner", "spark": "SparkRunner", "dataflow": "DataflowRunner"}
FLINK_JOB_ENDPOINT, WORKER_POOL = "localhost:8099", "localhost:50000"  # where `make flink` listens
WORKER_ROWS = 2_000_000  # rows that repay the start of a local worker: docs/performance.md
NEEDED_BY_DATAFLOW = ("project", "region", "temp_location")

SHIPPED = ("sdk_container_image", "extra_package", "setup_file")
PORTABLE = (
    "job_endpoint", "artifact_endpoint", "environment_type", "environment_config", "sdk_worker_parallelism", *SHIPPED,
)  # fmt: skip
OPTIONS = {
    "local": ("direct_num_workers",),
    "flink": (
        *PORTABLE, "flink_master", "flink_version", "flink_job_server_jar", "flink_submit_uber_jar", "parallelism",
        "max_parallelism",
    ),
    "spark": (*PORTABLE, "spark_master_url", "spark_rest_url", "spark_job_server_jar", "spark_submit_uber_jar"),
    "dataflow": (
        *SHIPPED, *NEEDED_BY_DATAFLOW, "staging_location", "service_account_email", "subnetwork", "machine_type",
        "num_workers", "max_num_workers", "disk_size_gb", "no_use_public_ips",
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class BeamSettings:
    """Engine of the Beam nodes. All fields except runner and args are Beam's options of that name.

    Null is Beam's own default. Each option must go with a runner that takes it.
    """

    runner: Runner = "local"
    """Place where the Beam nodes run: this process, or Flink, Spark or Dataflow."""
    args: tuple[str, ...] = ()
    """Further options of every Beam node, after those that follow from the other settings."""
    direct_num_workers: Count | None = None
    """Processes of each local Beam node except TripExampleGen; null for one process below 4 million rows, then one per
    2 million rows, at most one per core."""
    job_endpoint: str | None = None
    """host:port of a running Beam job server; on Flink, null for localhost:8099."""
    artifact_endpoint: str | None = None
    """host:port of the job server's artifact service."""
    environment_type: Literal["EXTERNAL", "DOCKER", "PROCESS", "LOOPBACK"] | None = None
    """Way in which workers start on Flink and Spark; null for EXTERNAL."""
    environment_config: str | None = None
    """Address of the worker pool (EXTERNAL, null for localhost:50000), the image (DOCKER) or the command (PROCESS)."""
    sdk_worker_parallelism: Count | None = None
    """Worker processes per machine of Flink or Spark."""
    sdk_container_image: str | None = None
    """Container image of the workers."""
    extra_package: str | None = None
    """Wheel of farebox that workers install."""
    setup_file: str | None = None
    """setup.py from which workers install farebox."""
    flink_master: str | None = None
    """host:port of Flink, for which Beam starts a job server, or `[local]` or `[auto]`."""
    flink_version: str | None = None
    """Version of Flink, such as 1.19."""
    flink_job_server_jar: str | None = None
    """Jar of the job server that Beam starts for Flink."""
    flink_submit_uber_jar: bool = False
    """Submit to Flink's REST interface as one jar."""
    parallelism: Count | None = None
    """Parallelism of a job on Flink."""
    max_parallelism: Count | None = None
    """Largest parallelism of a job on Flink."""
    spark_master_url: str | None = None
    """URL of Spark, such as spark://host:7077, for which Beam starts a job server."""
    spark_rest_url: str | None = None
    """URL of Spark's REST interface, such as http://host:6066."""
    spark_job_server_jar: str | None = None
    """Jar of the job server that Beam starts for Spark."""
    spark_submit_uber_jar: bool = False
    """Submit to Spark's REST interface as one jar."""
    project: str | None = None
    """Google Cloud project of Dataflow."""
    region: str | None = None
    """Google Cloud region of Dataflow, such as europe-west4."""
    temp_location: str | None = None
    """gs:// folder for Dataflow's temporary files."""
    staging_location: str | None = None
    """gs:// folder for the packages of Dataflow's workers."""
    service_account_email: str | None = None
    """Service account of Dataflow's workers."""
    subnetwork: str | None = None
    """Subnetwork of Dataflow's workers, such as regions/europe-west4/subnetworks/private."""
    machine_type: str | None = None
    """Machine type of Dataflow's workers, such as n2-standard-4."""
    num_workers: Count | None = None
    """Dataflow's workers at the start."""
    max_num_workers: Count | None = None
    """Largest number of Dataflow's workers."""
    disk_size_gb: int | None = None
    """Disk of each of Dataflow's workers, in GB."""
    no_use_public_ips: bool = False
    """Give Dataflow's workers no public address."""

    def __post_init__(self) -> None:
        check_fields(self, "beam")
        self._check_options()
        self._check_shipped()
        if self.runner in ("flink", "spark"):
            self._check_job_server()
            self._check_environment()
        elif self.runner == "dataflow":
            self._check_dataflow()

    @property
    def pipeline_args(self) -> tuple[str, ...]:
        """Command-line options of every Beam node."""
        if self.runner == "local":
            return *LOCAL_ARGS, *self.args
        options = self._options()
        flags = [f"--{name}" if value is True else f"--{name}={value}" for name, value in options.items()]
        return f"--runner={RUNNER_CLASS[self.runner]}", *flags, *self.args

    def local_workers(self, rows: int) -> int:
        """Returns the processes for a number of rows: one until a second repays its start, at most one per core."""
        if self.runner != "local":
            return 1
        return self.direct_num_workers or max(1, min(len(os.sched_getaffinity(0)), rows // WORKER_ROWS))

    @property
    def job_service(self) -> str | None:
        """host:port of the job server that must already run; None if Beam starts one or needs none."""
        if self.runner == "flink" and not self.flink_master:
            return self.job_endpoint or FLINK_JOB_ENDPOINT
        return self.job_endpoint

    def job_args(self, city: str, node: str) -> tuple[str, ...]:
        """Returns further options of one node: its job's name, in characters that Dataflow allows; none locally."""
        if self.runner == "local":
            return ()
        return (f"--job_name=farebox-{re.sub('[^a-z0-9]+', '-', f'{city}-{node}'.lower()).strip('-')}",)

    def _options(self) -> dict[str, object]:
        """Beam's options that differ from Beam's defaults."""
        values = {name: getattr(self, name) for name in OPTIONS[self.runner]}
        options = {name: value for name, value in values.items() if value not in (None, False)}
        if self.runner in ("flink", "spark"):
            if self.job_service:
                options["job_endpoint"] = self.job_service
            options.setdefault("environment_type", "EXTERNAL")
            if options["environment_type"] == "EXTERNAL":
                options.setdefault("environment_config", WORKER_POOL)
            elif options["environment_type"] == "PROCESS":
                options["environment_config"] = json.dumps({"command": self.environment_config})
            if not any(name in options for name in SHIPPED):
                options["sdk_container_image"] = "unused"
        return options

    def _check_options(self) -> None:
        fields = (field.name for field in dataclasses.fields(self))
        for name in sorted({*fields} - {"runner", "args", *OPTIONS[self.runner]}):
            value = getattr(self, name)
            if value not in (None, False):
                takers = " or ".join(runner for runner, options in OPTIONS.items() if name in options)
                raise ValueError(f"beam.{name}={value} must go with beam.runner={takers}, got {self.runner}")

    def _check_shipped(self) -> None:
        for name, content in (("extra_package", "a wheel of farebox"), ("setup_file", "farebox's setup.py")):
            value = getattr(self, name)
            if value is not None and not Path(value).is_file():
                raise ValueError(f"beam.{name}={value} must be a file, {content}")

    def _check_job_server(self) -> None:
        master = "flink_master" if self.runner == "flink" else "spark_master_url"
        if self.job_endpoint and getattr(self, master):
            raise ValueError(
                f"beam.job_endpoint={self.job_endpoint} must not go with beam.{master}: "
                "a running job server has its own master"
            )
        if self.runner == "spark" and not (self.job_endpoint or self.spark_master_url or self.spark_rest_url):
            raise ValueError("beam.job_endpoint or beam.spark_master_url must be given for beam.runner=spark")
        for name in ("job_endpoint", "artifact_endpoint"):
            _check_address(name, getattr(self, name))
        if self.flink_master and not self.flink_master.startswith("["):  # [local] and [auto] are Beam's words
            _check_address("flink_master", re.sub("^https?://", "", self.flink_master))

    def _check_environment(self) -> None:
        kind, config = self.environment_type or "EXTERNAL", self.environment_config
        if kind == "EXTERNAL":
            _check_address("environment_config", config)
        elif kind == "DOCKER" and not config:
            raise ValueError("beam.environment_config must be given for beam.environment_type=DOCKER: the image")
        elif kind == "PROCESS" and not config:
            raise ValueError("beam.environment_config must be given for beam.environment_type=PROCESS: the command")
        elif kind == "LOOPBACK" and config:
            raise ValueError(f"beam.environment_config={config} must not go with beam.environment_type=LOOPBACK")

    def _check_dataflow(self) -> None:
        for name in NEEDED_BY_DATAFLOW:
            if not getattr(self, name):
                raise ValueError(f"beam.{name} must be given for beam.runner=dataflow")
        for name in ("temp_location", "staging_location"):
            value = getattr(self, name)
            if value and not value.startswith("gs://"):
                raise ValueError(f"beam.{name}={value} must begin with gs:// for beam.runner=dataflow")
        if not any(getattr(self, name) for name in SHIPPED):
            raise ValueError(
                "beam.extra_package or beam.sdk_container_image must be given for beam.runner=dataflow: "
                "its workers need farebox"
            )


def worker_args(workers: int) -> tuple[str, ...]:
    """Returns the options that run a local Beam node in a number of processes; none for one, the current process."""
    if workers == 1:
        return ()
    return f"--direct_num_workers={workers}", "--direct_running_mode=multi_processing"


def _check_address(name: str, address: str | None) -> None:
    match = re.fullmatch(r"[^\s:/]+:(\d+)", address or "localhost:1")
    if not match or not 0 < int(match[1]) < 65536:
        raise ValueError(f"beam.{name}={address} must be host:port")
