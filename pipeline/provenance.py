"""What is known of a run before it starts, for the manifest of the model that it pushes; all of it is a cache key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.trip_example_gen.schema import schema_text
from pipeline.doctor import lane
from pipeline.settings import Settings


def schema_source(settings: Settings) -> str:
    """The city's curated schema, or the one that its bounds give, as text. Raises InputError where a file is none."""
    if settings.schema is None:
        return schema_text(settings.city)
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    text = Path(settings.schema).read_text()
    try:
        text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        raise InputError(f"{settings.schema}: must be a schema in text format, {error}") from error
    return text


def manifest(settings: Settings, code_sha256: Mapping[str, str], spans: Sequence[int] = ()) -> dict[str, Any]:
    """City, lane, spans where trips come in spans, and digests (SHA-256) of the schema and of our code by node."""
    return {
        **({"spans": list(spans)} if spans else {}),
        "city": settings.city.name,
        "lane": lane(),
        "schema_sha256": hashlib.sha256(schema_source(settings).encode()).hexdigest(),
        "code_sha256": dict(code_sha256),
    }
