"""What TFX and its libraries import at once and a local run seldom uses: found when imported, run when first used.

Each module is the real one, run by its own loader: at the first look for a name that it lacks (PEP 562), or before a
submodule of it is imported. importlib's LazyLoader would run it when it is imported for the second time.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

NONE, ALL = "", ".+"
# What waits, and which submodules (a regular expression) do without what its `__init__` does.
WAITING = {
    # Where each node comes from the cache, nobody computes: of these, TFX's own modules need messages and names.
    "tensorflow": r"tools(\.docs(\.doc_controls)?)?|core(\.example(\.\w+_pb2)?)?",
    "tensorflow_data_validation": r"anomalies(\.proto(\.\w+)?)?",
    "tensorflow_model_analysis": r"sdk|constants|version|proto(\.\w+)?|view(\..+)?",
    # TFDV's and TFMA's pictures, not IPython's terminal.
    "IPython": r"display|core(\.(display(_functions)?|error))?|(lib|testing|utils)(\.\w+)?",
    "tensorflow_model_analysis.view": "view_types|util",
    # TFMA's ROUGE: not scikit-learn and SciPy.
    "nltk": r"stem(\.porter|\.api)?|redos|termsec",
    "nltk.stem": r"porter|api",
    "rouge_score.rouge_scorer": NONE,
    # InfraValidator, which the graph has not: kubernetes.
    "tfx.components.infra_validator.model_server_runners.kubernetes_runner": NONE,
    # Beam's and TensorFlow's doors to Google's services.
    "google.cloud.bigquery": NONE,
    "google.cloud.bigquery_storage_v1": NONE,
    "google.cloud.pubsub": NONE,
    "googleapiclient.discovery": NONE,
    # Keras 3: tfmot looks for keras.engine, which Keras 3 has not, and goes on without.
    "keras": "engine",
    # TFMA's confidence intervals.
    "scipy.stats": NONE,
}
BEFORE: dict[str, str] = {}  # what must be run before a module is
# Stock components that the graph has not: keras_tuner (Keras 3).
if sys.version_info < (3, 11):  # lane A
    WAITING["tfx.components"] = ALL
else:  # TFX 1.21 gives TFMA names, and a module, that it lacks on lane B; and it passes over components half imported
    WAITING["tfx.components"] = r"example_gen(\..+)?|evaluator(\.constants)?"
    BEFORE["tensorflow_model_analysis"] = "tfx.components"


def defer() -> None:
    """Makes the modules above wait for their first use; those imported before stay as they are."""
    if not any(isinstance(finder, DeferringFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, DeferringFinder())


class DeferringFinder(MetaPathFinder):
    """Finds the modules above where Python does."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """None where it is the other finders' business. Runs a package that a submodule cannot do without."""
        packages = list(waiting_packages(name))
        for loader in packages:
            loader.run()
        if packages and name in sys.modules:  # a package has imported it: Python would run it once more
            return present(sys.modules[name])
        spec = PathFinder.find_spec(name, path, target) if name in WAITING else None
        if spec and spec.loader:
            spec.loader = DeferredLoader(spec.loader)
        return spec


class DeferredLoader(Loader):
    """Leaves a module empty but for a `__getattr__` that runs it."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.lock = threading.RLock()
        self.state = "waiting"

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader does."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Only what makes it wait."""
        module.__loader__ = module.__spec__.loader = self.loader  # type: ignore[union-attr]
        self.module = module
        module.__getattr__ = self.look_up  # type: ignore[method-assign]

    def look_up(self, name: str) -> Any:
        """What the module has under that name once it has been run; of a package perhaps a submodule, without."""
        full_name = f"{self.module.__name__}.{name}"
        may_be_alone = stands_alone(self.module.__name__, full_name) and not name.startswith("__")
        if may_be_alone and importlib.util.find_spec(full_name):
            return importlib.import_module(full_name)
        self.run()
        return getattr(self.module, name)

    def run(self) -> None:
        """Runs the module once; other threads wait. Raises AttributeError where this thread is about it already."""
        with self.lock:
            if self.state == "running":
                raise AttributeError(f"{self.module.__name__} is only partly initialized")
            if self.state == "waiting" and (before := BEFORE.get(self.module.__name__)):
                run_waiting(importlib.import_module(before))
            if self.state == "waiting":
                self.state = "running"
                try:
                    self.loader.exec_module(self.module)
                except BaseException:
                    self.state = "waiting"
                    raise
                self.state = "done"
            if vars(self.module).get("__getattr__") == self.look_up:  # a module may have brought its own
                del self.module.__getattr__


class PresentLoader(Loader):
    """Leaves a module as it is, its specification too, which an import takes for its own."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module."""
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """Gives it its specification back."""
        module.__spec__ = self.spec


def present(module: ModuleType) -> ModuleSpec:
    """The specification by which an import finds the module that is there."""
    module.__spec__ = ModuleSpec(module.__name__, PresentLoader(module))
    return module.__spec__


def run_waiting(module: ModuleType) -> None:
    """Runs a module that waits; nothing where it was run, or is about to be."""
    loader = loader_of(module)
    if loader and loader.state == "waiting":
        loader.run()


def loader_of(module: ModuleType) -> DeferredLoader | None:
    """Of a module that has not been run to its end yet; None for any other."""
    loader = getattr(vars(module).get("__getattr__"), "__self__", None)
    return loader if isinstance(loader, DeferredLoader) else None


def waiting_packages(name: str) -> Iterator[DeferredLoader]:
    """Loaders of the packages around a module that wait and that it cannot do without."""
    parts = name.split(".")
    for package in (".".join(parts[:count]) for count in range(1, len(parts))):
        if package in WAITING and not stands_alone(package, name):
            loader = loader_of(sys.modules[package])
            if loader and loader.state == "waiting":
                yield loader


def stands_alone(package: str, name: str) -> bool:
    """Whether a submodule of a package does without what its `__init__` does."""
    return re.fullmatch(WAITING[package], name[len(package) + 1 :]) is not None
