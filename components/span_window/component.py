"""SpanWindow: the examples of a window of spans as one artifact, for nodes that take no list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from farebox.components.networks.node_settings import as_json, settings_of
from farebox.components.span_window.executor import SpanWindowExecutor
from farebox.components.span_window.settings import WindowSettings


class SpanWindowSpec(component_spec.ComponentSpec):
    """spans: any number of Examples artifacts of TripExampleGen, each of a span version.

    version: the last pushed version, on a cluster, where `spans` is one window that TripExampleGen has joined.
    settings: `WindowSettings` as JSON.
    """

    PARAMETERS = {
        "settings": component_spec.ExecutionParameter(type=str),
        "code_digest": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "spans": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "version": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class SpanWindow(base_component.BaseComponent):
    """Joins the rows, the rejected rows and the counts of the spans; files are linked if the store can link.

    Files under `examples.uri`: as TripExampleGen writes them; the names begin with span and version. If the newest span
    judges, also steps.json: by which version steps of the labels were measured, and whose labels were moved.
    """

    SPEC_CLASS = SpanWindowSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(SpanWindowExecutor)

    def __init__(
        self,
        spans: types.BaseChannel,
        settings: WindowSettings | Mapping[str, Any] | str | None = None,
        code_digest: str = "",
        version: types.BaseChannel | None = None,
    ) -> None:
        """Raises InputError or ValueError if settings cannot be used; without them each row stays in its split."""
        super().__init__(
            SpanWindowSpec(
                spans=spans,
                version=version,
                settings=as_json(settings_of(WindowSettings, settings or {}, "span_window")),
                code_digest=code_digest,
                examples=types.Channel(type=standard_artifacts.Examples),
            )
        )
