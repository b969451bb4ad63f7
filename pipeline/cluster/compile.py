"""The pipeline as a spec for Kubeflow or Vertex AI, with resources, defaults of parameters and uncached nodes.

TFX's own compiler leaves those out.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from farebox.components.atomic_pusher.commit import DIRTY, code_commit
from farebox.components.errors import InputError
from farebox.components.files import write_atomically
from farebox.pipeline.cluster import platform, store
from farebox.pipeline.cluster.invocation import PAGE, PAGE_ENTRY, RUN_ID
from farebox.pipeline.cluster.parameters import RUN_PARAMETER, declared_parameters
from farebox.pipeline.cluster.service import ClusterRunner
from farebox.pipeline.cluster.spec import CONTAINER_COMMAND, Spec
from farebox.pipeline.provenance import LANE_VARIABLE, checkout, lane
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.target import Target

Job = dict[str, Any]

NEVER_CACHED = ("LatestPushed", "Pusher")  # they read and write places outside of their artifacts
INGEST, PAGE_WRITER = "TripExampleGen", "Reporter"
OUTCOME = "Outcome"  # fails on purpose: never tried again
SCHEMES: dict[ClusterRunner, tuple[str, ...]] = {"kubeflow": ("gs://", *store.SCHEMES), "vertex": ("gs://",)}
TAG = re.compile(r":[^:/]+$|@sha256:")


@dataclasses.dataclass(frozen=True)
class CompiledPipeline:
    """A pipeline for Kubeflow or Vertex AI.

    job: a PipelineJob as JSON; if nodes need it, with `platforms`, a PlatformSpec for Kubernetes.
    path: the file that holds it; None if it was not written.
    """

    runner: ClusterRunner
    job: Job
    path: Path | None = None

    @property
    def spec(self) -> dict[str, Any]:
        """The PipelineSpec inside the job."""
        return dict(self.job["pipelineSpec"])

    @property
    def name(self) -> str:
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def images(self) -> list[str]:
        """The image of each node's container."""
        executors = self.spec["deploymentSpec"]["executors"].values()
        return [executor["container"]["image"] for executor in executors]

    @property
    def root(self) -> str:
        """The address that artifacts and models go to."""
        return str(self.spec["defaultPipelineRoot"])

    @property
    def parameters(self) -> dict[str, Mapping[str, Any]]:
        """Declarations of the runtime parameters, with `defaultValue` and `description`, by name."""
        return dict(self.spec["root"].get("inputDefinitions", {}).get("parameters", {}))


def compile(  # noqa: A001 - its public name is farebox.compile
    settings: Settings, *, runner: ClusterRunner = "kubeflow", path: str | Path | None = None
) -> CompiledPipeline:
    """Compiles the pipeline of these settings for a cluster; it needs no credentials and no network.

    path: a file to write: a PipelineJob as JSON or, if the name ends with .yaml, the bare PipelineSpec.
    It prints nothing and changes nothing of the process; importing TFX takes about 12 s.
    Raises:
        InputError: containers could not use what the settings name, or the file cannot be written.
    """
    if runner not in ("kubeflow", "vertex"):
        raise InputError(f"runner={runner} must be kubeflow or vertex")
    root, image = checked_root(settings, runner), tagged_image(settings.cluster.image)
    check_inputs(settings, runner)
    if runner == "vertex":
        platform.check_vertex(settings.cluster)
    settings = store.with_credentials(settings)
    job = complete_job(compile_job(settings, root, image), settings, runner)
    if path is not None:
        write_job(job, path)
    return CompiledPipeline(runner, job, None if path is None else Path(path))


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
        for key, parameter in declared_parameters(settings).items():
            if node.id in parameter.nodes:
                default = parameter.default(settings)
                node.exec_properties[key] = RuntimeParameter(key, type(default), default, parameter.description)
    config = KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=list(CONTAINER_COMMAND), use_pipeline_spec_2_1=True
    )
    job: Job = KubeflowV2DagRunner(config=config).run(pipeline, write_out=False)
    return job


def complete_job(job: Job, settings: Settings, runner: ClusterRunner) -> Job:
    """Adds the lane, resources, defaults of parameters and Reporter's page to the job; removes cache options and hooks
    that must not be there.

    Kubeflow runs no hook before the cache, so its cache would miss that files have changed.
    """
    spec = job["pipelineSpec"]
    spec["defaultPipelineRoot"] = job["runtimeConfig"]["gcsOutputDirectory"]
    uncached = {*NEVER_CACHED, *((INGEST,) if runner == "kubeflow" or settings.spans.pattern else ())}
    for name in uncached:
        forbid_cache(spec, name)
    executors = spec["deploymentSpec"]["executors"]
    environment = {LANE_VARIABLE: lane(), **store.environment(settings.cluster)}
    if INGEST in uncached:
        executors[f"{INGEST}_executor"]["container"].pop("lifecycle")
    for label, executor in executors.items():
        executor["container"]["resources"] = resource_spec(settings, label.removesuffix("_executor"))
        executor["container"]["env"] = [{"name": name, "value": value} for name, value in environment.items()]
    spec["components"][PAGE_WRITER]["outputDefinitions"]["artifacts"][PAGE] = dict(PAGE_ENTRY)
    check_nodes(settings, spec)
    for name, task in spec["root"]["dag"]["tasks"].items():
        if (retries := settings.cluster.resources(name).retries) and name != OUTCOME:
            task["retryPolicy"] = platform.retry_policy(retries)
    for name, entry in spec["root"].get("inputDefinitions", {}).get("parameters", {}).items():
        parameter = declared_parameters(settings)[name]
        entry |= {
            "defaultValue": parameter.default(settings),
            "isOptional": True,
            "description": parameter.description,
        }
    return {**job, **platform.platforms(settings.cluster, spec["root"]["dag"]["tasks"])}


