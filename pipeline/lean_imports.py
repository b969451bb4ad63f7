"""What TFX and its libraries import at once and a local run seldom uses: found when imported, run when first used.

Each module is the real one, run by its own loader, from its `__getattr__` (PEP 562): importlib's LazyLoader would run
it at its second `import`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# Packages whose submodules do without what `__init__` imports; a submodule is imported alone.
PACKAGES = frozenset(
    {
        "IPython",  # its terminal; TFDV wants IPython.display
        "nltk",  # scikit-learn, SciPy's statistics; TFMA's ROUGE wants nltk.stem.porter
        "nltk.stem",
        "tensorflow_model_analysis.view",  # notebook widgets; TFMA wants view.view_types
        "tfx.components",  # every stock component with its executor: keras_tuner (Keras 3), kubernetes
    }
)
# Modules that are used in functions only; the import of a submodule runs them.
MODULES = frozenset(
    {
        "google.cloud.bigquery",  # Beam's doors to services of Google's
        "google.cloud.bigquery_storage_v1",
        "google.cloud.pubsub",
        "googleapiclient.discovery",  # TensorFlow's way to find TPUs
        "rouge_score.rouge_scorer",  # all of nltk
        "scipy.stats",  # TFMA's confidence intervals
    }
)


def defer() -> None:
    """Makes the modules above wait for their first use; those imported before stay as they are."""
    if not any(isinstance(finder, DeferringFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, DeferringFinder())


class DeferringFinder(MetaPathFinder):
    """Finds the modules above where Python does, and no others."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """None where the module is not one of the above, or is not installed."""
        if name not in PACKAGES | MODULES:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.loader:
            spec.loader = DeferredLoader(spec.loader)
        return spec


class DeferredLoader(Loader):
    """Runs a module at the first look for a name that it does not have yet."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.lock = threading.RLock()
        self.path: Any = None
        self.state = "waiting"

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader does."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Leaves the module empty but for a `__getattr__` that runs it."""
        module.__loader__ = module.__spec__.loader = self.loader  # type: ignore[union-attr]
        if module.__name__ not in PACKAGES:
            self.path = module.__dict__.pop("__path__", None)  # which whoever imports a submodule looks for

        def look_up(name: str) -> Any:
            if module.__name__ in PACKAGES and is_submodule(module, name):
                return importlib.import_module(f"{module.__name__}.{name}")
            self.run(module, look_up)
            return getattr(module, name)

        module.__getattr__ = look_up  # type: ignore[method-assign]

    def run(self, module: ModuleType, look_up: Any) -> None:
        """Runs the module once; other threads wait. Raises AttributeError where it is this thread that runs it."""
        with self.lock:
            if self.state == "running":
                raise AttributeError(f"{module.__name__} is still being run")
            if self.state == "waiting":
                self.state = "running"
                if self.path is not None:
                    module.__path__ = self.path
                try:
                    self.loader.exec_module(module)
                except BaseException:
                    self.state = "waiting"
                    raise
                self.state = "ready"
            if module.__dict__.get("__getattr__") is look_up:  # a module may have brought its own
                del module.__getattr__


def is_submodule(package: ModuleType, name: str) -> bool:
    """Whether a package has a module of that name."""
    return not name.startswith("__") and importlib.util.find_spec(f"{package.__name__}.{name}") is not None
