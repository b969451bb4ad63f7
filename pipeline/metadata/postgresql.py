"""MLMD on PostgreSQL, with a way around two faults that TFX meets there; see README.md in this folder.

1. MLMD cuts the quotes off the result of libpq's PQescapeLiteral. With a backslash, as in JSON within JSON, that result
   is ` E'...'`, and MLMD's SQL becomes a syntax error.
2. MLMD asks for no order, and PostgreSQL returns rows that were changed last at the end. TFX relies on the order that
   it asked in: from the cache it would take one output for another (portable/cache_utils.py).
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
        """Sends a request; every method of the store calls it."""
        sent = type(request)()
        sent.CopyFrom(request)
        replace_strings(sent, encode)
        super()._call(method_name, sent, response, *more)
        replace_strings(response, decode)
        sort_response(request, response)


class PostgresqlMetadata(Metadata):
    """TFX's handle of such a store. TFX still opens it itself: it tries ten times."""

    def __enter__(self) -> PostgresqlMetadata:
        super().__enter__()
        self._store.__class__ = PostgresqlStore
        return self


def sort_response(request: Message, response: Message) -> None:
    """Sorts a response in place: in the order of the request's ids, else by id. With options, MLMD itself sorts."""
    if "options" in request.DESCRIPTOR.fields_by_name and request.HasField("options"):
        return
    for name in ORDERED:
        if name in response.DESCRIPTOR.fields_by_name:
            rank = {row_id: place for place, row_id in enumerate(getattr(request, f"{name[:-1]}_ids", ()))}
            getattr(response, name).sort(key=lambda row, rank=rank: (rank.get(row.id, 0), row.id))


def encode(text: str) -> str:
    """The text without backslashes; `decode` restores it."""
    return re.sub("%(?=5C|25)", "%25", text).replace("\\", "%5C")


def decode(text: str) -> str:
    """The original of an encoded text."""
    return re.sub("%5C|%25(?=5C|25)", lambda match: "\\" if match[0] == "%5C" else "%", text)


def replace_strings(message: Message, change: Callable[[str], str]) -> None:
    """Changes every string of a message in place, except the keys of its maps."""
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
