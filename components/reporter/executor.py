"""Reporter's work on artifacts: gathers the figures of a run from the artifacts of every node, and writes the page."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor

from farebox.components.atomic_pusher.executor import HOOK_FILE, REFUSAL_FILE
from farebox.components.device_validator.request import DEVICE_FILE
from farebox.components.device_validator.runtimes.table import trials_from_json
from farebox.components.errors import Check, fault_of
from farebox.components.evaluator.metrics import COVERAGE, RANGE_WIDTH
from farebox.components.files.artifact_json import write_json
from farebox.components.model_gate.judgement import JUDGEMENT_FILE, Judgement
from farebox.components.model_gate.yardsticks import LINEAR_ON_DISTANCE, PREDICT_MEAN, RAW_DNN
from farebox.components.networks import examples_io
from farebox.components.networks.candidates import load_candidates
from farebox.components.quantizer.settings import REDUCED
from farebox.components.reporter import content
from farebox.components.reporter.compression import read_json
from farebox.components.reporter.figures import (
    CONTENT_FILE,
    FAULT,
    FIGURES_FILE,
    PAGE_FILE,
    Figures,
    FileSize,
    Latency,
    ModelFigures,
    RangeFigures,
    Rows,
    ShippedModel,
    StageRmse,
)
from farebox.components.reporter.page.render import About, Page, render, render_sections
from farebox.components.tflite import interpreter
from farebox.components.tflite.bands import Bands
from farebox.components.tflite.files import FARE_FILE, gzip_bytes, tflite_path
from farebox.components.tflite.metadata import bands_of
from farebox.components.trip_example_gen.files import COUNTS_FILE
from farebox.components.trip_example_gen.judging.losses import Losses


class ReporterExecutor(base_executor.BaseExecutor):
    """Reads the artifacts of every other node and writes figures.json, content.json and report.html."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `ReporterSpec`."""
        inputs = {name: artifacts[0] for name, artifacts in input_dict.items() if artifacts}
        (report,) = output_dict["report"]
        sections = sections_of(inputs)
        figures = figures_of(inputs, exec_properties["label"])
        median = sections.get("fares", {}).get("median_absolute_error")
        figures = dataclasses.replace(
            figures, measured=figures.measured and dataclasses.replace(figures.measured, median_absolute_error=median)
        )
        write_json(report, FIGURES_FILE, figures.to_json())
        about = About(
            **json.loads(exec_properties["about"]), run_id=run_of(self._context), date=datetime.date.today().isoformat()
        )
        page = drawn(Page(figures=figures, sections=sections, about=about))
        for name, text in ((CONTENT_FILE, json.dumps(sections)), (PAGE_FILE, page)):
            with tf.io.gfile.GFile(os.path.join(report.uri, name), "w") as file:
                file.write(text)
        logging.info("Reporter: %s", figures.measured and figures.measured.rmse)


def sections_of(inputs: dict[str, types.Artifact]) -> dict[str, Any]:
    """The contents of the page; FAULT alone, whose traceback is in the log, if they cannot be gathered."""
    try:
        shipped, reference = (read_tflite(inputs[name]) for name in ("quantized_model", "reference_model"))
        network, _ = network_of(read_json(inputs["trials"], "choice.json")["network"], inputs)
        return {**content.of_data(inputs), **content.of_model(inputs, shipped, reference, network)}
    except Exception as error:  # whatever it is: the model is pushed, and the run goes on to its figures
        logging.exception("Reporter: the contents of the page could not be gathered")
        return {FAULT: fault_of(error)}


def drawn(page: Page) -> str:
    """The page as HTML; one that says why there is none, with a traceback in the log, if it cannot be drawn."""
    fault = page.sections.get(FAULT)
    try:
        if fault is None:
            return render(page)
    except Exception as error:  # as above
        logging.exception("Reporter: the page could not be drawn")
        fault = fault_of(error)
    lead = f"The page of this run could not be drawn: {fault}. The run itself is complete; its log has the details."
    return render_sections(page.about, "Report", lead, ())


def run_of(context: Any) -> str:
    """The pipeline run in an executor's context, or the task's own id where the orchestrator tells only that."""
    run = getattr(context, "pipeline_run_id", None) or getattr(context, "_unique_id", None)
    return str(run or "")


def figures_of(inputs: dict[str, types.Artifact], label: str) -> Figures:
    """The figures from the artifacts of `ReporterSpec.INPUTS`; `label` is a transformed feature."""
    judgement = Judgement.from_json(read_json(inputs["gate_blessing"], JUDGEMENT_FILE))
    device = read_json(inputs["infra_blessing"], DEVICE_FILE)
    pushed = inputs["pushed_model"]
    data_checks, device_checks = checks_of(read_json(inputs["verdict"], "verdict.json")), checks_of(device["checks"])
    return Figures(
        measured=measured(inputs, label, judgement, device["measurements"]),
        gates=(*data_checks, *judgement.checks, *device_checks, *checks_of_push(pushed)),
        blessed=bool(inputs["gate_blessing"].get_int_custom_property("blessed")) and device["blessed"],
        pushed=pushed.get_string_custom_property("pushed_destination") or None,
        losses=Losses.from_json(read_json(inputs["raw_examples"], COUNTS_FILE)),
    )


