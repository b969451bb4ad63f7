"""ExecutorInputs of Kubeflow made readable for TFX: its real entry point takes the result and refuses the original."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import report_page
from toy_spec import components

from farebox.components.reporter import content
from farebox.components.reporter.component import ReporterSpec
from farebox.components.reporter.page.lineage import RunFacts
from farebox.components.reporter.page.render import render
from farebox.pipeline.cluster.container import INPUTS_SPEC, publish_cost, publish_page, with_parameters
from farebox.pipeline.cluster.driver import Driver
from farebox.pipeline.cluster.invocation import LOGS, for_tfx, without_logs
from farebox.pipeline.cluster.versions import READ, KfpVersion
from farebox.pipeline.local.meter import Cost

GOLDEN = Path(__file__).parents[2] / "golden" / "executor_inputs"
NODES = tuple(components())


def golden(service: str, node: str) -> dict:
    return dict(json.loads((GOLDEN / f"{service}.json").read_text())["nodes"][node])


def inputs_spec(node: str) -> str:
    return json.dumps(components()[node].get("inputDefinitions", {}))


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("version", READ)
def test_types_come_from_the_nodes_own_spec_and_logs_are_left_out(version, node):
    given = golden(version, node)
    readable = json.loads(for_tfx(json.dumps(given), inputs_spec(node)))
    given["outputs"].get("artifacts", {}).pop(LOGS, None)
    for key, entry in given["inputs"].get("artifacts", {}).items():
        for artifact in entry["artifacts"]:
            artifact["type"] = components()[node]["inputDefinitions"]["artifacts"][key]["artifactType"]
    assert readable == given
    silent = json.dumps(without_logs(golden(version, node)))  # PUBLISH_LOGS of the server is false
    assert json.loads(for_tfx(silent, inputs_spec(node))) == given


@pytest.mark.parametrize("node", ["Source", "Trainer"])
def test_what_vertex_hands_over_is_left_as_it_is(node):
    """A type that is there, and no logs."""
    given = golden("vertex", node)
    assert json.loads(for_tfx(json.dumps(given), inputs_spec(node))) == given
    assert json.loads(for_tfx('{"outputs": {}}', "{}")) == {"outputs": {}}


@pytest.fixture
def enter(tmp_path):
    """Calls TFX's entry point on an ExecutorInput, with addresses and the container's files in a folder. Returns the
    output metadata."""

    def call(text: str, spec_of_inputs: str) -> dict:
        from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor as entry_point

        for place in ("gs://bucket", "/gcs/bucket", "/tmp/kfp_outputs"):
            text = text.replace(f'"{place}', f'"{tmp_path}')
        arguments = [
            "--executor_class_path=tfx.dsl.components.base.base_executor.EmptyExecutor",
            f"--json_serialized_invocation_args={text}",
            f"--json_serialized_inputs_spec_args={spec_of_inputs}",
        ]
        entry_point.main(entry_point._parse_flags(arguments))
        file = Path(json.loads(text)["outputs"]["outputFile"])
        metadata = json.loads(file.read_text()).get("artifacts", {})
        file.unlink()  # up to 2.14 the next node has the same file
        return dict(metadata)

    return call


def ends_on(enter, given: dict, spec_of_inputs: str) -> None:
    """Checks that TFX's entry point ends on what Kubeflow sends, for the cause that is in it."""
    if given["inputs"].get("artifacts"):
        with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'get'"):
            enter(json.dumps(given), spec_of_inputs)
    elif LOGS in given["outputs"].get("artifacts", {}):
        with pytest.raises(ImportError, match="Could not import system.Artifact"):
            enter(json.dumps(given), spec_of_inputs)


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("version", READ)
def test_tfx_takes_it_and_ends_on_the_original(enter, version, node):
    given = golden(version, node)
    written = enter(with_parameters(for_tfx(json.dumps(given), inputs_spec(node))), inputs_spec(node))
    assert set(written) == set(components()[node].get("outputDefinitions", {}).get("artifacts", {}))
    ends_on(enter, given, inputs_spec(node))


@pytest.mark.parametrize("node", ["Source", "Trainer"])
def test_tfx_takes_what_vertex_hands_over(enter, node):
    text = json.dumps(golden("vertex", node))
    assert enter(with_parameters(for_tfx(text, inputs_spec(node))), inputs_spec(node)) == enter(text, inputs_spec(node))


