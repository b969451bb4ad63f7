"""The compiled Kubeflow spec: its graph equals the golden file, and what a cluster would import can be imported.

After a wanted change of the graph: FAREBOX_GOLDEN=write python -m pytest tests/pipeline/cluster/test_compile.py
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from farebox.pipeline.cluster.parameters import RUN_PARAMETER
from farebox.pipeline.provenance import lane

GOLDEN = Path(__file__).parents[2] / "golden" / "kubeflow_graph.json"

ROOT, IMAGE = "gs://bucket/runs", "farebox:abc1234"
CLUSTER = (f"cluster.root={ROOT}/", f"cluster.image={IMAGE}")


def compiled(folder: Path, *overrides: str, runner: str = "kubeflow") -> dict:
    """With a bucket as data: nothing of this machine has to be in it."""
    from farebox import compile  # noqa: A004 - its public name
    from farebox.pipeline.settings.load import load_settings

    settings = load_settings("chicago", "gs://bucket/trips", overrides=[*CLUSTER, *overrides])
    compile(settings, runner=runner, path=folder / "farebox.json")
    return json.loads((folder / "farebox.json").read_text())


@pytest.fixture(scope="module")
def spec(tmp_path_factory) -> dict:
    return compiled(tmp_path_factory.mktemp("spec"))


def graph(spec: dict) -> dict[str, list[str]]:
    """Node ids, and edges as `producer.output -> consumer.input`, or `first -> second` where only the order counts.

    All else in a spec differs between TFX's versions.
    """
    tasks, edges = spec["pipelineSpec"]["root"]["dag"]["tasks"], []
    for name, task in tasks.items():
        channels = {key: ref["taskOutputArtifact"] for key, ref in task.get("inputs", {}).get("artifacts", {}).items()}
        edges += [f"{ref['producerTask']}.{ref['outputArtifactKey']} -> {name}.{key}" for key, ref in channels.items()]
        order_only = set(task.get("dependentTasks", ())) - {ref["producerTask"] for ref in channels.values()}
        edges += [f"{producer} -> {name}" for producer in order_only]
    return {"nodes": sorted(tasks), "edges": sorted(edges)}


def test_a_city_with_inputs_of_its_own_compiles(spec, tmp_path):
    """The same nodes and edges; the features travel in the properties."""
    features = "city.features={surge: {min: 1}, vehicle_type: {values: [sedan, van], default: van}}"
    own = compiled(tmp_path, features, "schema=null")
    assert graph(own) == graph(spec)
    assert "pickup_era,surge,vehicle_type" in json.dumps(own)


def test_graph_equals_the_golden_file(spec):
    if os.environ.get("FAREBOX_GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(graph(spec), indent=1) + "\n")
    assert graph(spec) == json.loads(GOLDEN.read_text())


def test_the_page_is_an_artifact_that_the_clusters_page_shows(spec):
    """Kubeflow's frontend at 2.17 (7b70c7b95f, MetricsVisualizations.tsx) looks for artifacts of type system.HTML."""
    outputs = spec["pipelineSpec"]["components"]["Reporter"]["outputDefinitions"]["artifacts"]
    assert outputs["page"]["artifactType"] == {"schemaTitle": "system.HTML", "schemaVersion": "0.0.1"}
    assert "farebox.Report" in outputs["report"]["artifactType"]["instanceSchema"]


def test_a_refusal_fails_the_run_unless_the_setting_is_off(spec, tmp_path):
    """By the last node; it is not tried again, since it would fail again."""
    edges = graph(spec)["edges"]
    assert [edge for edge in edges if "Outcome" in edge] == ["Reporter.report -> Outcome.report"]
    job = compiled(tmp_path, "cluster.retries=1")
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
    assert [name for name, task in tasks.items() if "retryPolicy" not in task] == ["Outcome"]
    off = graph(compiled(tmp_path, "cluster.fail_on_refusal=false"))
    assert set(graph(spec)["nodes"]) - set(off["nodes"]) == {"Outcome"} and set(off["edges"]) < set(edges)


def test_drift_is_measured_from_the_data_of_the_version_that_was_pushed_last(spec):
    edges = graph(spec)["edges"]
    assert "LatestPushed.statistics -> DataGate.baseline_statistics" in edges
    assert "StatisticsGen.statistics -> Pusher.statistics" in edges
    gate = spec["pipelineSpec"]["root"]["dag"]["tasks"]["DataGate"]["inputs"]["parameters"]["finds_baseline"]
    assert gate["runtimeValue"]["constant"] == 1


