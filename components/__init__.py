"""Our TFX components. Artifact types resolve here, lazily: Kubeflow imports `components.X`, TFX is slow to import."""

from typing import Any

_ARTIFACTS = ("EvaluatorBlessing", "GateVerdict", "Projection", "Pruning", "QuantizationTrials", "Report")


def __getattr__(name: str) -> Any:
    if name in _ARTIFACTS:
        from components import artifacts

        return getattr(artifacts, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
