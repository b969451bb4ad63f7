"""A Description inside a `.tflite`, as TensorFlow Lite's metadata: a flatbuffer of its own in a buffer of the model.

Fields and their numbers: metadata_schema.fbs of tensorflow/tflite-support, commit dd3362e, file identifier M001.
Android Studio's code generator, MetadataExtractor (Java, Swift) and PyPI's tflite-support read it. The facts, for which
the schema has no field, are JSON in the subgraph's description: every reader shows them as text, where a CustomMetadata
would be a list of bytes and 60 B more. No tensor has a `content`: the code generator (code_generator.cc,
android_java_generator.cc) treats a named tensor without one as a plain number, as it does FeatureProperties.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import number_types
from flatbuffers.table import Table

from farebox.components.tflite.bands import Bands, of_facts
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.flatbuffer import add_buffer, opened
from farebox.components.tflite.interpreter import column_name, schema
from farebox.components.tflite.sharing import SharingBuilder
from farebox.components.tflite.slim import packed_once

ENTRY, IDENTIFIER = b"TFLITE_METADATA", b"M001"
PARSER_VERSION = "1.0.0"  # of the schema that has every field below
WHOLE = ("int32", "int64")

# Number of each field in its table.
NAME, DESCRIPTION = 0, 1  # of a model, a subgraph and a tensor
VERSION, SUBGRAPHS, PARSER, MODEL_FIELDS = 2, 3, 7, 8
INPUTS, OUTPUTS, SUBGRAPH_FIELDS = 2, 3, 10
STATS, TENSOR_FIELDS = 5, 7
MAX, MIN, STATS_FIELDS = 0, 1, 2


def described(content: bytes, description: Description) -> bytes:
    """The same file with this description, in place of an earlier one. The inputs are sorted as the file has them.

    An input without a description gets its name. Raises ValueError if one is described that the file does not have.
    """
    model = opened(content)
    inputs, (output,) = _tensors(model)
    known = {each.name: each for each in description.inputs}
    if unknown := sorted(set(known) - {each.name for each in inputs}):
        names = ", ".join(each.name for each in inputs)
        raise ValueError(f"description.inputs={', '.join(unknown)} must be inputs of the file, got {names}")
    data = encoded(description, [known.get(each.name, each) for each in inputs], output.name)
    entry = schema().MetadataT()
    entry.name, entry.buffer = ENTRY, add_buffer(model, np.frombuffer(data, np.uint8))
    model.metadata = [each for each in model.metadata or () if each.name != ENTRY] + [entry]
    return packed_once(model)


def encoded(description: Description, inputs: Sequence[TensorDescription], output_name: str) -> bytes:
    """The flatbuffer, its root a ModelMetadata."""
    builder = SharingBuilder()
    tables = Tables(builder)
    text = builder.CreateString
    output = tables.tensor(output_name, description.output)
    subgraph = {
        INPUTS: tables.vector([tables.tensor(each.name, each) for each in inputs]),
        OUTPUTS: tables.vector([output]),
    }
    if description.facts:
        subgraph[DESCRIPTION] = text(json.dumps(dict(description.facts), separators=(",", ":"), ensure_ascii=False))
    model = {SUBGRAPHS: tables.vector([tables.table(SUBGRAPH_FIELDS, subgraph)])}
    texts = {
        NAME: description.name,
        DESCRIPTION: description.description,
        VERSION: description.version,
        PARSER: PARSER_VERSION,
    }
    model |= {field: text(value) for field, value in texts.items() if value}
    builder.Finish(tables.table(MODEL_FIELDS, model), IDENTIFIER)
    return bytes(builder.Output())


class Tables:
    """Writes tables and vectors of them into a flatbuffer; equal tables once."""

    def __init__(self, builder: SharingBuilder) -> None:
        self._builder = builder
        self._known: dict[tuple[Any, ...], int] = {}

    def table(self, n_fields: int, offsets: Mapping[int, int]) -> int:
        """A table with these offsets by the number of their field."""
        key = n_fields, tuple(sorted(offsets.items()))
        if key not in self._known:
            self._builder.StartObject(n_fields)
            for field, offset in offsets.items():
                self._builder.PrependUOffsetTRelativeSlot(field, offset, 0)
            self._known[key] = self._builder.EndObject()
        return self._known[key]

    def vector(self, offsets: Sequence[int]) -> int:
        """A vector of tables or strings."""
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def tensor(self, name: str, described_as: TensorDescription) -> int:
        """A TensorMetadata, with the bounds as Stats."""
        fields = {NAME: self._builder.CreateString(name)}
        if described_as.text:
            fields[DESCRIPTION] = self._builder.CreateString(described_as.text)
        bounds = {MAX: described_as.maximum, MIN: described_as.minimum}
        vectors = {
            field: self._builder.CreateNumpyVector(np.array([bound], np.float32))
            for field, bound in bounds.items()
            if bound is not None
        }
        if vectors:
            fields[STATS] = self.table(STATS_FIELDS, vectors)
        return self.table(TENSOR_FIELDS, fields)


def description_of(content: bytes) -> Description:
    """The file's description; without metadata, and where it tells nothing, the names and types of its tensors.

    Of several outputs, which Farebox does not ship, it tells the first. Raises ValueError for bytes that are damaged.
    """
    try:
        return _read(content)
    except (IndexError, KeyError, TypeError, AttributeError, struct.error) as error:  # of flatbuffers
        raise ValueError(f"they point to what is not there: {error}") from error


def _read(content: bytes) -> Description:
    model = opened(content)
    inputs, outputs = _tensors(model)
    output = outputs[0] if outputs else TensorDescription("")
    buffers = [model.buffers[each.buffer].data for each in model.metadata or () if each.name == ENTRY]
    if not buffers or buffers[0] is None:
        return Description(inputs=tuple(inputs), output=output)
    data = bytes(bytearray(np.asarray(buffers[0], np.uint8)))
    if data[4:8] != IDENTIFIER:
        raise ValueError(f"{ENTRY.decode()} must begin with {IDENTIFIER.decode()}, got {data[4:8]!r}")
    root = _Reader(Table(data, flatbuffers.encode.Get(flatbuffers.packer.uoffset, data, 0)))
    (subgraph,) = root.tables(SUBGRAPHS)
    facts = subgraph.text(DESCRIPTION)
    pairs = zip(inputs, subgraph.tables(INPUTS), strict=True)
    return Description(
        name=root.text(NAME),
        description=root.text(DESCRIPTION),
        version=root.text(VERSION),
        inputs=tuple(_tensor(tensor, metadata) for tensor, metadata in pairs),
        output=_tensor(output, *subgraph.tables(OUTPUTS)[:1]),
        facts=json.loads(facts) if facts.startswith("{") else {},  # another writer's words
    )


def bands_of(content: bytes) -> Bands | None:
    """The bands of a file's ranges; None without any. Raises InputError if they are damaged."""
    return of_facts(description_of(content).facts)


