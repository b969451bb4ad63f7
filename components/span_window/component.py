"""SpanWindow: the examples of a window of spans as one artifact, for nodes that take no list."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from farebox.components.span_window.executor import SpanWindowExecutor


class SpanWindowSpec(component_spec.ComponentSpec):
    """spans: any number of Examples artifacts of TripExampleGen, each of a span version."""

    PARAMETERS = {"code_digest": component_spec.ExecutionParameter(type=str)}
    INPUTS = {"spans": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class SpanWindow(base_component.BaseComponent):
    """Joins the splits, the rejected rows and the counts of the spans; files are linked if the store can link.

    Files under `examples.uri`: as TripExampleGen writes them; the names begin with span and version.
    """

    SPEC_CLASS = SpanWindowSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(SpanWindowExecutor)

    def __init__(self, spans: types.BaseChannel, code_digest: str = "") -> None:
        super().__init__(
            SpanWindowSpec(
                spans=spans, code_digest=code_digest, examples=types.Channel(type=standard_artifacts.Examples)
            )
        )
