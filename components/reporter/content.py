"""Gathers the contents of the page from the artifacts of a run, as far as it came."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from typing import Any

import numpy as np
from tfx import types

from farebox.components.files.buckets import fileio
from farebox.components.reporter import compression, fares, statistics
from farebox.components.reporter.compression import read_json
from farebox.components.reporter.figures import COST_FILE
from farebox.components.tflite.byte_shares import byte_shares
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.tflite.metadata import bands_of
from farebox.components.trip_example_gen.columns import EXAMPLE_COLUMNS
from farebox.components.trip_example_gen.files import COUNTS_FILE, DAYS, WINDOW_PROPERTY

KB_PER_MB = 1024  # of ru_maxrss on Linux, where containers run
MOST_ROWS = 20_000  # of test, in memory
BEFORE, AFTER = "before compression", "shipped file"
LABEL_COLUMN = list(EXAMPLE_COLUMNS)[-1]

# Reporter's input that tells a node's cost, in the order of the graph.
NODE_OF = {
    "raw_examples": "TripExampleGen", "statistics": "StatisticsGen", "anomalies": "ExampleValidator",
    "verdict": "DataGate",
    "transform_graph": "Transform", "model": "Trainer", "projection": "PcaReducer", "pruning": "Pruner",
    "trials": "Quantizer", "infra_blessing": "DeviceValidator", "evaluation": "Evaluator",
    "gate_blessing": "ModelGate", "pushed_model": "Pusher",
}  # fmt: skip

Inputs = Mapping[str, types.Artifact]


def of_model(inputs: Inputs, shipped: bytes, reference: bytes, network: Any) -> dict[str, Any]:
    """The sections that need a model; shipped, reference: the files of the shipped and of the unreduced network.

    network: the shipped one, of Keras.
    """
    trips, names = judged_trips(inputs, shipped)
    files = {BEFORE: TfliteModel(reference).predict, AFTER: TfliteModel(shipped).predict}
    return {
        "fares": fares.content(trips),
        "importance": fares.importance(trips, names, files),
        "training": read_json(inputs["model_run"], "training.json"),
        "projection": compression.projection(inputs["projection"]),
        "pruning": compression.pruning(inputs["pruning"], network),
        "ladder": {**compression.ladder(inputs["trials"]), "parts": byte_shares(shipped)},
    }


def of_data(inputs: Inputs) -> dict[str, Any]:
    """The sections that need data only: their statistics, and where they come from; fewer for a refused run."""
    content: dict[str, Any] = {}
    if "statistics" in inputs:
        content["statistics"] = statistics.content(inputs["statistics"], inputs.get("baseline_statistics"))
    if found := costs(inputs):
        content["costs"] = found
    if "raw_examples" in inputs:
        content["origin"] = origin(inputs["raw_examples"])
    return content


def costs(inputs: Inputs) -> list[dict[str, Any]]:
    """CPU and elapsed seconds and memory of the nodes of a cluster's run that leave them beside Reporter's inputs, and
    what Reporter's own process took so far; empty for a local run."""
    found = [
        {"name": node, **read_json(inputs[key], COST_FILE)}
        for key, node in NODE_OF.items()
        if key in inputs and fileio.exists(os.path.join(inputs[key].uri, COST_FILE))
    ]
    return [*found, own_cost()] if found else []


def own_cost() -> dict[str, Any]:
    """The cost of this process since its start; a container runs one node. Its elapsed time is not known yet."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak_mb = usage.ru_maxrss / KB_PER_MB
    return {"name": "Reporter", "cpu_s": usage.ru_utime + usage.ru_stime, "wall_s": None, "peak_mb": peak_mb}


def origin(examples: types.Artifact) -> dict[str, Any]:
    """The spans that were ingested, the fingerprint of the files, and the first and the last day; as far as known."""
    counts = read_json(examples, COUNTS_FILE) if fileio.exists(os.path.join(examples.uri, COUNTS_FILE)) else {}
    return {
        "spans": examples.get_string_custom_property(WINDOW_PROPERTY),
        "fingerprint": examples.get_string_custom_property("input_fingerprint"),
        "days": counts.get(DAYS),
    }


def judged_trips(inputs: Inputs, shipped: bytes) -> tuple[fares.JudgedTrips, list[str]]:
    """Trips of test with the shipped file's predictions, at most MOST_ROWS of them, and the names of its inputs."""
    import tensorflow_transform as tft

    from farebox.components.networks import examples_io
    from farebox.components.networks.rows import in_memory

    spec = tft.TFTransformOutput(inputs["transform_graph"].uri).raw_feature_spec()
    batches = examples_io.dataset(inputs["raw_examples"], "test", spec, LABEL_COLUMN, examples_io.EVAL_BATCH_ROWS)
    rows = in_memory(batches, MOST_ROWS)
    model, bands = TfliteModel(shipped), bands_of(shipped)
    predicted = np.asarray(model.predict(rows.columns), np.float64).reshape(-1)
    actual = rows.labels.astype(np.float64).reshape(-1)
    n_rows = read_json(inputs["gate_blessing"], "judgement.json")["rows"]
    return fares.JudgedTrips(rows.columns, actual, predicted, bands, n_rows), list(model.input_names)
