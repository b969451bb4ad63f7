"""TripExampleGen's executor: a Beam element is a chunk of rows, not a row; reader.py does the work on rows."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.csv as pa_csv
from absl import logging
from tfx import types
from tfx.components.example_gen import write_split
from tfx.components.util import examples_utils
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils

from farebox.components.errors import InputError
from farebox.components.files import progress
from farebox.components.files.buckets import fileio
from farebox.components.trip_example_gen import reader
from farebox.components.trip_example_gen.columns import COORDINATES, PICKUP_EPOCH, PICKUP_WEEKDAY
from farebox.components.trip_example_gen.driver import custom_config
from farebox.components.trip_example_gen.files import (
    ALL_ROWS,
    COUNTS_FILE,
    DAYS,
    INGEST_PROPERTY,
    REJECTED_FOLDER,
    SOURCE_PROPERTY,
    SPAN_PROPERTY,
    TRAINED_ROWS,
    TRIP_MAP,
    WEEKDAYS,
    WINDOW_PROPERTY,
    file_prefix,
    span_of_days,
)
from farebox.components.trip_example_gen.judging.losses import Losses
from farebox.components.trip_example_gen.profile import CityProfile, profile_from_json
from farebox.components.trip_example_gen.record_files import RecordFile
from farebox.components.trip_example_gen.row_sketch import RowSketch
from farebox.components.trip_example_gen.sources.chunks import Chunk
from farebox.components.trip_example_gen.sources.reading import check_counted_once, find_files, plan_chunks
from farebox.components.trip_example_gen.sources.remote_files import file_system_of
from farebox.components.trip_example_gen.spans import SpanFiles, Window, told
from farebox.components.trip_example_gen.splits import row_hashes, splits_of
from farebox.components.trip_example_gen.trip_map import Grid, TripMap
from farebox.components.trip_example_gen.values.clock import days_of


@dataclasses.dataclass(frozen=True)
class _Job:
    """The input that the work on every chunk shares."""

    uri: str
    profile: CityProfile
    shares: dict[str, int]  # of the splits
    seed: int
    n_chunks: int
    judges: frozenset[str] | None = None  # files of the span that judges, of several; None to split all by hash
    prefixes: Mapping[str, str] = dataclasses.field(default_factory=dict)  # of the shards' names, by file of a window

    def shares_of(self, path: str) -> tuple[int, ...]:
        """The shares of the splits among a file's rows."""
        shares = tuple(self.shares.values())
        if self.judges is None:
            return shares
        return (0, *shares[1:]) if path in self.judges else (1, *(0 for _ in shares[1:]))


@dataclasses.dataclass(frozen=True)
class _Counts:
    """Rows of some chunks.

    losses: their rows by file and reason. days: of the first and the last pickup among the examples, None without
    dates. fault: the index of the first chunk that has one, and its `reader.first_fault`. trained, rows: sketches of
    the first split's rows and of all. trip_map: of the first split's. weekdays: examples by day of the week. error: the
    text of an input error, which fails the run once Beam has ended.
    """

    losses: Losses = dataclasses.field(default_factory=Losses)
    by_split: Counter[str] = dataclasses.field(default_factory=Counter)
    days: tuple[str, str] | None = None
    fault: tuple[int, str] | None = None
    trained: RowSketch | None = None
    trip_map: TripMap | None = None
    rows: RowSketch | None = None
    weekdays: Counter[int] = dataclasses.field(default_factory=Counter)
    error: str = ""


class TripExampleGenExecutor(BaseBeamExecutor):
    """Writes examples, rejected rows and counts; TripExampleGen's docstring has the file tree."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Raises InputError if nothing can be read, no row is a trip, or a split stays empty."""
        self._log_startup(input_dict, output_dict, exec_properties)
        examples = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        custom = custom_config(exec_properties)
        profile = profile_from_json(custom["profile"])
        spans: list[SpanFiles] = []
        if "window" in custom:
            source = custom["window"]["base"]
            spans = _window_spans(custom["window"], examples, exec_properties)
            files = [file for each in spans for file in each.files]
        else:
            source = custom.get(SOURCE_PROPERTY) or _input_pattern(exec_properties)
            files = _files_of(source, profile.ignore_files)
        chunks = plan_chunks(files, profile, open_file=fileio.open)
        shares = _splits(exec_properties)
        _describe(examples, tuple(shares), exec_properties)
        if INGEST_PROPERTY in custom:
            examples.set_string_custom_property(INGEST_PROPERTY, custom[INGEST_PROPERTY])
        judges = frozenset(spans[-1].files) if len(spans) > 1 and custom.get("by_time") else None
        prefixes = {file: file_prefix(each.span, each.version) for each in spans for file in each.files}
        job = _Job(examples.uri, profile, shares, custom["seed"], len(chunks), judges, prefixes)
        counts = self._write(chunks, job)
        _check(source, profile, shares, counts)

    def _write(self, chunks: list[Chunk], job: _Job) -> _Counts:
        aside = os.path.join(job.uri, "aside")
        for folder in (*(_split_folder(job.uri, split) for split in job.shares), _rejected_folder(job.uri), aside):
            fileio.makedirs(folder)
        written = functools.partial(_n_files, _split_folder(job.uri, next(iter(job.shares))))
        with progress.watched("part", len(chunks), written), self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "Chunks" >> beam.Create(chunks)
                | "Spread" >> beam.Reshuffle()
                | "Write" >> beam.Map(_write_chunk, job)
                | "Count" >> beam.CombineGlobally(_add)
                | "WriteCounts" >> beam.Map(_write_counts, job.uri)
            )
        fileio.rmtree(aside)
        return _read_counts(job.uri)


