"""The place where a pipeline runs, reads and writes. Imports no TFX, so that a cached run does not need it."""

from __future__ import annotations

import dataclasses
from typing import Any

from farebox.components.trip_example_gen.spans import Delivery


@dataclasses.dataclass(frozen=True)
class SpanInput:
    """The span that a run ingests, and the (span, version) pairs that it trains on.

    paths: the folders of the window's spans that still exist. latest: the folder of the version by which steps of the
    fares are measured; None if there is none yet.
    """

    delivery: Delivery
    window: tuple[tuple[int, int], ...]
    paths: tuple[str, ...]
    latest: str | None = None


@dataclasses.dataclass(frozen=True)
class Target:
    """The place where a pipeline runs, reads and writes.

    metadata: MLMD's connection config; None if the orchestrator has its own (Kubeflow, Vertex AI).
    workers: processes of each Beam node on this machine.
    spans: the spans to read, if trips arrive in spans.
    pipeline_name: the name that tells pipelines apart in MLMD; None for the city's.
    """

    pipeline_root: str
    models_dir: str
    metadata: Any = None
    workers: int = 1
    spans: SpanInput | None = None
    pipeline_name: str | None = None