def test_trials_put_a_tuner_before_trainer_and_change_nothing_else(spec, tmp_path):
    """Zero, the default, puts none there."""
    plain, tuned = graph(spec), graph(compiled(tmp_path, "tuner.trials=2"))
    assert "Tuner" not in plain["nodes"] and set(tuned["nodes"]) - set(plain["nodes"]) == {"Tuner"}
    assert set(plain["edges"]) < set(tuned["edges"])
    assert set(tuned["edges"]) - set(plain["edges"]) == {
        "Transform.transformed_examples -> Tuner.examples",
        "Transform.transform_graph -> Tuner.transform_graph",
        "Tuner.best_hyperparameters -> Trainer.hyperparameters",
    }


def test_a_window_of_spans_is_found_by_the_ingesting_node_itself(spec, tmp_path):
    """Nothing of ours has gathered them, so an operator may name them, and the cache must not stand before it."""
    spans = compiled(tmp_path, "spans.pattern=span-{SPAN}", "spans.window=3", "spans.marker=_DONE", runner="vertex")
    moved, plain = graph(spans), graph(spec)
    assert set(moved["nodes"]) - set(plain["nodes"]) == {"SpanWindow"}
    assert {edge for edge in moved["edges"] if "SpanWindow" in edge.split(" -> ")[1]} == {
        "TripExampleGen.examples -> SpanWindow.spans",
        "LatestPushed.model -> SpanWindow.version",
    }
    assert {edge.replace("SpanWindow.examples", "TripExampleGen.examples") for edge in moved["edges"]} > set(
        plain["edges"]
    )
    assert graph(compiled(tmp_path, "spans.pattern=span-{SPAN}", "spans.move_fares=false")) == plain
    given = spans["pipelineSpec"]["root"]["dag"]["tasks"]["TripExampleGen"]["inputs"]["parameters"]["custom_config"]
    packed = json.loads(given["runtimeValue"]["constant"])["custom_config"]["value"]
    assert json.loads(packed)["window"] == {
        "base": "gs://bucket/trips", "pattern": "span-{SPAN}", "size": 3, "marker": "_DONE", "quiet_s": 60.0,
        "ignore": [], "time_zone": "America/Chicago",
    }  # fmt: skip
    assert {"first_span", "last_span"} == set(declared(spans)) - set(declared(spec))
    assert declared(spans)["last_span"]["defaultValue"] == -1
    assert not cached(spans, "TripExampleGen") and "lifecycle" not in container(spans, "TripExampleGen")


def declared(spec: dict) -> dict[str, dict]:
    return spec["pipelineSpec"]["root"]["inputDefinitions"]["parameters"]


def container(spec: dict, node: str) -> dict:
    return spec["pipelineSpec"]["deploymentSpec"]["executors"][f"{node}_executor"]["container"]


def cached(spec: dict, node: str) -> bool:
    return spec["pipelineSpec"]["root"]["dag"]["tasks"][node].get("cachingOptions", {}).get("enableCache", False)


def test_parameters_have_defaults_and_reach_their_nodes(spec):
    assert {name: entry["defaultValue"] for name, entry in declared(spec).items()} == {
        "epochs": 40, "max_rmse_increase": "0.2%",
    }  # fmt: skip
    assert all(entry["isOptional"] and entry["description"] for entry in declared(spec).values())
    tasks = spec["pipelineSpec"]["root"]["dag"]["tasks"]
    readers = {
        (name, key)
        for name, task in tasks.items()
        for key, given in task["inputs"].get("parameters", {}).items()
        if "componentInputParameter" in given
    }
    assert readers == {("Trainer", "epochs"), ("Quantizer", "max_rmse_increase")}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("epochs=0", "parameter epochs=0: training.epochs=0 must be at least 1"),
        ("max_rmse_increase=banana", "quantizer.max_rmse_increase=banana must be a number or a percentage"),
        ("max_rmse_increase=NaN", "quantizer.max_rmse_increase=NaN must be a number or a percentage"),
        ("max_rmse_increase=1e999", "quantizer.max_rmse_increase=1e999 must be a number or a percentage"),
        ("first_span=-7", "parameter first_span=-7 must be at least -1; -1 is the newest span"),
    ],
)
def test_a_value_out_of_the_settings_bounds_is_refused_before_it_is_sent(spans_spec, call, assignment, message):
    """By whoever sends it or rehearses: no request is made. The container refuses it as well (test_parameters.py)."""
    host = ("--runner", "kubeflow", "--host", "http://127.0.0.1:9", "--patience", "0")
    for command in (
        ("submit", str(spans_spec), *host),
        ("schedule", "--spec", str(spans_spec), *host, "--cron", "@daily"),
        ("rehearse", str(spans_spec)),
    ):
        code, out, error = call(*command, "--parameter", assignment)
        assert (code, out) == (2, "") and message in error and error.startswith("farebox: ") and error.count("\n") == 1