def forbid_cache(spec: dict[str, Any], name: str) -> None:
    """Switches the cache off for a task, and makes each run's inputs differ: `enable_caching=True` of kfp's client and
    of google-cloud-aiplatform switches it on again for every task."""
    task = spec["root"]["dag"]["tasks"][name]
    task.pop("cachingOptions", None)
    task.setdefault("inputs", {}).setdefault("parameters", {})[RUN_PARAMETER] = {"runtimeValue": {"constant": RUN_ID}}
    declared = spec["components"][task["componentRef"]["name"]].setdefault("inputDefinitions", {})
    declared.setdefault("parameters", {})[RUN_PARAMETER] = {"parameterType": "STRING"}


def resource_spec(settings: Settings, node: str) -> dict[str, Any]:
    """A node's ResourceSpec as JSON: CPUs, memory in GB, accelerators."""
    resources = settings.cluster.resources(node)
    limits: dict[str, Any] = {"cpuLimit": resources.cpu, "memoryLimit": resources.memory_gb}
    if resources.accelerator:
        limits["accelerator"] = {"type": resources.accelerator, "count": str(resources.accelerators)}
    return limits


def check_nodes(settings: Settings, spec: Mapping[str, Any]) -> None:
    """Raises InputError if resources are set for a node that the pipeline does not have."""
    nodes = sorted(spec["root"]["dag"]["tasks"])
    for name in settings.cluster.nodes:
        if name not in nodes:
            raise InputError(f"cluster.nodes: {name} must be one of {', '.join(nodes)}")


def checked_root(settings: Settings, runner: ClusterRunner) -> str:
    """`cluster.root` without a slash at its end. Raises InputError if containers on a cluster could not write there."""
    root = settings.cluster.root
    if root is None:
        raise InputError(
            "cluster.root must be given, such as gs://BUCKET/farebox: artifacts and models are written there"
        )
    if not re.fullmatch(rf"({'|'.join(SCHEMES[runner])})[a-z0-9][\w.-]*(/[^/?]+)*/?", root):
        examples = " or ".join(f"{scheme}BUCKET/farebox" for scheme in SCHEMES[runner])
        raise InputError(
            f"cluster.root={root} must be a bucket or a folder in one for runner={runner}, such as {examples}"
        )
    return root.rstrip("/")


def check_inputs(settings: Settings, runner: ClusterRunner) -> None:
    """Raises InputError if the trips or the signing key are on this machine only, or the trips not where nodes read."""
    if not settings.data.startswith(SCHEMES[runner]):
        places = " or ".join(f"{scheme}..." for scheme in SCHEMES[runner])
        raise InputError(
            f"data={settings.data} must be in a bucket, {places}, for runner={runner}: containers do not see this "
            "machine"
        )
    if settings.push.signing_key is not None:
        raise InputError(
            f"push.signing_key={settings.push.signing_key} must not be set: the image does not have this file and "
            "must hold no secret"
        )


def tagged_image(image: str | None) -> str:
    """The image; without a tag it gets the commit, so that a cache keyed by it never serves other code.

    Raises InputError if there is no image, or no tag and no commit to use.
    """
    if not image:
        raise InputError("cluster.image must be given, such as REGISTRY/farebox: the image that holds this project")
    return image if TAG.search(image) else f"{image}:{commit(checkout())}"


def commit(folder: Path) -> str:
    """The commit of the checkout in `folder`, 12 digits. Raises InputError if there is none, or files have changed."""
    found = code_commit(folder)
    if found is None:
        raise InputError(
            f"cluster.image must have a tag, NAME:TAG: {folder} is not a git checkout, so there is no commit to use"
        )
    if found.endswith(DIRTY):
        raise InputError(f"cluster.image must have a tag, NAME:TAG, or the changes in {folder} must be committed")
    return found[:12]


def write_job(job: Job, file: str | Path) -> None:
    """Writes the job as JSON or, if the name ends with .yaml, what Kubeflow's page takes. Raises InputError."""
    path = Path(file)
    is_yaml = path.suffix in (".yaml", ".yml")
    documents = Spec(str(file), job).documents
    text = yaml.safe_dump_all(documents) if is_yaml else json.dumps(job, indent=1, sort_keys=True) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise InputError(f"path={file} cannot be written: {error.strerror}") from error