def measured(
    inputs: dict[str, types.Artifact], label: str, judgement: Judgement, device: Mapping[str, Any]
) -> ModelFigures:
    """Measurements of the data and of the model; device: DeviceValidator's."""
    counts = read_json(inputs["raw_examples"], COUNTS_FILE)
    yardsticks, metrics = judgement.yardsticks, judgement.metrics
    return ModelFigures(
        rows=Rows(counts["read"], counts["examples"], counts["rejected"], counts.get("left_out", 0)),
        yardsticks=yardsticks,
        yardstick_intervals=judgement.yardstick_intervals,
        yardstick_ratios=judgement.yardstick_ratios,
        rmse=StageRmse(
            predict_mean=yardsticks[PREDICT_MEAN],
            linear_on_distance=yardsticks[LINEAR_ON_DISTANCE],
            raw_dnn=yardsticks[RAW_DNN],
            **network_errors(inputs, label),
            shipped=metrics["rmse"],
        ),
        mae=metrics["mae"],
        bias=metrics["bias"],
        p95_absolute_error=metrics["p95_absolute_error"],
        intervals=judgement.intervals,
        baseline=judgement.baseline,
        slices=judgement.slices,
        tuned=read_json(inputs["model_run"], "training.json")["tuned"],
        model=shipped_model(inputs),
        unreduced=size_of(read_tflite(inputs["reference_model"])),
        ranges=range_figures(bands_of(read_tflite(inputs["quantized_model"])), metrics),
        latency_us=Latency(**device["latency_us"]) if device.get("latency_us") else None,
        runtimes=trials_from_json(device.get("runtimes", ())),
        machine=device.get("machine", ""),
    )


def range_figures(bands: Bands | None, metrics: Mapping[str, float]) -> RangeFigures | None:
    """Promised and measured coverage of the bands; metrics: ModelGate's."""
    if bands is None:
        return None
    return RangeFigures(len(bands), bands.coverage, metrics[COVERAGE], metrics[RANGE_WIDTH])


def checks_of(checks: Iterable[Mapping[str, Any]]) -> list[Check]:
    """Checks from their JSON form."""
    return [Check(**check) for check in checks]


def checks_of_push(pushed: types.Artifact) -> list[Check]:
    """Pusher's own checks if Pusher itself refused, or of its hook; empty if an earlier gate refused."""
    names = [name for name in (REFUSAL_FILE, HOOK_FILE) if tf.io.gfile.exists(os.path.join(pushed.uri, name))]
    return [check for name in names for check in checks_of(read_json(pushed, name))]


def network_errors(inputs: dict[str, types.Artifact], label: str) -> dict[str, float]:
    """RMSE on the test split of the float network at each stage."""
    spec = examples_io.transformed_feature_spec(inputs["transform_graph"])
    test = examples_io.dataset(inputs["examples"], "test", spec, label, examples_io.EVAL_BATCH_ROWS)
    stages = {"engineered": "model", "reduced": "reduced_model", "pruned": "pruned_model"}
    return {
        stage: examples_io.network_error(examples_io.load_network(inputs[key]), test).error
        for stage, key in stages.items()
    }


def shipped_path(inputs: dict[str, types.Artifact]) -> str:
    """Path of the pushed file, or of the judged file if nothing was pushed; both have the same bytes."""
    pushed = inputs["pushed_model"].get_string_custom_property("pushed_destination")
    return os.path.join(pushed, FARE_FILE) if pushed else tflite_path(inputs["quantized_model"])


def shipped_model(inputs: dict[str, types.Artifact]) -> ShippedModel:
    """The shipped file and its network; k is None if Quantizer chose one that PcaReducer did not narrow."""
    choice = read_json(inputs["trials"], "choice.json")
    network, k = network_of(choice["network"], inputs)
    file = read_tflite(inputs["quantized_model"])
    size = size_of(file)
    return ShippedModel(
        path=shipped_path(inputs),
        parameters=network.count_params(),
        sparsity=sum(int(np.sum(weight == 0.0)) for weight in network.get_weights()) / network.count_params(),
        k=k,
        mode=choice["mode"],
        network=choice["network"],
        steps=tuple(choice["steps"]),
        sha256=hashlib.sha256(file).hexdigest(),
        bytes=size.bytes,
        gzip_bytes=size.gzip_bytes,
        ops=interpreter.TfliteModel(file).op_names(),
    )


def network_of(name: str, inputs: dict[str, types.Artifact]) -> tuple[Any, int | None]:
    """The network that Quantizer names, and its k."""
    for candidate in load_candidates(inputs["pruned_model"]):
        if candidate.name == name:
            return candidate.network, candidate.k
    if name == REDUCED:
        return examples_io.load_network(inputs["pruned_model"]), read_json(inputs["projection"], "projection.json")["k"]
    return examples_io.load_network(inputs["model"]), None


def read_tflite(model: types.Artifact) -> bytes:
    """The `.tflite` of a Model artifact."""
    with tf.io.gfile.GFile(tflite_path(model), "rb") as file:
        model_bytes: bytes = file.read()
    return model_bytes


def size_of(file: bytes) -> FileSize:
    """Size of a file."""
    return FileSize(len(file), gzip_bytes(file))