def test_values_within_the_bounds_pass(spans_spec):
    from farebox.pipeline.cluster import spec as specs

    given = ["epochs=1", "max_rmse_increase=0.5", "first_span=-1", "last_span=12"]
    assert specs.parameter_values(specs.load(str(spans_spec)), given) == {
        "epochs": 1, "max_rmse_increase": "0.5", "first_span": -1, "last_span": 12,
    }  # fmt: skip


@pytest.fixture(scope="module")
def spans_spec(tmp_path_factory) -> Path:
    """A spec with all parameters that there are."""
    folder = tmp_path_factory.mktemp("spans")
    compiled(folder, "spans.pattern=span-{SPAN}", "spans.window=3", "spans.marker=_DONE")
    return folder / "farebox.json"


def test_what_lies_outside_of_artifacts_is_never_taken_from_the_cache(spec, tmp_path):
    """Kubeflow runs no hook that would see that files have changed; Vertex AI does."""
    vertex = compiled(tmp_path, runner="vertex")
    for job, ingests in ((spec, False), (vertex, True)):
        uncached = {name for name in graph(job)["nodes"] if not cached(job, name)}
        assert uncached == {"LatestPushed", "Pusher", *(() if ingests else ("TripExampleGen",))}
        tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
        assert uncached == {name for name in tasks if RUN_PARAMETER in tasks[name]["inputs"].get("parameters", {})}
        assert ("lifecycle" in container(job, "TripExampleGen")) == ingests


def test_every_node_is_a_container_with_its_resources(spec, tmp_path):
    """Kubeflow's compiler takes no resolver, and what is no container has no resources."""
    executors = spec["pipelineSpec"]["deploymentSpec"]["executors"]
    assert {tuple(executor) for executor in executors.values()} == {("container",)}
    assert {json.dumps(executor["container"]["resources"]) for executor in executors.values()} == {
        '{"cpuLimit": 2.0, "memoryLimit": 8.0}'
    }
    trainer = "{memory_gb: 32, accelerator: nvidia.com/gpu, retries: 0, node_selector: {pool: gpu}}"
    nodes = f"cluster.nodes={{Trainer: {trainer}, Transform: {{cpu: 4}}}}"
    job = compiled(tmp_path, nodes, "cluster.cpu=1", "cluster.retries=2")
    assert container(job, "Trainer")["resources"] == {
        "cpuLimit": 1.0, "memoryLimit": 32.0, "accelerator": {"type": "nvidia.com/gpu", "count": "1"},
    }  # fmt: skip
    assert container(job, "Transform")["resources"] == {"cpuLimit": 4.0, "memoryLimit": 8.0}
    assert container(job, "Pusher")["resources"] == {"cpuLimit": 1.0, "memoryLimit": 8.0}
    tasks = job["pipelineSpec"]["root"]["dag"]["tasks"]
    assert [name for name in tasks if "retryPolicy" not in tasks[name]] == ["Outcome", "Trainer"]
    assert tasks["Pusher"]["retryPolicy"]["maxRetryCount"] == 2
    assert job["platforms"]["kubernetes"]["deploymentSpec"]["executors"] == {
        "Trainer_executor": {"nodeSelector": {"labels": {"pool": "gpu"}}}
    }
    assert "platforms" not in spec and "retryPolicy" not in json.dumps(spec)


def test_a_store_that_speaks_s3_gets_its_address_and_its_secret(tmp_path):
    """Kubeflow's own keys for its own store, unless others are named; AWS's own needs neither."""
    place = ("cluster.root=minio://mlpipeline/v2", "cluster.endpoint=http://seaweedfs.kubeflow:9000")
    job = compiled(tmp_path, *place, "cluster.nodes={Pusher: {secrets: {TOKEN: own/token}}}")
    assert container(job, "Pusher")["env"] == [
        {"name": "FAREBOX_LANE", "value": lane()},
        {"name": "AWS_ENDPOINT_URL", "value": "http://seaweedfs.kubeflow:9000"},
    ]
    assert job["pipelineSpec"]["defaultPipelineRoot"] == "minio://mlpipeline/v2"
    configs = job["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    secrets = {
        node: {each["keyToEnv"][0]["envVar"]: each["secretName"] for each in configs[f"{node}_executor"]["secretAsEnv"]}
        for node in ("Pusher", "LatestPushed")
    }
    keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "mlpipeline-minio-artifact")
    assert secrets == {"Pusher": {**keys, "TOKEN": "own"}, "LatestPushed": keys}
    job = compiled(tmp_path, "cluster.root=s3://bucket/farebox")
    assert "platforms" not in job
    assert [each["name"] for each in container(job, "Pusher")["env"]] == ["FAREBOX_LANE"]
    job = compiled(tmp_path, *place, "cluster.secrets={AWS_ACCESS_KEY_ID: mine/key}")
    assert "mlpipeline-minio-artifact" not in json.dumps(job)


