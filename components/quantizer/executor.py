"""Quantizer's executor: reads the artifacts, searches the ladder, writes the chosen file, the reference and the log."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

import tensorflow as tf
import tf_keras as keras
from absl import logging
from tfx import types
from tfx.dsl.components.base import base_executor

from farebox.components.networks import examples_io
from farebox.components.networks.candidates import is_same, load_candidates
from farebox.components.networks.labels import resolved
from farebox.components.networks.node_settings import settings_of
from farebox.components.networks.plain import plain_network
from farebox.components.quantizer.band_fitting import bands_of
from farebox.components.quantizer.conversion import Front, Source, calibration_rows
from farebox.components.quantizer.ladder import QuantizationOutcome, search, workplace
from farebox.components.quantizer.raw_rows import Batches, RawRows
from farebox.components.quantizer.rungs import AUTO, is_of_raw_columns
from farebox.components.quantizer.settings import REDUCED, UNREDUCED, BandSettings, QuantizerSettings
from farebox.components.quantizer.trial_log import write_log
from farebox.components.quantizer.trials import Judge
from farebox.components.tflite.bands import FACT
from farebox.components.tflite.description import Description
from farebox.components.tflite.files import serving_dir, tflite_path
from farebox.components.tflite.metadata import described
from farebox.components.trip_example_gen.files import COUNTS_FILE, DAYS


class QuantizerExecutor(base_executor.BaseExecutor):
    """Converts a network and a transform graph to one raw-input `.tflite`, with the log of its trials."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See `QuantizerSpec`."""
        settings = settings_of(QuantizerSettings, exec_properties["settings"], "quantizer")
        label, transformed_label = exec_properties["label"], exec_properties.get("transformed_label") or None
        unreduced = examples_io.load_network(input_dict["unreduced_model"][0])
        networks = networks_of(input_dict["model"][0], unreduced, settings)
        networks = {name: plain_network(network) for name, network in networks.items()}
        train, evaluation = examples_io.fitting_splits(
            input_dict, transformed_label or label, settings.batch_size, settings.seed
        )
        resolution, splits = resolved(
            networks[UNREDUCED], {"train": train, "eval": evaluation}, settings.objective, settings.metric
        )
        objective = resolution.objective
        raw = RawRows(input_dict["raw_examples"][0], input_dict["transform_graph"][0].uri, label, transformed_label)
        front = Front(raw.transform, {name: raw.dtype(name) for name in exec_properties["model_inputs"].split(",")})
        calibration = calibration_rows(
            raw.batches("train") if is_of_raw_columns(settings.mode) else examples_io.numpy_batches(splits["train"]),
            settings.calibration_rows,
        )
        file_rows = [
            (columns, resolution.labels("raw_examples, eval", labels))
            for columns, labels in at_most(raw.batches("eval"), examples_io.MAX_EVAL_ROWS)
        ]
        description = description_of(exec_properties["description"], input_dict["raw_examples"][0])
        with workplace(settings) as run:

            def prepare(network: keras.Model) -> Source:
                return Source(
                    network,
                    front,
                    calibration,
                    label,
                    non_negative=bool(exec_properties["non_negative"]),
                    description=description,
                    run=run,
                )

            outcome = search(
                networks,
                prepare=prepare,
                judge=Judge(file_rows, objective, run=run),
                train=splits["train"],
                evaluation=splits["eval"],
                settings=settings,
            )
        bands, why = bands_of(
            outcome.chosen.content,
            file_rows,
            settings_of(BandSettings, exec_properties["bands"], "bands"),
            is_of_numbers=objective.kind == "regression",
            floor=exec_properties.get("smallest_label"),
        )
        logging.info("Quantizer: ranges: %s", why)
        if bands is not None:
            with_ranges = (description or Description()).with_facts(**{FACT: bands.to_json()})
            outcome = with_content(outcome, described(outcome.chosen.content, with_ranges))
        write_file(outcome.chosen.content, output_dict["quantized_model"][0])
        write_file(outcome.trials[0].content, output_dict["reference_model"][0])
        uri = output_dict["trials"][0].uri
        write_log(outcome, resolution.text, objective.metric, settings.optimize_for, uri, ranges=why)


def networks_of(model: types.Artifact, unreduced: keras.Model, settings: QuantizerSettings) -> dict[str, keras.Model]:
    """Networks that `model` hands on, by name, and the unreduced one, last.

    It is the one network of `model` if that has no candidates or `mode` leaves no choice. By `auto` a network that
    nothing has changed is tried once, as the unreduced one.
    """
    candidates = load_candidates(model) if settings.mode == AUTO else []
    networks = {each.name or REDUCED: each.network for each in candidates}
    networks = networks or {REDUCED: examples_io.load_network(model)}
    if settings.mode == AUTO:
        networks = {name: network for name, network in networks.items() if not is_same(network, unreduced)}
    return {**networks, UNREDUCED: unreduced}


def with_content(outcome: QuantizationOutcome, content: bytes) -> QuantizationOutcome:
    """The outcome with ranges in the chosen file; its reason tells their bytes, which no other candidate has."""
    without = outcome.chosen.bytes
    outcome.chosen.set_content(content)
    why = f"{outcome.why}, before its ranges took {outcome.chosen.bytes - without:,} bytes more"
    outcome.chosen.reason = why
    return dataclasses.replace(outcome, why=why)


def description_of(text: str, examples: types.Artifact) -> Description | None:
    """The description in JSON, with the days of the rows if they have dates; None for an empty text."""
    if not text:
        return None
    counts, days = os.path.join(examples.uri, COUNTS_FILE), None
    if tf.io.gfile.exists(counts):
        with tf.io.gfile.GFile(counts) as file:
            days = json.loads(file.read()).get(DAYS)
    description = Description.from_json(text)
    return description.with_facts(days=days) if days else description


def at_most(batches: Batches, n_rows: int) -> Batches:
    """Yields batches until they hold n_rows."""
    n_seen = 0
    for columns, labels in batches:
        if n_seen >= n_rows:
            return
        n_seen += len(labels)
        yield columns, labels


def write_file(content: bytes, model: types.Artifact) -> None:
    """Writes the `.tflite` of a Model artifact."""
    tf.io.gfile.makedirs(serving_dir(model))
    with tf.io.gfile.GFile(tflite_path(model), "wb") as file:
        file.write(content)
