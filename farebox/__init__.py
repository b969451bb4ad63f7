"""Farebox: raw taxi trips to a small, gated on-device fare model. Everything public is listed in `__all__`.

Importing this package imports nothing else: each name is imported at its first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farebox.components.artifacts import (
        EvaluatorBlessing,
        GateVerdict,
        Projection,
        Pruning,
        QuantizationTrials,
        Report,
    )
    from farebox.components.compression.compress import compress
    from farebox.components.compression.result import Compression
    from farebox.components.errors import GateError, InputError
    from farebox.pipeline.cluster.compile import CompiledPipeline, compile  # noqa: A004 - farebox.compile
    from farebox.pipeline.fare_model import Evaluation, FareModel, FareRange, evaluate, export
    from farebox.pipeline.local.run import Run, run
    from farebox.pipeline.retraining.tick import TickResult, retrain
    from farebox.pipeline.settings.load import Settings, load_settings

_HOMES = {
    "farebox.components.compression.compress": ("compress",),
    "farebox.components.compression.result": ("Compression",),
    "farebox.components.errors": ("GateError", "InputError"),
    "farebox.pipeline.fare_model": ("Evaluation", "FareModel", "FareRange", "evaluate", "export"),
    "farebox.pipeline.local.run": ("Run", "run"),
    "farebox.pipeline.retraining.tick": ("TickResult", "retrain"),
    "farebox.pipeline.cluster.compile": ("CompiledPipeline", "compile"),
    "farebox.pipeline.settings.load": ("Settings", "load_settings"),
    # TFX looks up artifact types by these names: Kubeflow allows one dot in them.
    "farebox.components.artifacts": (
        "EvaluatorBlessing", "GateVerdict", "Projection", "Pruning", "QuantizationTrials", "Report",
    ),
}  # fmt: skip
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "CompiledPipeline",
    "Compression",
    "Evaluation",
    "EvaluatorBlessing",
    "FareModel",
    "FareRange",
    "GateError",
    "GateVerdict",
    "InputError",
    "Projection",
    "Pruning",
    "QuantizationTrials",
    "Report",
    "Run",
    "Settings",
    "TickResult",
    "compile",
    "compress",
    "evaluate",
    "export",
    "load_settings",
    "retrain",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