@pytest.fixture(scope="module")
def pipeline() -> dict:
    """The real PipelineSpec for Kubeflow, with a Tuner."""
    from farebox import compile  # noqa: A004 - its public name
    from farebox.pipeline.settings.load import load_settings

    overrides = ["cluster.root=gs://bucket/runs", "cluster.image=farebox:abc1234", "tuner.trials=2"]
    return compile(load_settings("chicago", "gs://bucket/trips", overrides=overrides)).spec


@pytest.mark.parametrize("version", READ)
def test_every_node_of_the_pipeline_is_read_by_tfx_from_every_release(enter, pipeline, version):
    """Executors do nothing here; the rehearsal runs the real ones."""
    values = {"epochs": 3, "max_rmse_increase": "0.2%"}
    driver = Driver(pipeline, "gs://bucket/runs/farebox-chicago/RUN", KfpVersion(version), values, "RUN")
    nodes = list(driver.tasks().static_order())
    for node in nodes:
        arguments = driver.container(node)["args"]
        spec_of_inputs, given = arguments[arguments.index(INPUTS_SPEC) + 1], driver.executor_input(node)
        written = enter(with_parameters(for_tfx(json.dumps(given), spec_of_inputs)), spec_of_inputs)
        ends_on(enter, given, spec_of_inputs)
        driver.publish(node, without_logs(given)["outputs"].get("artifacts", {}), written)
    assert len(nodes) == 18


def test_the_page_is_hidden_from_tfx_and_copied_to_its_own_address(tmp_path):
    """TFX cannot import system.HTML; the clusters' pages read one file at the artifact's address."""
    report, page = tmp_path / "report", tmp_path / "page"
    report.mkdir()
    (report / "report.html").write_text("<!doctype html>")
    written = {"report": {"artifacts": [{"uri": str(report), "type": {"instanceSchema": "title: farebox.Report"}}]}}
    plain = {"inputs": {}, "outputs": {"artifacts": written, "outputFile": "x"}}
    publish_page(json.dumps(plain))
    assert not page.exists()
    shown = {"artifacts": [{"uri": str(page), "type": {"schemaTitle": "system.HTML"}}]}
    given = json.dumps({"inputs": {}, "outputs": {"artifacts": written | {"page": shown}, "outputFile": "x"}})
    assert json.loads(for_tfx(given, "{}")) == plain
    publish_page(given)
    assert page.read_text() == "<!doctype html>"


def test_a_node_leaves_its_cost_and_the_page_shows_it(tmp_path):
    """Beside the artifacts that Reporter reads; the page and Kubeflow's logs are single files."""
    names = ("pruning", "pruned_model", "executor-logs", "schema", "evaluation", "anomalies")
    for name in names:
        (tmp_path / name).mkdir()
    uris = {key: {"artifacts": [{"uri": str(tmp_path / key)}]} for key in names}
    uris["schema"]["artifacts"][0]["type"] = {"instanceSchema": "title: tfx.Schema\ntype: object\n"}
    written = uris | {"page": {"artifacts": [{"uri": str(tmp_path / "page.html")}]}}
    publish_cost(json.dumps({"outputs": {"artifacts": written}}), Cost(cpu_s=9.5, peak_mb=700.0, wall_s=12.5))
    assert not (tmp_path / "page.html").exists() and not list((tmp_path / "executor-logs").iterdir())
    assert not list((tmp_path / "schema").iterdir()), "TFX's nodes read the only file of a schema"
    read = {name: SimpleNamespace(uri=str(tmp_path / name)) for name in ("pruning", "evaluation", "anomalies")}
    assert set(read) < set(ReporterSpec.INPUTS)
    *others, own = content.costs(read)
    assert [(each["name"], each["cpu_s"]) for each in others] == [
        ("ExampleValidator", 9.5), ("Pruner", 9.5), ("Evaluator", 9.5),
    ]  # fmt: skip
    assert own["name"] == "Reporter" and own["cpu_s"] > 0 and 10 < own["peak_mb"] < 100_000
    sections = {"costs": [*others, own]}
    assert content.costs({}) == [], "a local run's costs come from the runner"
    html = render(dataclasses.replace(report_page.page("no model"), sections=sections, facts=RunFacts()))
    assert "Cost of each node" in html and "Pruner: 9.5 CPU s, peak 700 MB" in html and "cached node" in html
