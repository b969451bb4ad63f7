"""The compiled Kubeflow spec: its graph equals the golden file, and what a cluster would import can be imported.

After a wanted change of the graph: FAREBOX_GOLDEN=write python -m pytest tests/pipeline/test_kubeflow_spec.py
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "kubeflow_graph.json"


def compiled(folder: Path, *overrides: str) -> dict:
    """With a bucket as data: nothing of this machine has to be in it."""
    from pipeline.kubeflow_runner import compile_spec
    from pipeline.settings import load_settings

    settings = load_settings("chicago", "gs://bucket/trips", overrides=overrides)
    compile_spec(settings, "gs://bucket/runs/", "farebox:abc1234", str(folder / "farebox.json"))
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


def test_graph_equals_the_golden_file(spec):
    if os.environ.get("FAREBOX_GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(graph(spec), indent=1) + "\n")
    assert graph(spec) == json.loads(GOLDEN.read_text())


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


def test_spans_are_the_newest_one_where_nothing_of_ours_orchestrates(spec, tmp_path):
    """TFX's driver finds it by the pattern; a window of more is an error, not a window of one in silence."""
    from components.errors import InputError

    spans = compiled(tmp_path, "spans.pattern=span-{SPAN}", "spans.window=1")
    assert graph(spans) == graph(spec)
    assert "span-{SPAN}/*" in json.dumps(spans)
    with pytest.raises(InputError, match="spans.window=7 must be 1 where trips come in spans"):
        compiled(tmp_path, "spans.pattern=span-{SPAN}")


def test_our_artifact_types_are_titles_that_import(spec):
    """TFX's container entry point imports an artifact's title as a class path."""
    from components import artifacts

    ours = {name for name, cls in vars(artifacts).items() if getattr(cls, "__module__", "") == artifacts.__name__}
    found = set(re.findall(r"title: components\.(\w+)", json.dumps(spec)))
    assert found == ours
    for name in ours:
        assert getattr(importlib.import_module("components"), name) is getattr(artifacts, name)


def test_the_only_model_blessing_is_the_model_gates(spec):
    """TFX's query for the latest blessed model asks for that type: with Evaluator's own blessing of it, the model would
    be found that ModelGate refused."""
    found = [
        f"{component}.{key}"
        for component, definition in spec["pipelineSpec"]["components"].items()
        for key, artifact in definition.get("outputDefinitions", {}).get("artifacts", {}).items()
        if "title: tfx.ModelBlessing" in artifact["artifactType"]["instanceSchema"]
    ]
    assert found == ["LatestBlessed-model-blessing-resolver.model_blessing", "ModelGate.blessing"]
    executors = spec["pipelineSpec"]["deploymentSpec"]["executors"]
    queries = [
        executor["resolver"]["outputArtifactQueries"] for executor in executors.values() if "resolver" in executor
    ]
    assert any(
        '"tfx.ModelBlessing"' in query["model_blessing"]["filter"] for query in queries if "model_blessing" in query
    )


def test_the_image_and_the_root_are_the_ones_given(spec):
    executors = spec["pipelineSpec"]["deploymentSpec"]["executors"].values()
    assert {executor["container"]["image"] for executor in executors if "container" in executor} == {"farebox:abc1234"}
    assert spec["runtimeConfig"]["gcsOutputDirectory"] == "gs://bucket/runs"


def test_no_path_of_this_machine(spec):
    for text in (json.dumps(spec), GOLDEN.read_text()):
        assert not [place for place in (str(Path(__file__).parents[2]), sys.prefix) if place in text]
