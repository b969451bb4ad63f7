"""Finds the Examples artifacts of a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.files import INGEST_PROPERTY, SPAN_PROPERTY, VERSION_PROPERTY


class SpanWindowStrategy(ResolverStrategy):
    """Resolves `spans` to the newest artifact of each span version, in order.

    spans: pairs [span, version]. ingest: TripExampleGen's digest of everything else that examples depend on. TFX's
    SpanRangeStrategy takes every version of a span, also those of older code and those that were refused.
    """

    def __init__(self, spans: Sequence[Sequence[int]], ingest: str) -> None:
        self._spans = [(span, version) for span, version in spans]
        self._ingest = ingest

    def resolve_artifacts(
        self,
        store: Any,  # noqa: ARG002 - TFX's signature
        input_dict: dict[str, list[types.Artifact]],
    ) -> dict[str, list[types.Artifact]] | None:
        """See ResolverStrategy; the only channel is spans. Raises InputError if a span version has no artifact."""
        newest: dict[tuple[int, int], types.Artifact] = {}
        for artifact in sorted(input_dict["spans"], key=lambda each: each.id):
            if artifact.get_string_custom_property(INGEST_PROPERTY) == self._ingest:
                key = (
                    artifact.get_int_custom_property(SPAN_PROPERTY),
                    artifact.get_int_custom_property(VERSION_PROPERTY),
                )
                newest[key] = artifact
        if absent := [key for key in self._spans if key not in newest]:
            raise InputError(f"window: spans {absent} must have been ingested by this code and these settings")
        return {"spans": [newest[key] for key in self._spans]}
