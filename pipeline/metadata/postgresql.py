"""MLMD on PostgreSQL, which TFX cannot use as it comes, for two reasons. Here is a way around each.

1. MLMD cuts the quotes off what libpq's PQescapeLiteral returns; where there is a backslash, as in JSON within JSON,
   that is ` E'...'`, and MLMD's SQL becomes a syntax error.
2. MLMD asks for no order, and PostgreSQL returns rows that were changed last at the end. TFX takes the order that it
   asked in for granted: from the cache it would take one output for the other (portable/cache_utils.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from ml_metadata.metadata_store.metadata_store import MetadataStore
from tfx.orchestration.metadata import Metadata

ORDERED = ("artifacts", "executions", "contexts")


class PostgresqlStore(MetadataStore):
    """MLMD's store; in the database, `%5C` stands for a backslash, and `%25` for a % before `5C` or `25`."""

    def _call(self, method_name: str, request: Message, response: Message, *more: Any) -> None:
        """Every method goes through it."""
        sent = type(request)()
        sent.CopyFrom(request)
        replace_strings(sent, encode)
        super()._call(method_name, sent, response, *more)
        replace_strings(response, decode)
        put_in_order(request, response)


class PostgresqlMetadata(Metadata):
    """TFX's handle of such a store. TFX's own ways to open it are kept: it tries ten times."""

    def __enter__(self) -> PostgresqlMetadata:
        super().__enter__()
        self._store.__class__ = PostgresqlStore
        return self


def put_in_order(request: Message, response: Message) -> None:
    """Sorts a response in the order of the requested ids, else by id; MLMD itself sorts requests with options."""
    if "options" in request.DESCRIPTOR.fields_by_name and request.HasField("options"):
        return
    for name in ORDERED:
        if name in response.DESCRIPTOR.fields_by_name:
            rank = {asked: place for place, asked in enumerate(getattr(request, f"{name[:-1]}_ids", ()))}
            getattr(response, name).sort(key=lambda found, rank=rank: (rank.get(found.id, 0), found.id))


def encode(text: str) -> str:
    """A text without backslashes."""
    return re.sub("%(?=5C|25)", "%25", text).replace("\\", "%5C")


def decode(text: str) -> str:
    """The text that was encoded."""
    return re.sub("%5C|%25(?=5C|25)", lambda found: "\\" if found[0] == "%5C" else "%", text)


def replace_strings(message: Message, change: Callable[[str], str]) -> None:
    """Changes every string of a message but the keys of its maps, in place."""
    for field, value in message.ListFields():
        if isinstance(value, str):
            setattr(message, field.name, change(value))
        elif isinstance(value, Message):
            replace_strings(value, change)
        elif hasattr(value, "keys"):
            for key in list(value):
                if isinstance(value[key], Message):
                    replace_strings(value[key], change)
                elif isinstance(value[key], str):
                    value[key] = change(value[key])
        elif field.type == field.TYPE_MESSAGE:
            for element in value:
                replace_strings(element, change)
        elif field.type == field.TYPE_STRING:
            value[:] = [change(element) for element in value]