def _n_files(folder: str) -> int:
    return len(fileio.listdir(folder))


class _Shard:
    """A split's examples of a chunk: written aside, renamed when complete, so readers never see a part."""

    def __init__(self, split: str, chunk: Chunk, job: _Job) -> None:
        name = f"{write_split.DEFAULT_TF_RECORD_FILE_NAME}-{chunk.index:05d}-of-{job.n_chunks:05d}.gz"
        self._final = os.path.join(_split_folder(job.uri, split), job.prefixes.get(chunk.path, "") + name)
        self._aside = os.path.join(job.uri, "aside", uuid.uuid4().hex)
        self._file = RecordFile(self._aside)
        self.write = self._file.write

    def close(self) -> None:
        self._file.close()
        fileio.rename(self._aside, self._final, overwrite=True)


def _write_chunk(chunk: Chunk, job: _Job) -> _Counts:
    """Beam's unit of work; a repetition writes the same files again."""
    try:
        return _convert(chunk, job)
    except InputError as error:  # if it were raised, Beam would add to its text, and engines change its type
        return _Counts(error=str(error))


def _convert(chunk: Chunk, job: _Job) -> _Counts:
    shards: dict[str, _Shard] = {}
    total, is_first, grid = _Counts(), True, Grid.of(job.profile.box)
    with fileio.open(os.path.join(_rejected_folder(job.uri), f"rejected-{chunk.index:05d}.csv"), "wb") as rejected:
        for trips in reader.read_chunk(chunk, job.profile, fileio.open):
            rejected.write(_csv(trips.rejected, header=is_first))
            is_first = False
            hashes = row_hashes(trips.examples, job.seed)
            split_of = splits_of(hashes, job.shares_of(chunk.path))
            by_split: Counter[str] = Counter()
            for i, split in enumerate(job.shares):
                examples = trips.examples.filter(pa.array(split_of == i))
                if examples.num_rows:
                    if split not in shards:
                        shards[split] = _Shard(split, chunk, job)
                    shards[split].write(examples)
                    by_split[split] = examples.num_rows
            days = days_of(trips.examples.column(PICKUP_EPOCH).to_numpy()) if job.profile.columns.pickup_time else None
            text = reader.first_fault(trips, chunk)
            fault = (chunk.index, text) if text else None
            trained, rows = (RowSketch.of(some, job.seed) for some in (hashes[split_of == 0], hashes))
            counted = slice(None) if job.judges is None else split_of == 0
            weekdays = Counter(trips.examples.column(PICKUP_WEEKDAY).to_numpy()[counted].tolist())
            losses = trips.losses.with_examples(hashes, job.seed)
            trip_map = _trip_map(grid, trips.examples.filter(pa.array(split_of == 0)))
            total = _add([_Counts(losses, by_split, days, fault, trained, trip_map, rows, weekdays), total])
    for shard in shards.values():
        shard.close()
    return total


def _trip_map(grid: Grid, examples: pa.Table) -> TripMap:
    return TripMap.of(grid, {name: examples.column(name).to_numpy() for name in COORDINATES})


def _csv(table: pa.Table, header: bool) -> bytes:
    sink = pa.BufferOutputStream()
    pa_csv.write_csv(table, sink, pa_csv.WriteOptions(include_header=header))
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _add(counts: Iterable[_Counts]) -> _Counts:
    """The sum, with the alphabetically first error."""
    parts = list(counts)
    return _Counts(
        losses=Losses.sum(part.losses for part in parts),
        by_split=sum((part.by_split for part in parts), Counter()),
        days=span_of_days(part.days for part in parts),
        fault=min((part.fault for part in parts if part.fault), default=None),
        trained=RowSketch.union(part.trained for part in parts if part.trained),
        trip_map=TripMap.union(part.trip_map for part in parts if part.trip_map),
        rows=RowSketch.union(part.rows for part in parts if part.rows),
        weekdays=sum((part.weekdays for part in parts), Counter()),
        error=min((part.error for part in parts if part.error), default=""),
    )