@pytest.mark.parametrize("place", ["cluster.root=s3://bucket", "data=minio://bucket/trips"])
def test_vertex_ai_has_cloud_storage_only(tmp_path, place):
    from farebox import compile  # noqa: A004 - its public name
    from farebox.components.errors import InputError
    from farebox.pipeline.settings.load import load_settings

    data = place.removeprefix("data=") if place.startswith("data=") else "gs://bucket/trips"
    overrides = [*CLUSTER, *([place] if data.startswith("gs://") else [])]
    with pytest.raises(InputError, match=f"^{place} must be .*, for runner=vertex|^{place} must be .* for runner=ver"):
        compile(load_settings("chicago", data, overrides=overrides), runner="vertex", path=tmp_path / "spec.json")
    assert list(tmp_path.iterdir()) == []


def test_a_job_for_vertex_ai_has_no_kubernetes(tmp_path):
    from farebox.components.errors import InputError

    with pytest.raises(InputError, match="^cluster.secrets must be left out for runner=vertex: on Vertex AI a"):
        compiled(tmp_path, "cluster.secrets={TOKEN: store/token}", runner="vertex")
    assert list(tmp_path.iterdir()) == []


def test_both_services_protos_take_it(spec):
    """The JSON is of the fields that the installed proto knows, none misspelt."""
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    job = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineJob())
    pipeline = json_format.ParseDict(json_format.MessageToDict(job.pipeline_spec), pipeline_spec_pb2.PipelineSpec())
    assert pipeline.schema_version == "2.1.0"
    deployment = json_format.ParseDict(
        json_format.MessageToDict(pipeline.deployment_spec), pipeline_spec_pb2.PipelineDeploymentConfig()
    )
    assert deployment.executors["Trainer_executor"].container.resources.memory_limit == 8


def test_yaml_is_the_bare_pipeline_with_its_root(spec, tmp_path):
    from farebox.pipeline.cluster import spec as specs
    from farebox.pipeline.cluster.compile import write_job

    write_job(spec, tmp_path / "made" / "farebox.yaml")
    loaded = specs.load(str(tmp_path / "made" / "farebox.yaml"))
    assert (loaded.pipeline, loaded.root) == (spec["pipelineSpec"], ROOT)
    assert loaded.commit == "abc1234" and loaded.defaults == {"epochs": 40, "max_rmse_increase": "0.2%"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["cluster.root=null"], "cluster.root must be given"),
        (["cluster.root=/var/runs"], "cluster.root=/var/runs must be a bucket or a folder in one"),
        (
            ["cluster.root=s3:/bucket"],
            "cluster.root=s3:/bucket must be a bucket or a folder in one for runner=kubeflow",
        ),
        (["cluster.root=s3://bucket?region=eu"], "cluster.root=s3://bucket?region=eu must be a bucket"),
        (["cluster.root=minio://mlpipeline/v2"], "cluster.endpoint must be given for minio:// places; Kubeflow's own"),
        (["cluster.endpoint=minio:9000"], "cluster.endpoint=minio:9000 must be http://HOST:PORT or https://HOST"),
        (["cluster.image=null"], "cluster.image must be given"),
        (["push.signing_key=key.pem"], "push.signing_key=key.pem must not be set"),
        (["cluster.nodes={Trainre: {cpu: 2}}"], "cluster.nodes: Trainre must be one of"),
        (["cluster.cpu=0"], "cluster.cpu=0.0 must be above 0 and finite"),
        (["cluster.nodes={Trainer: {cpus: 2}}"], "cluster.nodes.Trainer.cpus is not a setting"),
        (["cluster.nodes={Trainer: {accelerators: 0}}"], "cluster.nodes.Trainer.accelerators=0 must be at least 1"),
    ],
)
def test_what_no_container_could_use_is_one_line(tmp_path, overrides, message):
    from farebox.components.errors import InputError

    with pytest.raises(InputError, match=re.escape(message)):
        compiled(tmp_path, *overrides)
    assert list(tmp_path.iterdir()) == []


