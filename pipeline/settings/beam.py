"""Which engine runs the Beam nodes, and the options that it takes; they are named as Beam names them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Literal

Runner = Literal["local", "flink", "spark", "dataflow"]

LOCAL_ARGS = (
    "--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner",
    "--sdk_container_image=unused",
)
RUNNER_CLASS = {"flink": "FlinkRunner", "spark": "SparkRunner", "dataflow": "DataflowRunner"}
FLINK_JOB_ENDPOINT, WORKER_POOL = "localhost:8099", "localhost:50000"  # where `make flink` listens
WORKER_ROWS = 2_000_000  # that repay a local worker's start: docs/performance.md
NEEDED_BY_DATAFLOW = ("project", "region", "temp_location")

COUNTS = (
    "direct_num_workers", "sdk_worker_parallelism", "parallelism", "max_parallelism", "num_workers", "max_num_workers",
)  # fmt: skip
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
    """runner: where the Beam nodes run: in this process, or on Flink, Spark or Dataflow.

    args: further options of every Beam node, after those that follow from the fields. All other fields are Beam's
    options of that name, for the runners that `OPTIONS` lists them for; None is Beam's own default, and for
    direct_num_workers, the processes of each local Beam node but TripExampleGen, the rows decide: see `local_workers`.

    Locally, Beam's own default would first try to download a runner (Prism). Without an image or package, TFX packs
    itself into an sdist for workers elsewhere at every node, and leaves 42 MB in the temporary folder: hence the image
    that none is started from, where workers bring their own Python, or the environment says which image.
    """

    runner: Runner = "local"
    args: tuple[str, ...] = ()
    direct_num_workers: int | None = None
    job_endpoint: str | None = None
    artifact_endpoint: str | None = None
    environment_type: Literal["EXTERNAL", "DOCKER", "PROCESS", "LOOPBACK"] | None = None
    environment_config: str | None = None
    sdk_worker_parallelism: int | None = None
    sdk_container_image: str | None = None
    extra_package: str | None = None
    setup_file: str | None = None
    flink_master: str | None = None
    flink_version: str | None = None
    flink_job_server_jar: str | None = None
    flink_submit_uber_jar: bool = False
    parallelism: int | None = None
    max_parallelism: int | None = None
    spark_master_url: str | None = None
    spark_rest_url: str | None = None
    spark_job_server_jar: str | None = None
    spark_submit_uber_jar: bool = False
    project: str | None = None
    region: str | None = None
    temp_location: str | None = None
    staging_location: str | None = None
    service_account_email: str | None = None
    subnetwork: str | None = None
    machine_type: str | None = None
    num_workers: int | None = None
    max_num_workers: int | None = None
    disk_size_gb: int | None = None
    no_use_public_ips: bool = False

    def __post_init__(self) -> None:
        self._check_options()
        self._check_shipped()
        if self.runner in ("flink", "spark"):
            self._check_job_server()
            self._check_environment()
        elif self.runner == "dataflow":
            self._check_dataflow()

    @property
    def pipeline_args(self) -> tuple[str, ...]:
        """What every Beam node is given."""
        if self.runner == "local":
            return *LOCAL_ARGS, *self.args
        options = self._options()
        flags = [f"--{name}" if value is True else f"--{name}={value}" for name, value in options.items()]
        return f"--runner={RUNNER_CLASS[self.runner]}", *flags, *self.args

    def local_workers(self, rows: int) -> int:
        """Processes for so many rows: one until there are enough to repay the start of more, at most one a core."""
        if self.runner != "local":
            return 1
        return self.direct_num_workers or max(1, min(len(os.sched_getaffinity(0)), rows // WORKER_ROWS))

    @property
    def job_service(self) -> str | None:
        """host:port of the job server that must run already; None where Beam starts one, or needs none."""
        if self.runner == "flink" and not self.flink_master:
            return self.job_endpoint or FLINK_JOB_ENDPOINT
        return self.job_endpoint

    def job_args(self, city: str, node: str) -> tuple[str, ...]:
        """What one node is given besides: its job's name, as Dataflow allows it. None locally, where nobody sees it."""
        if self.runner == "local":
            return ()
        return (f"--job_name=farebox-{re.sub('[^a-z0-9]+', '-', f'{city}-{node}'.lower()).strip('-')}",)

    def _options(self) -> dict[str, object]:
        """Beam's options that are not at their defaults, ours included."""
        given = {name: getattr(self, name) for name in OPTIONS[self.runner]}
        options = {name: value for name, value in given.items() if value not in (None, False)}
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
        for name in COUNTS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"beam.{name}={value} must be at least 1")

    def _check_shipped(self) -> None:
        for name in ("extra_package", "setup_file"):
            value = getattr(self, name)
            if value is not None and not Path(value).is_file():
                raise ValueError(f"beam.{name}={value} must be a file: `make wheel` builds one from setup.py")

    def _check_job_server(self) -> None:
        master = "flink_master" if self.runner == "flink" else "spark_master_url"
        if self.job_endpoint and getattr(self, master):
            raise ValueError(
                f"beam.job_endpoint={self.job_endpoint} must not go with beam.{master}: "
                "a job server that runs has its own master"
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
                "its workers need farebox, and `make wheel` builds it"
            )


def worker_args(workers: int) -> tuple[str, ...]:
    """What a local Beam node is given to run in so many processes; nothing for one, this."""
    if workers == 1:
        return ()
    return f"--direct_num_workers={workers}", "--direct_running_mode=multi_processing"


def _check_address(name: str, address: str | None) -> None:
    found = re.fullmatch(r"[^\s:/]+:(\d+)", address or "localhost:1")
    if not found or not 0 < int(found[1]) < 65536:
        raise ValueError(f"beam.{name}={address} must be host:port")