def _write_counts(counts: _Counts, uri: str) -> None:
    totals = {
        **counts.losses.to_json(),
        "by_split": counts.by_split,
        DAYS: counts.days,
        "fault": counts.fault,
        TRAINED_ROWS: counts.trained.to_json() if counts.trained else None,
        TRIP_MAP: counts.trip_map.to_json() if counts.trip_map else None,
        ALL_ROWS: counts.rows.to_json() if counts.rows else None,
        WEEKDAYS: [counts.weekdays[day] for day in range(7)],
        "error": counts.error,
    }
    with fileio.open(os.path.join(uri, COUNTS_FILE), "w") as file:
        file.write(json.dumps(totals, indent=2, sort_keys=True) + "\n")


def _read_counts(uri: str) -> _Counts:
    """The counts that the Beam pipeline wrote: an engine's workers share only files with this process."""
    with fileio.open(os.path.join(uri, COUNTS_FILE)) as file:
        totals = json.loads(file.read())
    fault = tuple(totals["fault"]) if totals["fault"] else None
    return _Counts(Losses.from_json(totals), Counter(totals["by_split"]), fault=fault, error=totals["error"])


def _check(source: str, profile: CityProfile, splits: Iterable[str], counts: _Counts) -> None:
    if counts.error:
        raise InputError(counts.error)
    total, n_examples = counts.losses.total, counts.by_split.total()
    reader.check_usable(source, profile, counts.losses, fault=counts.fault[1] if counts.fault else "")
    if total.read != n_examples + total.rejected + total.left_out:
        raise ValueError(
            f"rows in={total.read} must be examples={n_examples} + rejected={total.rejected} + left out="
            f"{total.left_out}"
        )
    for split in splits:
        if not counts.by_split[split]:
            raise InputError(f"{source}: split {split} got none of {n_examples} examples, give more trips")
    logging.info(
        "TripExampleGen: %d rows read, %d examples %s, %d left out, %d rejected %s",
        total.read, n_examples, dict(counts.by_split), total.left_out, total.rejected, dict(total.reasons),
    )  # fmt: skip


def _describe(examples: types.Artifact, splits: tuple[str, ...], exec_properties: dict[str, Any]) -> None:
    """Sets the properties that readers of the artifact need, as TFX's own ExampleGen does."""
    examples.split_names = artifact_utils.encode_split_names(list(splits))
    payload_format = exec_properties[standard_component_specs.OUTPUT_DATA_FORMAT_KEY]
    file_format = exec_properties[standard_component_specs.OUTPUT_FILE_FORMAT_KEY]
    examples_utils.set_payload_format(examples, payload_format)
    examples_utils.set_file_format(examples, write_split.to_file_format_str(file_format))


def _input_pattern(exec_properties: dict[str, Any]) -> str:
    """The glob pattern of the files; the driver has already put span and version into it."""
    input_config = proto_utils.json_to_proto(
        exec_properties[standard_component_specs.INPUT_CONFIG_KEY], example_gen_pb2.Input()
    )
    base: str = exec_properties[standard_component_specs.INPUT_BASE_KEY]
    return os.path.join(base, input_config.splits[0].pattern)


def _files_of(source: str, ignore: Sequence[str]) -> list[str]:
    file_system = file_system_of(source)
    files = find_files(source, ignore, file_system)
    check_counted_once(files, fileio.open, lambda path: file_system.size_and_time(path)[0])
    return files


def _window_spans(window: dict[str, Any], examples: types.Artifact, exec_properties: dict[str, Any]) -> list[SpanFiles]:
    """The window's spans with their files; sets the artifact's span and window, as SpanWindow does."""
    limits = [int(exec_properties.get(name, -1)) for name in ("first_span", "last_span")]
    first, last = (None if limit < 0 else limit for limit in limits)
    file_system = file_system_of(window["base"])
    spans, survey = Window(**window).spans(first, last, time.time(), file_system)
    for line in told(survey.left):
        logging.warning("TripExampleGen: %s", line)
    for each in spans:
        check_counted_once(each.files, fileio.open, lambda path: file_system.size_and_time(path)[0])
    examples.set_int_custom_property(SPAN_PROPERTY, spans[-1].span)
    examples.set_string_custom_property(WINDOW_PROPERTY, json.dumps([[each.span, each.version] for each in spans]))
    logging.info("TripExampleGen: spans %s", [(each.span, each.version) for each in spans])
    return spans


def _splits(exec_properties: dict[str, Any]) -> dict[str, int]:
    """The splits' names and shares, in order."""
    output_config = proto_utils.json_to_proto(
        exec_properties[standard_component_specs.OUTPUT_CONFIG_KEY], example_gen_pb2.Output()
    )
    return {split.name: split.hash_buckets for split in output_config.split_config.splits}


def _split_folder(uri: str, split: str) -> str:
    return os.path.join(uri, f"Split-{split}")


def _rejected_folder(uri: str) -> str:
    return os.path.join(uri, REJECTED_FOLDER)