class _Reader:
    """A table of a flatbuffer; absent fields are empty."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def _at(self, field: int) -> int:
        """Place of a field's value, 0 if it is absent."""
        return int(self._table.Offset(4 + 2 * field))  # after the vtable's own size and the table's

    def text(self, field: int) -> str:
        at = self._at(field)
        return self._table.String(at + self._table.Pos).decode() if at else ""

    def number(self, field: int) -> float | None:
        """The first of a vector of float32, as the shortest decimal that means it."""
        at = self._at(field)
        return float(str(self._table.GetVectorAsNumpy(number_types.Float32Flags, at)[0])) if at else None

    def table(self, field: int) -> _Reader | None:
        at = self._at(field)
        return _Reader(Table(self._table.Bytes, self._table.Indirect(at + self._table.Pos))) if at else None

    def tables(self, field: int) -> list[_Reader]:
        at = self._at(field)
        if not at:
            return []
        first, length = self._table.Vector(at), self._table.VectorLen(at)
        return [_Reader(Table(self._table.Bytes, self._table.Indirect(first + 4 * i))) for i in range(length)]


def _tensor(tensor: TensorDescription, metadata: _Reader) -> TensorDescription:
    """The tensor of the graph, with what the metadata say of it."""
    stats = metadata.table(STATS)
    bounds = [stats.number(field) if stats else None for field in (MIN, MAX)]
    if tensor.dtype in WHOLE:
        bounds = [None if bound is None else int(bound) for bound in bounds]
    return TensorDescription.of_text(
        tensor.name, metadata.text(DESCRIPTION), dtype=tensor.dtype, minimum=bounds[0], maximum=bounds[1]
    )


def _tensors(model: Any) -> tuple[list[TensorDescription], list[TensorDescription]]:
    """Name and type of each input and each output of the first graph, in order."""
    graph = model.subgraphs[0]
    types = {code: name.lower() for name, code in vars(schema().TensorType).items() if isinstance(code, int)}

    def tensors(indices: Any) -> list[TensorDescription]:
        ends = (graph.tensors[int(index)] for index in indices)
        return [TensorDescription(column_name(end.name.decode()), dtype=types[end.type]) for end in ends]

    return tensors(graph.inputs), tensors(graph.outputs)
