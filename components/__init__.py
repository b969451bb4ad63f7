"""TFX components and functions that know no taxi: `from farebox.components import PcaReducer, Pruner, Quantizer`.

Importing this package imports nothing else: each name is imported at its first use. Modules of farebox import from the
module that defines a name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farebox.components.compression.compress import compress
    from farebox.components.compression.result import Compression
    from farebox.components.pca_reducer.component import PcaReducer
    from farebox.components.pca_reducer.settings import ReducerSettings
    from farebox.components.pruner.component import Pruner
    from farebox.components.pruner.settings import PrunerSettings
    from farebox.components.quantizer.component import Quantizer
    from farebox.components.quantizer.settings import BandSettings, QuantizerSettings

_HOME_OF = {
    "BandSettings": "farebox.components.quantizer.settings",
    "Compression": "farebox.components.compression.result",
    "PcaReducer": "farebox.components.pca_reducer.component",
    "Pruner": "farebox.components.pruner.component",
    "PrunerSettings": "farebox.components.pruner.settings",
    "Quantizer": "farebox.components.quantizer.component",
    "QuantizerSettings": "farebox.components.quantizer.settings",
    "ReducerSettings": "farebox.components.pca_reducer.settings",
    "compress": "farebox.components.compression.compress",
}

__all__ = [
    "BandSettings",
    "Compression",
    "PcaReducer",
    "Pruner",
    "PrunerSettings",
    "Quantizer",
    "QuantizerSettings",
    "ReducerSettings",
    "compress",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
