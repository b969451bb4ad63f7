"""The parts of a tick that take long or print: a caller, such as the command or a test, may replace them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence

from farebox.components.trip_example_gen.spans import Delivery
from farebox.pipeline.local.console import Output, no_output
from farebox.pipeline.local.run import Run, run_once
from farebox.pipeline.retraining import ingesting
from farebox.pipeline.retraining.ingesting import JudgedSpan
from farebox.pipeline.retraining.journal import SpanVersion
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.target import SpanInput


def run_graph(settings: Settings, run_id: str, spans: SpanInput, output: Output = no_output) -> Run:
    """Runs the whole graph on a window of spans. Raises GateError if the data are refused: there is no model then."""
    return run_once(settings, run_id, spans=spans, output=output)


@dataclasses.dataclass(frozen=True)
class Steps:
    """The functions that a tick calls.

    ingest: judges new spans. find_ingested: the span versions whose examples exist. run: runs the graph on a window.
    warn: takes a line about a notification that failed.
    """

    ingest: Callable[[Settings, str, Sequence[Delivery]], list[JudgedSpan]] = ingesting.ingest
    find_ingested: Callable[[Settings, str], set[SpanVersion]] = ingesting.find_ingested
    run: Callable[[Settings, str, SpanInput], Run] = run_graph
    warn: Callable[[str], None] = logging.getLogger("farebox").warning


DEFAULT_STEPS = Steps()  # prints nothing and redirects nothing
