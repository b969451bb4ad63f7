"""What the local runner compiles and prepares, and the schema that its pipeline carries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from farebox.components.errors import InputError
from farebox.pipeline.settings.load import CITIES, load_settings


def test_a_schema_is_the_curated_one_or_is_written_from_the_bounds(tmp_path):
    from farebox.pipeline.provenance import schema_source

    def schema(*overrides):
        return schema_source(load_settings("chicago", None, str(tmp_path), overrides))

    assert schema() == (Path(__file__).parents[3] / "data" / "chicago" / "schema.pbtxt").read_text()
    written = schema("schema=null")
    assert "pickup_longitude" in written and written != schema("schema=null", "city.fare.max=150")


def test_a_curated_file_that_is_no_schema_is_bad_input(tmp_path):
    from farebox.pipeline.provenance import schema_source

    own, schema = tmp_path / "own.yaml", tmp_path / "schema.pbtxt"
    own.write_text((CITIES / "nyc/city.yaml").read_text())
    with pytest.raises(InputError, match=f"{own}: schema=schema.pbtxt must be a file beside it, got nothing at"):
        load_settings(str(own), "trips.csv", str(tmp_path))
    schema.write_text("feature { nme: 'fare' }")
    with pytest.raises(InputError, match=f"{schema}: must be a schema in text format, 1:11"):
        schema_source(load_settings(str(own), "trips.csv", str(tmp_path)))


def test_models_to_compare_with_are_those_that_the_model_gate_blessed(tmp_path):
    """LatestBlessed takes every ModelBlessing of the pipeline: Evaluator's, which comes too early, must be none."""
    from tfx.dsl.compiler import compiler
    from tfx.orchestration import metadata

    from farebox.pipeline.graph import create_pipeline
    from farebox.pipeline.target import Target

    connection = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))
    target = Target(str(tmp_path), str(tmp_path / "models"), connection)
    compiled = compiler.Compiler().compile(create_pipeline(load_settings("chicago", None, str(tmp_path)), target))
    nodes = {node.pipeline_node.node_info.id: node.pipeline_node for node in compiled.nodes}
    outputs = {
        (name, key): output.artifact_spec.type.name
        for name, node in nodes.items()
        for key, output in node.outputs.outputs.items()
    }
    assert outputs["Evaluator", "blessing"] == "farebox.EvaluatorBlessing"
    producers = {name for (name, _), type_name in outputs.items() if type_name == "ModelBlessing"}
    assert producers - {"LatestBlessed"} == {"ModelGate"}
    asked = [
        channel.artifact_query.type.name
        for given in nodes["LatestBlessed"].inputs.inputs.values()
        for channel in given.channels
    ]
    assert sorted(asked) == ["InfraBlessing", "Model", "Model", "ModelBlessing"]  # of models: blessed, candidate


def test_a_push_that_will_be_refused_has_another_cache_key(tmp_path):
    """Else the refusal would come from the cache once a person names the version again."""
    from tfx.proto.orchestration.pipeline_pb2 import PipelineNode

    from farebox.components.atomic_pusher import push, versions
    from farebox.components.atomic_pusher.store import LocalStore
    from farebox.pipeline.local.launch import prepare_push

    settings, model = load_settings("chicago", None, str(tmp_path)), tmp_path / "model"
    store = LocalStore(settings.models_dir)

    def prepared() -> tuple[bool, int]:
        node = PipelineNode()
        prepare_push(node, model, settings)
        rolled_back = node.parameters.parameters["rolled_back"].field_value.int_value
        return node.execution_options.caching_options.enable_cache, rolled_back

    model.write_bytes(b"a model")
    assert prepared() == (False, 0)
    push.push(b"another model", store, {})
    version = push.push(b"a model", store, {})
    assert prepared() == (True, 0)
    versions.rollback(settings.models_dir)
    assert prepared() == (False, 1)
    versions.rollback(settings.models_dir, version)
    assert prepared() == (True, 0)


def test_the_manifest_holds_what_is_known_before_a_run(tmp_path):
    """It is part of Pusher's cache key, so it is the same twice."""
    import hashlib
    import json

    from farebox.pipeline.graph import create_pipeline
    from farebox.pipeline.provenance import code_digest, lane, schema_source
    from farebox.pipeline.target import Target

    settings = load_settings("chicago", None, str(tmp_path), ["push.keep=3"])

    def config() -> dict:
        target = Target(str(tmp_path), str(tmp_path / "models"))
        nodes = {node.id: node for node in create_pipeline(settings, target).components}
        return json.loads(nodes["Pusher"].exec_properties["custom_config"])

    pusher_config = config()
    assert pusher_config == config() and pusher_config["push"]["keep"] == 3
    assert (pusher_config["manifest"]["city"], pusher_config["manifest"]["lane"]) == ("chicago", lane())
    schema = schema_source(settings).encode()
    assert pusher_config["manifest"]["schema_sha256"] == hashlib.sha256(schema).hexdigest()
    digests = pusher_config["manifest"]["code_sha256"]
    assert digests["Pruner"] == code_digest("farebox.components.pruner.executor")
    assert {"TripExampleGen", "Transform", "Trainer", "Quantizer", "DeviceValidator"} < set(digests)


def test_a_nodes_peak_memory_is_its_own():
    """64 MB taken and given back do not count again, 48 MB more do. In a process whose heap has no free pages."""
    code = """
from farebox.pipeline.local.meter import peak_mb, reset_peak

before = peak_mb()
large = bytearray(64 << 20)
assert peak_mb() > before - 1
del large
reset_peak()
low = peak_mb()
large = bytearray(b"x") * (48 << 20)
assert 47 < peak_mb() - low < 64 and large
"""
    subprocess.run([sys.executable, "-c", code], check=True)
