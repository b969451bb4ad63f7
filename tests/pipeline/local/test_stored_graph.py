"""A compiled graph is kept for the same order, and compiled anew for any other."""

from __future__ import annotations

import dataclasses

import pytest
from tfx.proto.orchestration.pipeline_pb2 import Pipeline

from farebox.pipeline import provenance
from farebox.pipeline.local import stored_graph
from farebox.pipeline.settings.load import load_settings
from farebox.pipeline.target import Target


class Compiler:
    """Compiles a pipeline of two nodes; counts how often."""

    def __init__(self, settings) -> None:
        self.settings, self.target, self.count = settings, Target("/artifacts", "/models"), 0
        settings.runs_dir.mkdir(parents=True)

    def compiled(self, **changes) -> Pipeline:
        target = dataclasses.replace(self.target, **changes)
        return stored_graph.compiled(self.settings, target, self.compile)

    def compile(self) -> Pipeline:
        self.count += 1
        graph = Pipeline()
        for name in ("First", "Second"):
            graph.nodes.add().pipeline_node.node_info.id = name
        return graph

    @property
    def files(self):
        return [*self.settings.runs_dir.iterdir()]


@pytest.fixture
def compiler(tmp_path):
    return Compiler(load_settings("chicago", None, str(tmp_path)))


def test_the_same_order_is_compiled_once(compiler):
    first, again = compiler.compiled(), compiler.compiled()
    assert [node.pipeline_node.node_info.id for node in again.nodes] == ["First", "Second"] and first == again
    assert compiler.count == 1 and len(compiler.files) == 1


@pytest.mark.parametrize("change", ["setting", "schema", "place", "workers", "code", "library"])
def test_another_order_is_compiled_anew_and_kept_alone(compiler, monkeypatch, change):
    compiler.compiled()
    target = {}
    if change == "setting":
        compiler.settings = dataclasses.replace(compiler.settings, features="course")
    elif change == "schema":
        monkeypatch.setattr(stored_graph.provenance, "schema_source", lambda settings: "feature {}")
    elif change == "place":
        target = {"pipeline_root": "/elsewhere"}
    elif change == "workers":
        target = {"workers": 2}
    elif change == "code":
        monkeypatch.setattr(stored_graph, "digest_of_all", lambda: "another")
    else:
        monkeypatch.setattr(provenance.importlib.metadata, "version", lambda name: "0")
    compiler.compiled(**target)
    compiler.compiled(**target)
    assert compiler.count == 2 and len(compiler.files) == 1


@pytest.mark.parametrize("change", ["the folder that we are in", "a folder for the file"])
def test_a_path_that_means_other_trips_is_another_order(compiler, monkeypatch, tmp_path, change):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "trips.csv").touch()
    monkeypatch.chdir(here)
    compiler.settings = dataclasses.replace(compiler.settings, data="trips.csv")
    compiler.compiled()
    if change == "the folder that we are in":
        monkeypatch.chdir(there)
    else:
        (here / "trips.csv").unlink()
        (here / "trips.csv").mkdir()
    compiler.compiled()
    assert compiler.count == 2 and len(compiler.files) == 1


@pytest.mark.parametrize("kept", [0, 31, 40, -1])
def test_a_file_cut_short_is_compiled_anew(compiler, kept):
    """-1: a whole message is left, of fewer nodes than there were."""
    graph = compiler.compiled()
    (path,) = compiler.files
    whole = path.read_bytes()
    last = graph.nodes[-1].SerializeToString()
    path.write_bytes(whole[:kept] if kept >= 0 else whole[: -len(last) - 2])
    assert kept >= 0 or len(Pipeline.FromString(path.read_bytes()[32:]).nodes) == 1
    assert compiler.compiled() == graph and compiler.count == 2 and path.read_bytes() == whole
