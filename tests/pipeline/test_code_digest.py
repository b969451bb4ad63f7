"""The digest that stands for our code in TFX's cache: it follows imports, late ones too, and nothing else."""

from __future__ import annotations

import sys

import pytest

from pipeline import code_digest as module
from pipeline.code_digest import closure, code_digest, digest_of_all

SOURCES = {
    "__init__": "",
    "node": "def work():\n    from toy import late\n    import toy.deep.leaf\n",
    "late": "from toy.values import BOUND\nimport json\n",
    "values": "BOUND = 4\n",
    "deep/__init__": "",
    "deep/leaf": "import toy.node\n",  # a circle
    "unrelated": "BOUND = 4\n",
}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A package `toy` that counts as ours; returns its folder."""
    for name, text in SOURCES.items():
        path = tmp_path / "toy" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "PACKAGES", ("toy",))
    yield tmp_path / "toy"
    module.source_file.cache_clear()
    assert not [name for name in sys.modules if name.partition(".")[0] == "toy"]  # read, never imported


def test_closure_follows_late_imports_and_circles(toy):
    assert closure("toy.node") >= {"toy.node", "toy.late", "toy.values", "toy.deep.leaf"}
    assert "toy.unrelated" not in closure("toy.node") and "json" not in closure("toy.node")


@pytest.mark.parametrize("name", ["node", "late", "values", "deep/leaf"])
def test_a_change_in_reach_changes_the_digest(toy, name):
    before = code_digest("toy.node")
    assert code_digest("toy.node") == before
    (toy / f"{name}.py").write_text(SOURCES[name] + "# a change\n")
    assert code_digest("toy.node") != before


def test_a_change_out_of_reach_does_not(toy):
    before = code_digest("toy.node")
    (toy / "unrelated.py").write_text("BOUND = 5\n")
    assert code_digest("toy.node") == before


def test_of_all_means_every_file(toy):
    before = digest_of_all()
    assert digest_of_all() == before
    (toy / "unrelated.py").write_text("BOUND = 5\n")
    changed = digest_of_all()
    (toy / "deep" / "new.py").write_text("")
    assert len({before, changed, digest_of_all()}) == 3


def test_another_version_of_a_library_changes_the_digest(toy, monkeypatch):
    before = code_digest("toy.node")
    monkeypatch.setattr(module.importlib.metadata, "version", lambda name: "0")
    assert code_digest("toy.node") != before


def test_a_module_that_is_not_there():
    with pytest.raises(ModuleNotFoundError, match="components.no_such_thing"):
        code_digest("components.no_such_thing")


@pytest.mark.parametrize(
    ("node", "within", "without"),
    [
        (
            "components.quantizer.executor",
            {"components.tflite", "components.slim", "components.quantizer.conversion"},
            "components.pruner",
        ),
        ("components.pruner.executor", {"components.pruner.pruning", "components.fine_tuning"}, "components.quantizer"),
        ("modules.preprocessing", {"modules.features", "modules.columns"}, "components"),
        ("modules.training", {"modules.model"}, "pipeline"),
        ("components.trip_example_gen.executor", {"components.trip_example_gen.reader"}, "components.tflite"),
    ],
)
def test_closures_of_our_nodes(node, within, without):
    found = closure(node)
    assert within <= found
    assert not [name for name in found if name == without or name.startswith(without + ".")]
