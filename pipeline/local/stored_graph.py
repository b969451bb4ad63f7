"""The compiled graph of a run, kept in runs/<city> for the next run with the same inputs.

Compiling a graph imports all that its executors import; finding each node in the cache imports none of it.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable

from google.protobuf.message import DecodeError
from tfx.proto.orchestration.pipeline_pb2 import Pipeline

from farebox.components.files import write_atomically
from farebox.pipeline import provenance
from farebox.pipeline.provenance import digest_of_all, lane
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.target import Target

FILES = "graph-*.pb"  # the name holds a digest of the inputs, the first bytes a digest of the rest
DIGEST_BYTES = hashlib.sha256().digest_size


def compiled(settings: Settings, target: Target, compile_graph: Callable[[], Pipeline]) -> Pipeline:
    """The graph from its file, or else compiled and stored. Raises InputError if the schema cannot be parsed."""
    path = settings.runs_dir / FILES.replace("*", digest_of(settings, target))
    try:
        content = path.read_bytes()
        digest, encoded = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if digest == hashlib.sha256(encoded).digest():
            return Pipeline.FromString(encoded)
    except (FileNotFoundError, DecodeError):
        pass
    graph = compile_graph()
    encoded = graph.SerializeToString(deterministic=True)
    for other in settings.runs_dir.glob(FILES):
        other.unlink(missing_ok=True)
    write_atomically(path, hashlib.sha256(encoded).digest() + encoded)
    return graph


def digest_of(settings: Settings, target: Target) -> str:
    """Digest of all that a compiled graph depends on: settings, place of the trips, schema, target, code, libraries."""
    trips = (
        os.path.abspath(settings.data),
        os.path.isdir(settings.data),
    )  # the same relative path differs from folder to folder
    inputs = (settings, trips, provenance.schema_source(settings), target)
    order = (*inputs, digest_of_all(), lane(), platform.python_version())
    return hashlib.sha256(repr(order).encode()).hexdigest()[:16]
