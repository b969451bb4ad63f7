"""`farebox compile`: the same pipeline as a spec, with what TFX leaves out: resources, defaults, what is not cached."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from farebox.components.errors import InputError
from farebox.components.files import write_atomically
from farebox.pipeline.cluster.parameters import declared
from farebox.pipeline.local.libraries import configure_libraries
from farebox.pipeline.process import output_to_log
from farebox.pipeline.provenance import checkout
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.target import Target

Job = dict[str, Any]

NEVER_CACHED = ("LatestPushed", "Pusher")  # what they find and leave lies outside of their artifacts
INGEST = "TripExampleGen"
ROOT_SCHEME = "gs://"
CONTAINER_COMMAND = ("python", "-I", "-m", "farebox.pipeline.cluster.container")
TAG = re.compile(r":[^:/]+$|@sha256:")


def compile_spec(settings: Settings, runner: str, out: str) -> Job:
    """Writes the spec to `out`, a PipelineJob as JSON or, where it ends with .yaml, the bare pipelineSpec.

    Raises InputError where the containers would not find what the settings name, or the file cannot be written.
    """
    root, image = root_of(settings), image_of(settings.cluster.image)
    check_data(settings)
    with output_to_log(Path(os.devnull)):  # what libraries say when they are imported
        configure_libraries()
        job = finished(compile_job(settings, root, image), settings, runner)
    write(job, out)
    return job


def compile_job(settings: Settings, root: str, image: str) -> Job:
    """The PipelineJob as TFX writes it; `image` holds this project, `root` is a store that its containers reach.

    TFX needs kfp-pipeline-spec for it, not kfp.
    """
    from tfx.orchestration.data_types import RuntimeParameter
    from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig

    from farebox.pipeline.graph import create_pipeline

    city = settings.city.name
    name = re.sub("[^a-z0-9]+", "-", f"farebox-{city}".lower()).strip("-")
    workers = settings.beam.local_workers(0)  # the number of rows is not known yet
    pipeline = create_pipeline(settings, Target(root, f"{root}/models/{city}", workers=workers, pipeline_name=name))
    for node in pipeline.components:
        for key, parameter in declared(settings).items():
            if node.id in parameter.nodes:
                default = parameter.default(settings)
                node.exec_properties[key] = RuntimeParameter(key, type(default), default, parameter.description)
    config = KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=list(CONTAINER_COMMAND), use_pipeline_spec_2_1=True
    )
    job: Job = KubeflowV2DagRunner(config=config).run(pipeline, write_out=False)
    return job


def finished(job: Job, settings: Settings, runner: str) -> Job:
    """The job with resources and parameters' defaults, and without what the orchestrator cannot run or must not cache.

    Kubeflow runs no hook before the cache, so files that have changed would not be seen by it.
    """
    spec = job["pipelineSpec"]
    spec["defaultPipelineRoot"] = job["runtimeConfig"]["gcsOutputDirectory"]
    uncached = {*NEVER_CACHED, *((INGEST,) if runner == "kubeflow" or settings.spans.pattern else ())}
    for name in uncached:
        spec["root"]["dag"]["tasks"][name].pop("cachingOptions", None)
    executors = spec["deploymentSpec"]["executors"]
    if INGEST in uncached:
        executors[f"{INGEST}_executor"]["container"].pop("lifecycle")
    for label, executor in executors.items():
        executor["container"]["resources"] = resources(settings, label.removesuffix("_executor"))
    check_nodes(settings, spec)
    for name, entry in spec["root"].get("inputDefinitions", {}).get("parameters", {}).items():
        parameter = declared(settings)[name]
        entry |= {
            "defaultValue": parameter.default(settings),
            "isOptional": True,
            "description": parameter.description,
        }
    return job


def described(job: Job, runner: str, out: str) -> list[str]:
    """What was written, for people."""
    spec = job["pipelineSpec"]
    containers = [executor["container"] for executor in spec["deploymentSpec"]["executors"].values()]
    lines = [
        f"{out}: {spec['pipelineInfo']['name']} for {runner}, {len(containers)} nodes, image {containers[0]['image']}",
        f"  artifacts and models in {spec['defaultPipelineRoot']}",
    ]
    for name, entry in spec["root"].get("inputDefinitions", {}).get("parameters", {}).items():
        lines.append(f"  --parameter {name}={entry['defaultValue']}  {entry['description']}")
    return lines


def resources(settings: Settings, node: str) -> dict[str, Any]:
    """A ResourceSpec as JSON: CPUs, and memory in GB."""
    asked = settings.cluster.resources(node)
    limits: dict[str, Any] = {"cpuLimit": asked.cpu, "memoryLimit": asked.memory_gb}
    if asked.accelerator:
        limits["accelerator"] = {"type": asked.accelerator, "count": str(asked.accelerators)}
    return limits


def check_nodes(settings: Settings, spec: Mapping[str, Any]) -> None:
    """Raises InputError where resources are set of a node that is not there."""
    known = sorted(spec["root"]["dag"]["tasks"])
    for name in settings.cluster.nodes:
        if name not in known:
            raise InputError(f"cluster.nodes: {name} must be one of {', '.join(known)}")


def root_of(settings: Settings) -> str:
    """Without a slash at its end. Raises InputError where containers on a cluster could not write there."""
    root = settings.cluster.root
    if root is None:
        raise InputError(
            "--root (cluster.root) must be given, such as gs://BUCKET/farebox: where artifacts and models go"
        )
    if not re.fullmatch(rf"{ROOT_SCHEME}[a-z0-9][\w.-]*(/[^/]+)*/?", root):
        raise InputError(f"--root={root} must be a bucket or a folder in one, such as gs://BUCKET/farebox")
    return root.rstrip("/")


def check_data(settings: Settings) -> None:
    """Raises InputError where the trips lie on this machine."""
    if not settings.data.startswith(ROOT_SCHEME):
        raise InputError(f"--data={settings.data} must be in a bucket, gs://...: containers do not see this machine")
    if settings.push.signing_key is not None:
        raise InputError(
            f"push.signing_key={settings.push.signing_key} must not be set: there is no such file in the image, and "
            "no secret belongs into it"
        )


def image_of(image: str | None) -> str:
    """The image with its tag: the commit, so that other code never meets the cache of this one. Raises InputError."""
    if not image:
        raise InputError("--image (cluster.image) must be given, such as REGISTRY/farebox: what `make image` built")
    return image if TAG.search(image) else f"{image}:{commit(checkout())}"


def commit(checkout: Path) -> str:
    """Of the checkout that this code runs from, 12 digits. Raises InputError where there is none, or changes since."""
    if not (checkout / ".git").exists():
        raise InputError(
            "--image must have a tag, NAME:TAG: this installation is no checkout, whose commit it would be"
        )
    if _git(checkout, "status", "--porcelain", "--untracked-files=no"):
        raise InputError(f"--image must have a tag, NAME:TAG, or the changes in {checkout} must be committed")
    return _git(checkout, "rev-parse", "--short=12", "HEAD")


def _git(checkout: Path, *arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"--image must have a tag, NAME:TAG: git cannot tell the commit of {checkout}") from error


def write(job: Job, out: str) -> None:
    """Raises InputError where the file cannot be written."""
    is_yaml = out.endswith((".yaml", ".yml"))
    text = yaml.safe_dump(job["pipelineSpec"]) if is_yaml else json.dumps(job, indent=1, sort_keys=True) + "\n"
    path = Path(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise InputError(f"--out={out} cannot be written: {error.strerror}") from error
