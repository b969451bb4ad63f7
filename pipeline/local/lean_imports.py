"""Defers modules that TFX imports and a local run seldom uses, until their first use. See README.md in this folder.

Each module is the real one. Its own loader runs it when a name that it lacks is first looked up (PEP 562), or before a
submodule of it is imported. importlib's LazyLoader would run it at its second import.
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
# Deferred modules, each with those of its submodules (a regular expression) that do not need its `__init__`.
WAITING = {
    # A fully cached run computes nothing; TFX then needs only protos and constants from these.
    "tensorflow": r"tools(\.docs(\.doc_controls)?)?|core(\.example(\.\w+_pb2)?)?",
    "tensorflow_data_validation": r"anomalies(\.proto(\.\w+)?)?",
    "tensorflow_model_analysis": r"sdk|constants|version|proto(\.\w+)?|view(\..+)?",
    # TFDV and TFMA need its pictures, not its terminal.
    "IPython": r"display|core(\.(display(_functions)?|error))?|(lib|testing|utils)(\.\w+)?",
    "tensorflow_model_analysis.view": "view_types|util",
    # TFMA's ROUGE metric imports scikit-learn and SciPy.
    "nltk": r"stem(\.porter|\.api)?|redos|termsec",
    "nltk.stem": r"porter|api",
    "rouge_score.rouge_scorer": NONE,
    # InfraValidator imports kubernetes; our graph has no such node.
    "tfx.components.infra_validator.model_server_runners.kubernetes_runner": NONE,
    # Google's services for Beam and TensorFlow.
    "google.cloud.bigquery": NONE,
    "google.cloud.bigquery_storage_v1": NONE,
    "google.cloud.pubsub": NONE,
    "googleapiclient.discovery": NONE,
    # Keras 3: tfmot looks for keras.engine, does not find it there, and goes on.
    "keras": "engine",
    # TFMA's confidence intervals.
    "scipy.stats": NONE,
}
BEFORE: dict[str, str] = {}  # the module that must run before another
# Stock components outside our graph import keras_tuner (Keras 3).
if sys.version_info < (3, 11):  # lane A
    WAITING["tfx.components"] = ALL
else:  # TFX 1.21 adds names and a module to TFMA on lane B, and skips components that are half imported
    WAITING["tfx.components"] = r"example_gen(\..+)?|evaluator(\.constants)?"
    BEFORE["tensorflow_model_analysis"] = "tfx.components"


def defer() -> None:
    """Defers the modules above; those that are imported already stay as they are."""
    if not any(isinstance(finder, DeferringFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, DeferringFinder())


class DeferringFinder(MetaPathFinder):
    """Finds the modules above where Python does."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Returns None for modules of other finders. Runs a deferred package that the submodule needs."""
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
    """Leaves a module empty, except for a `__getattr__` that runs it."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.lock = threading.RLock()
        self.state = "waiting"

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Delegates to the module's own loader."""
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Installs the `__getattr__` and runs nothing."""
        module.__loader__ = module.__spec__.loader = self.loader  # type: ignore[union-attr]
        self.module = module
        module.__getattr__ = self.look_up  # type: ignore[method-assign]

    def look_up(self, name: str) -> Any:
        """Returns the attribute after the module has run, or a submodule that does not need it to run."""
        full_name = f"{self.module.__name__}.{name}"
        may_stand_alone = stands_alone(self.module.__name__, full_name) and not name.startswith("__")
        if may_stand_alone and importlib.util.find_spec(full_name):
            return importlib.import_module(full_name)
        self.run()
        return getattr(self.module, name)

    def run(self) -> None:
        """Runs the module once; other threads wait. Raises AttributeError if this thread is running it already."""
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
    """Returns a module that is loaded already, with its own specification."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        """Returns the module."""
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """Restores the module's specification."""
        module.__spec__ = self.spec


def present(module: ModuleType) -> ModuleSpec:
    """A specification by which an import finds the loaded module."""
    module.__spec__ = ModuleSpec(module.__name__, PresentLoader(module))
    return module.__spec__


def run_waiting(module: ModuleType) -> None:
    """Runs a deferred module; does nothing if it has run or is running."""
    loader = loader_of(module)
    if loader and loader.state == "waiting":
        loader.run()


def loader_of(module: ModuleType) -> DeferredLoader | None:
    """The loader of a module that is deferred or running; None for any other module."""
    loader = getattr(vars(module).get("__getattr__"), "__self__", None)
    return loader if isinstance(loader, DeferredLoader) else None


def waiting_packages(name: str) -> Iterator[DeferredLoader]:
    """Loaders of the deferred packages around a module that it needs."""
    parts = name.split(".")
    for package in (".".join(parts[:count]) for count in range(1, len(parts))):
        if package in WAITING and not stands_alone(package, name):
            loader = loader_of(sys.modules[package])
            if loader and loader.state == "waiting":
                yield loader


def stands_alone(package: str, name: str) -> bool:
    """Whether a submodule of a package works without the package's `__init__`."""
    return re.fullmatch(WAITING[package], name[len(package) + 1 :]) is not None
