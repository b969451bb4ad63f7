"""Modules that wait for their first use: none of them sooner, the real one then, for whoever asks."""

from __future__ import annotations

import importlib
import json
import pickle
import subprocess
import sys
import threading

import pytest

from farebox.pipeline.local import lean_imports

SOURCES = {
    "waits/__init__": "runs.append(1)\nfrom waits.inner import VALUE\nOTHER = VALUE + 1\nclass Thing: pass\n",
    "waits/inner": "VALUE = 4\n",
    "waits/outer": "import waits\nSEEN = waits.OTHER\n",
    "whole/__init__": "runs.append(1)\nORDER = 1\nfrom whole.inner import SEEN\n",
    "whole/inner": "runs.append(2)\nimport whole\nSEEN = whole.ORDER\n",
    "slow": "runs.append(1)\nimport time\ntime.sleep(0.05)\nVALUE = 4\n",
    "broken": "runs.append(1)\nimport no_such_module\n",
    "own": "def __getattr__(name):\n    return name.upper()\n",
    "common": "VALUE = 4\n",
    "lacking": "runs.append(1)\nNAMES = []\n",
    "giving": "runs.append(2)\nimport lacking\nlacking.NAMES.append(3)\n",
}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Toy modules, all but `common` of which wait; how often any of them was run."""
    run_log: list[int] = []
    for name, text in SOURCES.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("runs.append", "__import__('builtins').runs.append"))
    monkeypatch.setattr("builtins.runs", run_log, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    whole = ("whole", "slow", "broken", "own", "lacking", "giving", "not_installed")
    monkeypatch.setattr(lean_imports, "WAITING", {"waits": "inner", **dict.fromkeys(whole, lean_imports.NONE)})
    monkeypatch.setattr(lean_imports, "BEFORE", {"lacking": "giving"})
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    lean_imports.defer()
    before = set(sys.modules)
    yield run_log
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_an_import_runs_nothing_and_a_look_runs_it_once(runs):
    import whole
    import whole as again

    assert runs == [] and whole.__spec__.name == "whole" and whole.__file__.endswith("__init__.py")
    assert (whole.ORDER, again.ORDER, runs) == (1, 1, [1, 2])
    assert not hasattr(whole, "no_such_name") and "__getattr__" not in vars(whole) and runs == [1, 2]


def test_a_submodule_that_can_is_imported_alone(runs):
    from waits import inner
    from waits.inner import VALUE

    assert (inner.VALUE, VALUE, runs) == (4, 4, [])
    from waits import OTHER

    assert (OTHER, runs) == (5, [1])


def test_any_other_runs_its_package_first(runs):
    from waits.outer import SEEN

    assert (SEEN, runs) == (5, [1])


def test_a_submodule_that_its_package_imports_is_run_once(runs):
    import whole
    import whole.inner as inner
    from whole.inner import SEEN

    assert (SEEN, runs) == (1, [1, 2]) and whole.inner is inner is sys.modules["whole.inner"]
    assert inner.__spec__.origin == inner.__file__ and importlib.reload(inner).SEEN == 1


@pytest.mark.parametrize("first", ["lacking", "giving"])
def test_what_another_gives_a_module_is_there_whichever_is_asked_first(runs, first):
    import giving
    import lacking

    assert runs == [] and not hasattr(sys.modules[first], "no_such_name")
    assert (lacking.NAMES, runs, vars(giving)["lacking"]) == ([3], [2, 1], lacking)


def test_all_names_are_there_for_a_star(runs):
    names: dict = {}
    exec("from whole import *", names)
    assert names["ORDER"] == 1


def test_classes_are_pickled_by_name(runs):
    import waits

    thing = pickle.dumps(waits.Thing)
    assert pickle.loads(thing) is waits.Thing and waits.Thing.__module__ == "waits"


def test_its_loader_is_its_own(runs):
    import whole

    assert "ORDER = 1" in whole.__loader__.get_source("whole") and whole.__spec__.loader is whole.__loader__
    assert importlib.reload(whole).ORDER == 1


def test_threads_wait_for_the_one_that_runs_it(runs):
    import slow

    barrier, values = threading.Barrier(4), []

    def look() -> None:
        barrier.wait()
        values.append(slow.VALUE)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (values, runs) == ([4] * 4, [1])


def test_what_it_raises_comes_through_each_time(runs):
    import broken

    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            broken.VALUE  # noqa: B018
    assert runs == [1, 1]


def test_a_modules_own_getattr_stays(runs):
    import own

    assert (own.a, own.b) == ("A", "B")


def test_others_are_as_ever(runs):
    import common

    assert "__getattr__" not in vars(common) and vars(common)["VALUE"] == 4
    with pytest.raises(ModuleNotFoundError, match="not_installed"):
        importlib.import_module("not_installed")
    count = len(sys.meta_path)
    lean_imports.defer()
    assert len(sys.meta_path) == count


@pytest.mark.slow
def test_a_run_imports_what_it_uses_and_all_else_is_real():
    """In a process of its own: first nothing heavy, then what executors need, then each of them for whoever uses it."""
    code = """
import json, sys
from farebox.pipeline.local import lean_imports
from farebox.pipeline.local import libraries
libraries.configure_libraries()
import farebox.pipeline.local.launch
waiting = [name for name in lean_imports.WAITING if name in sys.modules]
ran = [name for name in waiting if "__builtins__" in vars(sys.modules[name])]
import farebox.pipeline.graph
never = (
    "google.cloud.aiplatform", "google.cloud.bigquery.client", "google.cloud.pubsub_v1", "kfp", "kubernetes",
)
lane_a = sys.version_info < (3, 11)
if lane_a:  # on lane B TFMA brings all of tfx.components, which looks for IPython
    never += ("IPython.terminal", "jedi", "keras.src", "keras_tuner", "lightgbm", "nltk.corpus", "sklearn")
early = [name for name in never if name in sys.modules]
needed = {"tensorflow", "tensorflow_data_validation", "tensorflow_model_analysis"}
ran += [name for name in {*waiting} - needed if lane_a and "__builtins__" in vars(sys.modules[name])]
import tensorflow_model_optimization
early += [name for name in never if name.startswith("keras") and name in sys.modules]
import IPython, keras, nltk, scipy.stats
from google.cloud import bigquery
from tensorflow_model_analysis.view import render_plot
from tfx import v1
real = [
    IPython.InteractiveShell.__name__, nltk.edit_distance("fare", "fair"), float(scipy.stats.norm.cdf(0)),
    keras.layers.Dense.__module__,
    bigquery.Client.__module__, render_plot.__name__, v1.components.BulkInferrer.__module__,
    v1.components.Evaluator.__name__,
    nltk.stem.PorterStemmer().stem("taxis"),
]
print(json.dumps([early, len(waiting), ran, real]))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Error importing" not in ended.stderr  # what TFMA makes of an ImportError
    early, n_waiting, ran, real = json.loads(ended.stdout.splitlines()[-1])
    assert (early, ran) == ([], []) and n_waiting >= 5
    assert real == [
        "InteractiveShell", 2, 0.5, "keras.src.layers.core.dense", "google.cloud.bigquery.client", "render_plot",
        "tfx.components.bulk_inferrer.component", "Evaluator", "taxi",
    ]  # fmt: skip
