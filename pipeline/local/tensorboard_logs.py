"""TensorBoard's logs of a run: learning curves, errors, sizes, times and gates.

Lane B has no TensorBoard and a cached run imports no TensorFlow, so the few messages are encoded here.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c

from farebox.components.reporter.figures import Figures

if TYPE_CHECKING:
    from farebox.pipeline.local.meter import Cost

TENSORBOARD, EVENTS_FILE = "tensorboard", "events.out.tfevents.0.farebox"
TRAINING_FILE, RUN = "training.json", "run"
Scalars = list[tuple[str, int, float]]  # tag, step, value


def write(folder: Path, figures: Figures, produced: Mapping[str, list[Any]], costs: Mapping[str, Cost]) -> None:
    """Writes FOLDER/tensorboard: a log a trained network, whose steps are epochs, and `run` for the run's figures.

    folder: of the run. produced: its artifacts by key; a run that a gate stopped has fewer.
    """
    for name, scalars in scalars_by_log(figures, produced, costs).items():
        if scalars:
            shutil.rmtree(folder / TENSORBOARD / name, ignore_errors=True)
            _write_events(folder / TENSORBOARD / name, scalars)


def scalars_by_log(
    figures: Figures, produced: Mapping[str, list[Any]], costs: Mapping[str, Cost]
) -> dict[str, Scalars]:
    """The finite numbers of a run by log: RUN for its figures, and a log a trained network."""
    logs = {RUN: [*_figures(figures), *_costs(costs)], **_curves(produced)}
    return {
        name: [each for each in scalars if isinstance(each[2], (int, float)) and math.isfinite(each[2])]
        for name, scalars in logs.items()
    }


def _curves(produced: Mapping[str, list[Any]]) -> dict[str, Scalars]:
    """The eval RMSE after each epoch, by trained network."""
    if not produced.get("model_run"):
        return {}
    training = json.loads((Path(produced["model_run"][0].uri) / TRAINING_FILE).read_text())
    return {
        name: [("eval_rmse", epoch, value) for epoch, value in enumerate(record["curve"], start=1)]
        for name, record in training.items()
        if isinstance(record, dict) and record.get("curve")
    }


def _figures(figures: Figures) -> Iterator[tuple[str, int, float]]:
    for check in figures.gates:
        yield f"gates/{check.name}", 0, check.value
    if (measured := figures.measured) is None:
        return
    for stage, value in dataclasses.asdict(measured.rmse).items():
        yield f"test_rmse/{stage}", 0, value
    for name in ("mae", "bias", "p95_absolute_error"):
        yield f"shipped_file/{name}", 0, getattr(measured, name)
    for name in ("bytes", "gzip_bytes", "parameters", "sparsity"):
        yield f"shipped_file/{name}", 0, getattr(measured.model, name)
    for name, value in vars(measured.latency_us).items() if measured.latency_us else ():
        yield f"shipped_file/latency_us_{name}", 0, value
    for name, value in vars(measured.rows).items():
        yield f"rows/{name}", 0, value


def _costs(costs: Mapping[str, Cost]) -> Iterator[tuple[str, int, float]]:
    for node, cost in costs.items():
        yield f"cpu_s/{node}", 0, cost.cpu_s
        yield f"peak_mb/{node}", 0, cost.peak_mb


def _write_events(folder: Path, scalars: Scalars) -> None:
    """One file of events."""
    events = [_field(3, b"brain.Event:2")]  # file_version
    for tag, step, value in scalars:
        number = _key(2, 5) + struct.pack("<f", value)  # simple_value
        summary = _field(1, _field(1, tag.encode()) + number)
        events.append(_key(2, 0) + _varint(step) + _field(5, summary))
    folder.mkdir(parents=True)
    (folder / EVENTS_FILE).write_bytes(b"".join(map(_record, events)))


def _record(content: bytes) -> bytes:
    """A TFRecord: length, its checksum, content, its checksum (tensorflow/core/lib/io/record_writer.h)."""
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    crc = google_crc32c.value(content)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes, a text or a message, as tensorflow/core/util/event.proto numbers them."""
    return _key(number, 2) + _varint(len(content)) + content


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
