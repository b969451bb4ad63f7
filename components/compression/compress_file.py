"""`compress` for a `.tflite`, of whatever converter."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from farebox.components.compression.file_network import FileNetwork, measured_ends
from farebox.components.compression.file_task import FileTask, OnStep
from farebox.components.compression.result import Compression
from farebox.components.compression.rows import Array, Inputs, check_finite, split_of
from farebox.components.networks.objective import Score
from farebox.components.networks.resolution import Head, resolve
from farebox.components.quantizer.native import Run, predictions
from farebox.components.quantizer.settings import Goal, QuantizerSettings

ROWS_TO_GUESS = 1000  # whose answers tell logits from probabilities


def compress_file(
    file: FileNetwork,
    rows: Mapping[str, tuple[Inputs, Array]],
    *,
    budget: float | str,
    objective: str | Score,
    metric: str,
    keep_names: bool,
    seed: int,
    on_step: OnStep,
    run: Run,
    cache: Path | None,
    optimize_for: Goal = "size",
    max_slowdown: float = QuantizerSettings.max_slowdown,
    portable: bool = False,
) -> Compression:
    """Returns the smallest file that answers as `file` does within the budget; see `compress`, rows by split."""
    splits = {place: split_of(file.inputs, place, each) for place, each in rows.items()}
    first = splits["train"]
    file, at_once = measured_ends(file, first.columns, run)
    some = {name: values[:ROWS_TO_GUESS] for name, values in first.columns.items()}
    (answers,) = run(predictions, file.content, [some], at_once)
    check_finite(file.name, answers)
    labels = np.concatenate([each.labels.reshape(len(each), -1) for each in splits.values()])
    resolution = resolve(
        Head(file.tail, file.activation),
        labels.reshape(-1, *first.labels.shape[1:]),
        answers.reshape(len(answers), *file.tail),
        objective,
        metric,
    )
    splits = {
        place: dataclasses.replace(each, labels=resolution.labels(place, each.labels)) for place, each in splits.items()
    }
    task = FileTask(
        file, splits, resolution=resolution, budget=budget, seed=seed, keep_names=keep_names, run=run,
        rows_at_once=at_once, optimize_for=optimize_for, portable=portable, cache=cache,
        max_slowdown=max_slowdown,
    )  # fmt: skip
    result = task.compressed(on_step)
    return dataclasses.replace(result, test=task.tested(result, splits["test"])) if "test" in splits else result
