"""The digest that stands for our code in TFX's cache: it follows imports, late ones too, and nothing else."""

from __future__ import annotations

import sys

import pytest

from farebox.pipeline import provenance
from farebox.pipeline.provenance import closure, code_digest, digest_of_all

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
    monkeypatch.setattr(provenance, "PACKAGE", "toy")
    yield tmp_path / "toy"
    provenance.source_file.cache_clear()
    assert not [name for name in sys.modules if name.partition(".")[0] == "toy"]  # read, never imported


def test_closure_follows_late_imports_and_circles(toy):
    assert closure("toy.node") >= {"toy.node", "toy.late", "toy.values", "toy.deep.leaf"}
    assert "toy.unrelated" not in closure("toy.node") and "json" not in closure("toy.node")


BLOCKS = """
class Late:
    if early:
        import toy.a
    else:
        for _ in ():
            import toy.b
        else:
            with open(""):
                import toy.c
    async def work():
        try:
            import toy.d
        except ImportError:
            import toy.e
        else:
            import toy.f
        finally:
            import toy.g
        while match:
            match late:
                case 1:
                    import toy.h
"""


def test_a_late_import_is_found_in_every_block():
    assert sorted(provenance.imports_in(BLOCKS.encode())) == [f"toy.{letter}" for letter in "abcdefgh"]


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


def test_a_template_beside_code_in_reach_counts(toy):
    """The page of a run is rendered from files that are no modules."""
    for folder in ("deep", "far"):
        (toy / folder / "templates").mkdir(parents=True)
        (toy / folder / "templates" / "page.html").write_text("<p>")
    before, of_all = code_digest("toy.node"), digest_of_all()
    (toy / "far/templates/page.html").write_text("<b>")
    assert code_digest("toy.node") == before and digest_of_all() != of_all
    (toy / "deep/templates/page.html").write_text("<b>")
    assert code_digest("toy.node") != before


def test_of_all_means_every_file(toy):
    before = digest_of_all()
    assert digest_of_all() == before
    (toy / "unrelated.py").write_text("BOUND = 5\n")
    changed = digest_of_all()
    (toy / "deep" / "new.py").write_text("")
    assert len({before, changed, digest_of_all()}) == 3


def test_another_version_of_a_library_changes_the_digest(toy, monkeypatch):
    before = code_digest("toy.node")
    monkeypatch.setattr(provenance.importlib.metadata, "version", lambda name: "0")
    assert code_digest("toy.node") != before


def test_an_optional_library_may_be_missing(toy, monkeypatch):
    """It changes the digest when it comes, and nothing fails without it."""
    monkeypatch.setattr(provenance, "OPTIONAL_LIBRARIES", ("no-such-library",))
    without = code_digest("toy.node")
    monkeypatch.setattr(provenance, "OPTIONAL_LIBRARIES", ("numpy",))
    assert code_digest("toy.node") != without


def test_a_module_that_is_not_there():
    with pytest.raises(ModuleNotFoundError, match="farebox.components.no_such_thing"):
        code_digest("farebox.components.no_such_thing")


@pytest.mark.parametrize(
    ("node", "within", "without"),
    [
        (
            "farebox.components.quantizer.executor",
            {
                "farebox.components.tflite.interpreter",
                "farebox.components.tflite.slim",
                "farebox.components.quantizer.conversion",
            },
            "farebox.components.pruner",
        ),
        (
            "farebox.components.pruner.executor",
            {"farebox.components.pruner.pruning", "farebox.components.networks.fine_tuning"},
            "farebox.components.quantizer",
        ),
        (
            "farebox.modules.preprocessing",
            {"farebox.modules.features", "farebox.modules.columns", "farebox.components.trip_example_gen.columns"},
            "farebox.components.trip_example_gen.profile",
        ),
        ("farebox.modules.training", {"farebox.modules.model"}, "farebox.pipeline"),
        (
            "farebox.components.device_validator.executor",
            {"farebox.components.device_validator.runtimes.child"},  # runs in a process of its own
            "farebox.components.quantizer",
        ),
        (
            "farebox.components.trip_example_gen.executor",
            {"farebox.components.trip_example_gen.reader", "farebox.components.trip_example_gen.judging.judge"},
            "farebox.components.tflite.interpreter",
        ),
    ],
)
def test_closures_of_our_nodes(node, within, without):
    modules = closure(node)
    assert within <= modules
    assert not [name for name in modules if name == without or name.startswith(without + ".")]
