"""The compiled graph of a run, kept in runs/<city> for the next run of the same order.

To compile a graph takes all that its executors import; to find each of its nodes in the cache takes none of it.
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

FILES = "graph-*.pb"  # of the last order: digest of the order in the name, of the content before the content
DIGEST_BYTES = hashlib.sha256().digest_size


def compiled(settings: Settings, target: Target, compile_graph: Callable[[], Pipeline]) -> Pipeline:
    """The graph of this order, from its file, or else compiled and kept. Raises InputError where the schema is none."""
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
    """Of all that a compiled graph depends on: settings, where the trips are, schema, target, our code, libraries."""
    trips = os.path.abspath(settings.data), os.path.isdir(settings.data)  # a path is another one from another folder
    inputs = (settings, trips, provenance.schema_source(settings), target)
    order = (*inputs, digest_of_all(), lane(), platform.python_version())
    return hashlib.sha256(repr(order).encode()).hexdigest()[:16]
