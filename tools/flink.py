"""Beam's Flink job server and a pool of Python workers on this machine, until Ctrl-C: tools/flink.py [--fetch].

Flink runs inside the job server ([local]). Files are fetched once, by Maven, into .flink/.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import apache_beam
import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc, beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".flink"
KNOWN_TO_WORK = "2.62.0"  # the job API changes rarely: used if Maven does not have the installed Beam's version
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
DRIVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
OPENED_PACKAGES = (
    "io",
    "lang",
    "lang.reflect",
    "net",
    "nio",
    "text",
    "time",
    "util",
    "util.concurrent",
    "util.concurrent.atomic",
)
LOG_LEVELS = {
    "defaultLogLevel": "warn",
    "log.org.apache.beam": "info",
    "log.org.apache.flink.runtime.dispatcher": "info",  # the jobs that Flink took, and what they ended as
}
START_S, STOP_S = 120, 20


def fetch() -> Path:
    """The folder of jars, fetched if needed: the installed Beam's version, or one that is known to work with it."""
    versions = list(dict.fromkeys((apache_beam.__version__, KNOWN_TO_WORK)))
    cached = [CACHE / version for version in versions if (CACHE / version).is_dir()]
    if cached:
        return cached[0]
    if not shutil.which("mvn"):
        raise SystemExit("farebox: fetching Flink needs mvn on PATH (Debian: maven)")
    reason = ""
    for version in versions:
        reason = _copy(version)
        if not reason:
            return CACHE / version
    raise SystemExit(f"farebox: Flink's job server cannot be fetched: {reason}")


def _copy(version: str) -> str:
    """Why this version's jars could not be copied; empty if they were."""
    aside = CACHE / f".{version}.{os.getpid()}"
    options = (f"-Dbeam.version={version}", "-DincludeScope=runtime", f"-DoutputDirectory={aside}")
    command = ["mvn", "-q", "-B", "-f", str(ROOT / "tools/flink/pom.xml"), *options, COPY]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode == 0:
        aside.rename(CACHE / version)
        return ""
    shutil.rmtree(aside, ignore_errors=True)
    return next((line for line in done.stdout.splitlines() if "[ERROR]" in line), f"mvn exit code {done.returncode}")


def java() -> str:
    """The path of Java's command. Raises SystemExit if there is none."""
    home = os.environ.get("JAVA_HOME")
    path = shutil.which(f"{home}/bin/java") if home else shutil.which("java")
    if not path:
        raise SystemExit("farebox: Flink needs Java 11 or 17 on PATH or in JAVA_HOME (Debian: openjdk-17-jre-headless)")
    return path


def job_server(jars: Path, job_port: int, heap: str) -> list[str]:
    """The job server's command line; artifacts that jobs stage go to the folder of the jars."""
    levels = [f"-Dorg.slf4j.simpleLogger.{name}={level}" for name, level in LOG_LEVELS.items()]
    opened = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in OPENED_PACKAGES]
    options = {
        "--flink-master": "[local]",
        "--artifacts-dir": str(CACHE / "staging"),
        "--job-host": "127.0.0.1",
        "--job-port": str(job_port),
        "--artifact-port": "0",
        "--expansion-port": "-1",  # none
        "--history-size": "1000",
        "--flink-conf-dir": str(ROOT / "tools/flink/conf"),
    }
    words = [word for option in options.items() for word in option]
    return [java(), f"-Xmx{heap}", *opened, *levels, "-cp", f"{jars}/*", DRIVER, *words]


def serve_workers(port: int) -> None:
    """Starts workers for engines that ask, on loopback only: Beam's own entry point listens on all interfaces."""
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # it starts `python`
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    server = grpc.server(futures.ThreadPoolExecutor())
    pool = BeamFnExternalWorkerPoolServicer(use_process=True)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        server.wait_for_termination()
    finally:
        for worker in pool._worker_processes.values():
            worker.kill()


def wait_until_ready(job_port: int, children: list[subprocess.Popen[Any]], log: Path) -> None:
    """Raises SystemExit if a child ends first, or the job server does not answer within START_S seconds."""
    with grpc.insecure_channel(f"127.0.0.1:{job_port}") as channel:
        ready = grpc.channel_ready_future(channel)
        for _ in range(START_S):
            if any(child.poll() is not None for child in children):
                break
            with contextlib.suppress(grpc.FutureTimeoutError):
                ready.result(timeout=1)
                beam_job_api_pb2_grpc.JobServiceStub(channel).GetJobs(beam_job_api_pb2.GetJobsRequest())
                return
    raise SystemExit(f"farebox: the job server does not answer on port {job_port}: see {log}")


@contextlib.contextmanager
def processes(commands: list[list[str]], log: Path) -> Iterator[list[subprocess.Popen[Any]]]:
    """Runs commands in the checkout, where workers find our packages, and ends them with the block."""
    children: list[subprocess.Popen[Any]] = []
    with open(log, "wb") as output:
        try:
            for command in commands:
                children.append(subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output))
            yield children
        finally:
            for child in children:
                child.terminate()
            for child in children:
                try:
                    child.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    child.kill()


def serve(job_port: int, worker_port: int, heap: str) -> None:
    """Runs job server and workers until SIGINT or SIGTERM."""
    log = CACHE / f"log-{job_port}.txt"
    workers = [sys.executable, str(Path(__file__)), "--workers-only", "--worker-port", str(worker_port)]
    stop = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stop.set())
    with processes([job_server(fetch(), job_port, heap), workers], log) as children:
        wait_until_ready(job_port, children, log)
        jars = fetch().name
        print(f"farebox: Flink's job server (Beam {jars}) at localhost:{job_port}, workers at localhost:{worker_port}")
        print("farebox: ready for `farebox run --set beam.runner=flink`; Ctrl-C ends it", flush=True)
        while not stop.wait(1):
            if any(child.poll() is not None for child in children):
                raise SystemExit(f"farebox: Flink's job server or the worker pool has ended: see {log}")


def main() -> None:
    """Parses the command line; fetches, serves workers only, or serves both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fetch", action="store_true", help="fetch what is needed and start nothing")
    parser.add_argument("--job-port", type=int, default=8099)
    parser.add_argument("--worker-port", type=int, default=50000)
    parser.add_argument("--heap", default="1g", help="the most memory that the JVM's heap may take")
    parser.add_argument("--workers-only", action="store_true", help="the pool of workers, for a Flink elsewhere")
    options = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    if options.fetch:
        print(f"farebox: Flink's job server is in {fetch()}")
    elif options.workers_only:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        serve_workers(options.worker_port)
    else:
        serve(options.job_port, options.worker_port, options.heap)


if __name__ == "__main__":
    main()
