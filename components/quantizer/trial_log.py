"""The files that tell how Quantizer chose: choice.json, trials.jsonl, sensitivity.json and pareto.png. No TFX here."""

from __future__ import annotations

import dataclasses
import json
import os

import tensorflow as tf

from farebox.components.quantizer import plots
from farebox.components.quantizer.ladder import QuantizationOutcome
from farebox.components.quantizer.settings import Goal


def write_log(
    outcome: QuantizationOutcome, objective: str, metric: str, goal: Goal, uri: str, *, ranges: str = ""
) -> None:
    """Writes the files of a QuantizationTrials artifact into the folder `uri`, which is made if needed.

    ranges: the bands of the chosen file in words, or why it has none; empty if none were asked for.
    """
    chosen = outcome.chosen
    choice = {
        "mode": chosen.rung,
        "network": chosen.network,
        "steps": chosen.steps,
        "kept_float": chosen.kept_float,
        "why": outcome.why,
        "objective": objective,
        "metric": metric,
        "bound": outcome.bound,
        "eval_error": {"unreduced": outcome.trials[0].error, "shipped": chosen.error},
        "bytes": chosen.bytes,
        "gzip_bytes": chosen.gzip_bytes,
        "optimize_for": goal,
        "ranges": ranges,
    }
    files = {
        "choice.json": json.dumps(choice, indent=2),
        "trials.jsonl": "".join(json.dumps(trial.as_json()) + "\n" for trial in outcome.trials),
        "sensitivity.json": json.dumps([dataclasses.asdict(harm) for harm in outcome.harms], indent=2),
        "pareto.png": plots.pareto(outcome.trials, outcome.bound, metric),
    }
    tf.io.gfile.makedirs(uri)
    for name, content in files.items():
        with tf.io.gfile.GFile(os.path.join(uri, name), "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
