"""The compiled spec in the clients that people use: kfp's and google-cloud-aiplatform's parse it, and neither can put
into the cache what lies outside of artifacts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from farebox.pipeline.cluster import spec as specs
from farebox.pipeline.cluster.driver import Driver
from farebox.pipeline.cluster.invocation import RUN_ID
from farebox.pipeline.cluster.service import Submission
from farebox.pipeline.cluster.submit import run_name
from farebox.pipeline.cluster.versions import NEWEST, KfpVersion
from farebox.pipeline.cluster.vertex import labels

OUTSIDE = {"LatestPushed", "Pusher", "TripExampleGen"}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> str:
    """The bare pipeline for Kubeflow."""
    from farebox import compile  # noqa: A004 - its public name
    from farebox.pipeline.settings.load import load_settings

    overrides = ["cluster.root=gs://bucket/runs", "cluster.image=farebox:abc1234"]
    path = tmp_path_factory.mktemp("clients") / "farebox.yaml"
    compile(load_settings("chicago", "gs://bucket/trips", overrides=overrides), path=path)
    return str(path)


def submitted_by_kfp(file: str, kubeflow, enable_caching: bool | None) -> dict:
    """The pipeline in the request of kfp's own client."""
    from farebox.pipeline.cluster.kubeflow import _client

    experiment = kubeflow._new("experiments", "experiment_id", {"display_name": "Default"})["experiment_id"]
    client = _client(kubeflow.url, "")
    client.create_run_from_pipeline_package(
        file, {"epochs": 3}, run_name="run", experiment_id=experiment, enable_caching=enable_caching
    )
    run = kubeflow.kept("runs")[-1]
    assert run["runtime_config"]["parameters"] == {"epochs": 3}
    return dict(run["pipeline_spec"])


def job_of(file: str, **options: Any) -> Any:
    """The PipelineJob of google-cloud-aiplatform."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform

    place = {"project": "acme", "location": "us-central1", "credentials": AnonymousCredentials()}
    return aiplatform.PipelineJob(
        display_name="farebox", template_path=file, parameter_values={"epochs": 3}, **place, **options
    )


def submitted_by_aiplatform(file: str, enable_caching: bool | None) -> dict:
    """The pipeline in the request that google-cloud-aiplatform would send."""
    from google.protobuf import json_format

    job = job_of(file, enable_caching=enable_caching)
    request = json_format.MessageToDict(job._gca_resource._pb)
    assert request["runtimeConfig"] == {"gcsOutputDirectory": "gs://bucket/runs", "parameterValues": {"epochs": 3.0}}
    assert re.fullmatch("farebox-chicago-[0-9]{14}", job.job_id)
    return dict(request["pipelineSpec"])


@pytest.fixture(params=["kfp", "aiplatform"])
def submitted(request, file):
    """Submits the file by a client. Returns its PipelineSpec as the service gets it."""
    if request.param == "aiplatform":
        return lambda enable_caching: submitted_by_aiplatform(file, enable_caching)
    kubeflow = request.getfixturevalue("kubeflow")
    return lambda enable_caching: submitted_by_kfp(file, kubeflow, enable_caching)


def cached(spec: dict) -> set[str]:
    tasks = spec["root"]["dag"]["tasks"]
    return {name for name, task in tasks.items() if task.get("cachingOptions", {}).get("enableCache")}


def cache_key(spec: dict, task: str, run_id: str) -> object:
    """Kubeflow's key, of its inputs (cacheutils/cache.go of 2.5.0, GenerateCacheKey): the artifacts' names, which are
    their ids, and the parameters. Whether the inputs' producers came from the cache is not looked at."""
    values = {"epochs": 3, "max_rmse_increase": "0.2%"}
    driver = Driver(spec, f"gs://bucket/runs/farebox-chicago/{run_id}", KfpVersion(NEWEST), values, run_id)
    for name in spec["root"]["dag"]["tasks"]:
        outputs = spec["components"][name].get("outputDefinitions", {}).get("artifacts", {})
        driver.artifacts[name] = {key: [{"name": f"{name}-{key}"}] for key in outputs}
    return driver.executor_input(task)["inputs"]


def test_a_client_leaves_the_cache_as_it_was_compiled(submitted):
    spec = submitted(enable_caching=None)
    assert cached(spec) == set(spec["root"]["dag"]["tasks"]) - OUTSIDE


def test_no_client_can_switch_the_cache_on_for_what_lies_outside_of_artifacts(submitted):
    """It sets the option of every task, so the inputs of these differ in each run."""
    spec = submitted(enable_caching=True)
    assert cached(spec) == set(spec["root"]["dag"]["tasks"])
    differ = {name for name in cached(spec) if cache_key(spec, name, "one") != cache_key(spec, name, "two")}
    assert differ == OUTSIDE


def test_a_client_can_switch_the_cache_off(submitted):
    assert cached(submitted(enable_caching=False)) == set()


def test_the_placeholder_is_kfps_own():
    from kfp import dsl

    assert RUN_ID == dsl.PIPELINE_JOB_ID_PLACEHOLDER


def test_kfp_loads_it_as_a_component(file):
    from kfp import components

    loaded = components.load_component_from_file(file)
    inputs = {name: (entry.type, entry.default, entry.optional) for name, entry in loaded.component_spec.inputs.items()}
    assert inputs == {"epochs": ("Integer", 40, True), "max_rmse_increase": ("String", "0.2%", True)}


def test_names_and_labels_are_such_as_the_services_take(file):
    """Google Cloud's labels; names of nodes become parts of names in Kubernetes, in lower case."""
    spec = specs.load(file)
    digest = specs.submission_digest(spec, spec.defaults, None)
    submission = Submission(run_name(spec, digest), spec, spec.defaults, digest)
    job = job_of(file, job_id=submission.name, labels=labels(submission))  # refuses an id that Vertex AI refuses
    texts = {text for pair in dict(job._gca_resource.labels).items() for text in pair}
    assert len(texts) > 2 and all(re.fullmatch("[a-z0-9_-]{1,63}", text) for text in texts)
    assert all(re.fullmatch("[A-Za-z][A-Za-z0-9]{0,39}", name) for name in spec.nodes)
