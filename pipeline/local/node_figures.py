"""Key figures of a finished node in one line, read from its output artifacts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from farebox.components.device_validator.request import DEVICE_FILE
from farebox.components.model_gate.judgement import JUDGEMENT_FILE, Judgement
from farebox.components.model_gate.yardsticks import LIGHTGBM, ratio

Artifacts = Mapping[str, Any]


def key_figures(node: str, outputs: Mapping[str, list[Any]]) -> str:
    """The line for a node's outputs ({key: artifacts}); empty if there is nothing to add."""
    describe = _DESCRIBE.get(node)
    return describe({key: artifacts[0] for key, artifacts in outputs.items() if artifacts}) if describe else ""


def holds(node: str, outputs: Mapping[str, list[Any]]) -> bool:
    """Whether a node's verdict, if it gives one, is good: a gate blessed, Pusher pushed."""
    if node in ("Evaluator", "ModelGate", "DeviceValidator") and outputs.get("blessing"):
        return bool(outputs["blessing"][0].get_int_custom_property("blessed"))
    if node == "Pusher" and outputs.get("pushed_model"):
        return bool(outputs["pushed_model"][0].get_string_custom_property("pushed_destination"))
    return True


def _read(artifact: Any, name: str) -> Any:
    return json.loads((Path(artifact.uri) / name).read_text())


def named(metric: str) -> str:
    """The name of a metric as people write it."""
    return "RMSE" if metric == "rmse" else metric.replace("_", " ")


def _examples(outputs: Artifacts) -> str:
    counts = _read(outputs["examples"], "counts.json")
    left_out = f", {counts['left_out']:,} left out" if counts.get("left_out") else ""
    return f"{counts['examples']:,} of {counts['read']:,} rows are trips, {counts['rejected']:,} rejected{left_out}"


def _window(outputs: Artifacts) -> str:
    spans = json.loads(outputs["examples"].get_string_custom_property("window"))
    return f"{_examples(outputs)}; {len(spans)} spans"


def _verdict(outputs: Artifacts) -> str:
    checks = _read(outputs["verdict"], "verdict.json")
    summary = f"{sum(check['ok'] for check in checks)} of {len(checks)} checks hold"
    return "; ".join([summary, *(_aside(check) for check in checks if not check["ok"] or check["name"] == "drift")])


def _aside(check: Mapping[str, Any]) -> str:
    """A check in a few words: why data were not compared, or a warning."""
    return (
        check["detail"] if check["ok"] else f"warning: {check['name']}={check['value']:.3g}, bound {check['bound']:.3g}"
    )


def _tuning(outputs: Artifacts) -> str:
    trials = _read(outputs["tuner_results"], "tuner_results.json")  # TFX writes the best one first
    best = {name.partition(".")[2]: value for name, value in trials[0].items() if "." in name}
    values = [f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in best.items()]
    return f"best of {len(trials)} trials: eval RMSE {trials[0]['score']:.3f}, {', '.join(values)}"


def _training(outputs: Artifacts) -> str:
    training = _read(outputs["model_run"], "training.json")["network"]
    return f"{training['parameters']:,} parameters, {training['epochs']} epochs, eval RMSE {training['eval_rmse']:.3f}"


def _projection(outputs: Artifacts) -> str:
    projection = _read(outputs["projection"], "projection.json")
    kept = f"{projection['explained_variance_ratio']:.1%} of variance"
    return f"k={projection['k']} ({kept}), eval {named(projection['metric'])} {projection['eval_error']['reduced']:.3f}"


def _pruning(outputs: Artifacts) -> str:
    pruning = _read(outputs["pruning"], "pruning.json")
    error = f"eval {named(pruning['metric'])} {pruning['eval_error']['pruned']:.3f}"
    return f"{pruning['sparsity']:.1%} of weights are zero, {error}"


def _quantization(outputs: Artifacts) -> str:
    choice = _read(outputs["trials"], "choice.json")
    sizes = f"{choice['bytes']:,} B, {choice['gzip_bytes']:,} B gzip"
    error = f"eval {named(choice['metric'])} {choice['eval_error']['shipped']:.3f}"
    ranges = f"; ranges: {choice['ranges']}" if choice.get("ranges", "").startswith("none") else ""
    return f"{choice['mode']} of the {choice['network']} network: {sizes}, {error}{ranges}"


def _blessing(outputs: Artifacts) -> str:
    return "blessed" if outputs["blessing"].get_int_custom_property("blessed") else "not blessed"


def _yardsticks(outputs: Artifacts) -> str:
    judgement = Judgement.from_json(_read(outputs["blessing"], JUDGEMENT_FILE))
    to_booster = ratio(judgement.metrics["rmse"], judgement.yardsticks[LIGHTGBM])
    return f"{judgement.ratio:.2f} x the no-embedding DNN, {to_booster:.2f} x LightGBM; {_blessing(outputs)}"


def _device(outputs: Artifacts) -> str:
    measured = _read(outputs["blessing"], DEVICE_FILE)["measurements"]
    latency, trials = measured.get("latency_us"), measured.get("runtimes", ())
    runs = [trial for trial in trials if trial["result"] == "runs"]
    return (
        _blessing(outputs)
        + (f", p50 {latency['p50']:.1f} µs" if latency else "")
        + (f", runs on {len(runs)} of {len(trials)} runtimes" if trials else "")
    )


def _push(outputs: Artifacts) -> str:
    return outputs["pushed_model"].get_string_custom_property("pushed_destination") or "not pushed"


_DESCRIBE: dict[str, Callable[[Artifacts], str]] = {
    "TripExampleGen": _examples,
    "SpanGate": _verdict,
    "SpanWindow": _window,
    "DataGate": _verdict,
    "Tuner": _tuning,
    "Trainer": _training,
    "PcaReducer": _projection,
    "Pruner": _pruning,
    "Quantizer": _quantization,
    "Evaluator": _blessing,
    "ModelGate": _yardsticks,
    "DeviceValidator": _device,
    "Pusher": _push,
}
