"""The parts of a tick that take long or print: a caller, such as the command or a test, may replace them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any

from farebox.components.trip_example_gen.spans import Delivery
from farebox.pipeline.local import run
from farebox.pipeline.retraining import ingesting
from farebox.pipeline.retraining.ingesting import JudgedSpan
from farebox.pipeline.retraining.journal import SpanVersion
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.target import SpanInput


def run_graph(settings: Settings, run_id: str, spans: SpanInput, quiet: bool = True) -> dict[str, Any]:
    """Runs the whole graph on a window of spans and returns the run's summary.

    Raises GateError if the data are refused, so that there is no model to sum up.
    """
    return run.run_once(settings, run_id, quiet, spans)


@dataclasses.dataclass(frozen=True)
class Steps:
    """What a tick calls.

    ingest: judges new spans. find_ingested: the span versions whose examples exist. run: runs the graph on a window and
    returns its summary. warn: takes a line about a notification that failed.
    """

    ingest: Callable[[Settings, str, Sequence[Delivery]], list[JudgedSpan]] = ingesting.ingest
    find_ingested: Callable[[Settings, str], set[SpanVersion]] = ingesting.find_ingested
    run: Callable[[Settings, str, SpanInput], dict[str, Any]] = run_graph
    warn: Callable[[str], None] = logging.getLogger("farebox").warning


DEFAULT_STEPS = Steps()  # prints nothing and redirects nothing