def test_trips_of_this_machine_are_none_of_a_containers(tmp_path):
    from farebox import compile  # noqa: A004 - its public name
    from farebox.components.errors import InputError
    from farebox.pipeline.settings.load import load_settings

    places = "gs://... or s3://... or minio://..., for runner=kubeflow"
    with pytest.raises(InputError, match=rf"^data=/.* must be in a bucket, {places}: containers do not see"):
        compile(load_settings("chicago", None, overrides=CLUSTER), path=tmp_path / "spec.json")


@pytest.fixture
def checkout(tmp_path) -> Path:
    for command in ("init -q", "config user.email a@example.org", "config user.name a", "add file", "commit -qm one"):
        (tmp_path / "file").write_text("one")
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    return tmp_path


def test_an_image_is_tagged_by_the_commit_that_runs(checkout):
    """Another tag for other code, so that a cache keyed by the image never answers for it."""
    from farebox.components.errors import InputError
    from farebox.pipeline.cluster.compile import commit, tagged_image

    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True).stdout
    assert commit(checkout) == head[:12]
    (checkout / "file").write_text("two")
    with pytest.raises(InputError, match=f"NAME:TAG, or the changes in {checkout} must be committed"):
        commit(checkout)
    with pytest.raises(
        InputError, match=f"NAME:TAG: {checkout}/elsewhere is not a git checkout, so there is no commit"
    ):
        commit(checkout / "elsewhere")
    for given in ("localhost:5000/farebox:v1", "farebox:v1", "farebox@sha256:abc"):
        assert tagged_image(given) == given


def test_our_artifact_types_are_titles_that_import(spec):
    """TFX's container entry point imports an artifact's title as a class path."""
    from farebox.components import artifacts

    ours = {name for name, cls in vars(artifacts).items() if getattr(cls, "__module__", "") == artifacts.__name__}
    titles = set(re.findall(r"title: farebox\.(\w+)", json.dumps(spec)))
    assert titles == ours
    for name in ours:
        assert getattr(importlib.import_module("farebox"), name) is getattr(artifacts, name)


def test_the_image_and_the_root_are_the_ones_given(spec):
    executors = spec["pipelineSpec"]["deploymentSpec"]["executors"].values()
    assert {executor["container"]["image"] for executor in executors if "container" in executor} == {IMAGE}
    assert spec["runtimeConfig"]["gcsOutputDirectory"] == spec["pipelineSpec"]["defaultPipelineRoot"] == ROOT


def test_no_path_of_this_machine(spec):
    for text in (json.dumps(spec), GOLDEN.read_text()):
        assert not [place for place in (str(Path(__file__).parents[3]), sys.prefix) if place in text]


COMPILES = """
import os, sys
import farebox
import farebox.pipeline.graph  # the libraries change the process themselves when they are imported
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

def state():
    return dict(os.environ), [type(finder).__name__ for finder in sys.meta_path], sys.stdout, sys.stderr

before, os.dup2 = state(), None
settings = farebox.load_settings("chicago", "gs://bucket/trips", overrides=sys.argv[1:])
print("begin", flush=True)
compiled = farebox.compile(settings)
print("end", compiled.path, compiled.root, *set(compiled.images), sorted(compiled.parameters), flush=True)
changed = [name for name, (old, new) in enumerate(zip(before, state())) if old != new]
assert changed == [], (changed, before, state())
"""


@pytest.mark.slow
def test_a_program_that_compiles_keeps_its_output_environment_and_imports():
    ended = subprocess.run(
        [sys.executable, "-c", COMPILES, *CLUSTER], capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    parameters = ["epochs", "max_rmse_increase"]
    assert ended.stdout == f"begin\nend None {ROOT} {IMAGE} {parameters}\n"


def test_an_unknown_runner_is_an_error():
    from farebox import InputError, Settings, compile  # noqa: A004 - its public name
    from farebox.pipeline.settings.load import load_settings

    settings: Settings = load_settings("chicago", "gs://bucket/trips", overrides=CLUSTER)
    with pytest.raises(InputError, match="^runner=airflow must be kubeflow or vertex$"):
        compile(settings, runner="airflow")


def test_the_command_names_the_flags_and_keeps_the_settings_key():
    from farebox.pipeline.commands.compile import COMPILE_FLAGS
    from farebox.pipeline.commands.hints import with_flag

    assert with_flag("data=/trips must be", COMPILE_FLAGS) == "--data=/trips must be"
    assert with_flag("cluster.root=x must be", COMPILE_FLAGS) == "cluster.root=x must be; set it with --root"
    assert with_flag("database must be", COMPILE_FLAGS) == "database must be"
