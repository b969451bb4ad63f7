"""Where a pipeline runs and what it reads there. No TFX here: a run that has nothing to do knows it without."""

from __future__ import annotations

import dataclasses
from typing import Any

from farebox.components.trip_example_gen.spans import Delivery


@dataclasses.dataclass(frozen=True)
class SpanInput:
    """What a run of the graph reads: the span that it ingests, and the span versions that it is trained on.

    paths: of the window's spans that are still there.
    """

    delivery: Delivery
    window: tuple[tuple[int, int], ...]
    paths: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a pipeline runs and what it reads and writes there.

    metadata: MLMD's connection config; None where the orchestrator has its own (Kubeflow, Vertex AI).
    workers: processes of each Beam node that runs on this machine.
    spans: where trips arrive in spans, which of them to read.
    pipeline_name: by which MLMD tells pipelines apart; None is the city's.
    """

    pipeline_root: str
    models_dir: str
    metadata: Any = None
    workers: int = 1
    spans: SpanInput | None = None
    pipeline_name: str | None = None
