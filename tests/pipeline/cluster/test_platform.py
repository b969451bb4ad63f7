"""Retries, node selectors, tolerations and secrets of nodes: as kfp's compiler writes them, or refused in a line."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from throwaway import throwaway_python
from toy_spec import toy_job

from farebox.components.errors import InputError
from farebox.pipeline.cluster import platform
from farebox.pipeline.cluster import spec as specs
from farebox.pipeline.settings.cluster import ClusterSettings, Resources

BATCH = Resources(
    retries=2,
    node_selector={"pool": "batch"},
    tolerations=("dedicated=batch:NoSchedule", "nvidia.com/gpu:NoExecute"),
    secrets={"AWS_ACCESS_KEY_ID": "store/accesskey", "AWS_SECRET_ACCESS_KEY": "store/secretkey"},
)
PLATFORMS = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {
    "Trainer_executor": {"nodeSelector": {"labels": {"pool": "batch"}}},
}}}}}  # fmt: skip


def test_a_node_has_its_own_values_or_those_of_every_node():
    cluster = ClusterSettings(retries=1, node_selector={"pool": "any"}, nodes={"Trainer": BATCH, "Pusher": Resources()})
    assert cluster.resources("Trainer") == dataclasses.replace(BATCH, cpu=2.0, memory_gb=8.0)
    shared = ClusterSettings(secrets={"TOKEN": "all/token"}, nodes={"Trainer": BATCH})
    assert shared.resources("Trainer").secrets == {"TOKEN": "all/token", **(BATCH.secrets or {})}
    assert cluster.resources("Pusher").node_selector == {"pool": "any"} and cluster.resources("Pusher").retries == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"retries": -1}, "cluster.retries=-1 must be between 0 and 10"),
        ({"tolerations": ["batch"]}, "cluster.tolerations.0=batch must be KEY=VALUE:EFFECT or KEY:EFFECT"),
        ({"tolerations": ["a:Never"]}, "cluster.tolerations.0=a:Never must be KEY=VALUE:EFFECT or KEY:EFFECT"),
        ({"secrets": {"TOKEN": "AKIA/Zm9v+8="}}, "cluster.secrets.TOKEN=AKIA/Zm9v+8= must be SECRET/KEY, the name of"),
        ({"secrets": {"A-B": "store/key"}}, "cluster.secrets: A-B must be the name of an environment variable"),
        ({"node_selector": {"pool": 3}}, "cluster.node_selector.pool=3 must be text"),
    ],
)  # fmt: skip
def test_a_value_that_kubernetes_would_refuse_is_one_line(fields, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        ClusterSettings(**fields)
    with pytest.raises(ValueError, match=re.escape(message.removeprefix("cluster.").partition("=")[0])):
        ClusterSettings(nodes={"Trainer": Resources(**fields)})


@pytest.mark.parametrize("field", [*platform.KUBERNETES_ONLY])
def test_vertex_ai_refuses_what_it_has_nothing_for(field):
    platform.check_vertex(ClusterSettings(retries=2, nodes={"Trainer": Resources(retries=1)}))
    value = getattr(BATCH, field)
    for place, cluster in (
        ("cluster", ClusterSettings(**{field: value})),
        ("cluster.nodes.Trainer", ClusterSettings(nodes={"Trainer": Resources(**{field: value})})),
    ):
        with pytest.raises(InputError, match=f"^{place}.{field} must be left out for runner=vertex: "):
            platform.check_vertex(cluster)


def test_a_platform_spec_travels_with_the_pipeline_and_changes_its_digest(tmp_path, to_kubeflow, kubeflow):
    """In the file, in YAML for Kubeflow's page, and in the upload; what has none is named as before."""
    plain, placed = tmp_path / "plain.json", tmp_path / "placed.json"
    plain.write_text(json.dumps(toy_job()))
    placed.write_text(json.dumps({**toy_job(), **PLATFORMS}))
    (tmp_path / "placed.yaml").write_text(yaml.safe_dump_all(specs.load(str(placed)).documents))
    loaded = [specs.load(str(file)) for file in (plain, placed, tmp_path / "placed.yaml")]
    assert [spec.documents[1:] for spec in loaded] == [[], [PLATFORMS], [PLATFORMS]]
    assert loaded[0].digest == specs.digest(loaded[0].pipeline) != loaded[1].digest == loaded[2].digest
    for file in (plain, placed):
        assert to_kubeflow(str(file), "--parameter", "rows=5")[0] == 0
    versions = [version["pipeline_spec"] for version in kubeflow.kept("versions")]
    assert [version.get("platform_spec") for version in versions] == [None, PLATFORMS]
    assert len({run["display_name"] for run in kubeflow.kept("runs")}) == 2


@pytest.mark.parametrize("extra", ["---\n{}", "---\nplatforms: {}\n---\nplatforms: {}", "---\n[platforms]"])
def test_another_document_after_the_pipeline_is_one_line(tmp_path, extra):
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(toy_job()["pipelineSpec"]) + extra)
    with pytest.raises(InputError, match="two.yaml must be one compiled pipeline; only `platforms` may follow it"):
        specs.load(str(tmp_path / "two.yaml"))


KFP = """
import json, sys
from google.protobuf import json_format
from kfp import compiler, dsl, kubernetes
from kfp.kubernetes import kubernetes_executor_config_pb2 as configs

@dsl.container_component
def trainer():
    return dsl.ContainerSpec(image="image")

@dsl.pipeline
def pipeline():
    task = trainer().set_retry(2)
    kubernetes.add_node_selector(task, "pool", "batch")
    kubernetes.add_toleration(task, key="dedicated", operator="Equal", value="batch", effect="NoSchedule")
    kubernetes.add_toleration(task, key="nvidia.com/gpu", operator="Exists", effect="NoExecute")
    keys = {"accesskey": "AWS_ACCESS_KEY_ID", "secretkey": "AWS_SECRET_ACCESS_KEY"}
    kubernetes.use_secret_as_env(task, secret_name="store", secret_key_to_env=keys)

compiler.Compiler().compile(pipeline, sys.argv[1])
ours = json_format.ParseDict(json.loads(sys.argv[2]), configs.KubernetesExecutorConfig())
print(json_format.MessageToJson(ours))
"""


@pytest.mark.slow
def test_kfps_own_compiler_writes_the_same(tmp_path):
    """kfp-kubernetes parses ours, and its compiler writes the same for the same wishes.

    It names a secret in two ways. Each of ours is one entry for one key, which means the same.
    """
    python = throwaway_python(tmp_path / "venv", "kfp-kubernetes>=2.17,<3")
    ours = platform.executor_config(BATCH)
    command = [python, "-c", KFP, tmp_path / "kfp.yaml", json.dumps(ours)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == ours
    pipeline, platforms = yaml.safe_load_all(Path(tmp_path / "kfp.yaml").read_text())
    (task,) = pipeline["root"]["dag"]["tasks"].values()
    assert task["retryPolicy"] == platform.retry_policy(2)
    (theirs,) = platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    (secret,) = theirs.pop("secretAsEnv")
    assert secret["secretName"] == "store" and [
        {"secretName": "store", "keyToEnv": [each]} for each in secret["keyToEnv"]
    ] == ours.pop("secretAsEnv")
    assert theirs == ours
