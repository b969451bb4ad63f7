"""The model card of a version: for whom the model is, what it was made from, how well it does and where not.

model_card.json follows model_card.schema.json v0.0.2 of PyPI's model-card-toolkit 2.0.0; model_card.md says the same
for people. No TFX here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from farebox.components.atomic_pusher.card_words import CardWords

CARD_SCHEMA = "0.0.2"
# Metrics of judgement.json that a card shows, with what a reader needs to know; None: in the label's unit.
METRICS = {
    "rmse": ("RMSE", None),
    "mae": ("mean absolute error", None),
    "bias": ("mean error, prediction minus {label}", None),
    "p95_absolute_error": ("95 % of the errors are at most", None),
    "coverage": ("share of {labels} in their range", ""),
    "range_width": ("mean width of the range", None),
}
SLICE_METRICS = ("rmse", "bias", "coverage")
# What a metric cannot be below or above; an interval by a jackknife may end beyond it.
LIMITS = {"bias": (-math.inf, math.inf), "coverage": (0.0, 1.0)}

Card = dict[str, Any]


def model_card(
    manifest: Mapping[str, Any],
    judgement: Mapping[str, Any],
    density: Mapping[str, Any] | None,
    *,
    contact: str | None,
    min_rows: int,
    words: CardWords = CardWords(),  # noqa: B008 - frozen
) -> Card:
    """The card's content by the schema's keys.

    manifest: of the version, as `manifest.describe` returns it. judgement: of these bytes, empty without one. density:
    the content of density.json. min_rows: slices of fewer trips are left out. words: of the use.
    """
    unit = str(manifest.get("output", {}).get("unit", ""))
    city = str(manifest["city"])
    words = words.filled(city, _in(unit))
    return {
        "schema_version": CARD_SCHEMA,
        "model_details": {
            "name": words.name,
            "overview": words.overview,
            "documentation": "Inputs, their order, units and bounds stand in the file's own metadata. "
            + str(manifest.get("facts", {}).get("description", "")),
            **({"owners": [{"name": contact, "contact": contact}]} if contact else {}),
            "version": {"name": str(manifest["sha256"])[:12], "date": str(manifest["created"])[:10]},
        },
        "model_parameters": _parameters(manifest, judgement),
        "quantitative_analysis": {"performance_metrics": list(_metrics(judgement, unit, min_rows, words))},
        "considerations": {
            "users": _texts([words.users]),
            "use_cases": _texts([words.use]),
            "limitations": _texts(
                [*_scope(manifest, city, words), *_weak(judgement, unit, min_rows), *_few_trips(density)]
            ),
            "tradeoffs": _texts(_tradeoffs(manifest)),
            "ethical_considerations": list(_risks(density, words)),
        },
    }  # fmt: skip


def as_json(card: Card) -> bytes:
    """The content of model_card.json."""
    return (json.dumps(card, indent=1) + "\n").encode()


def as_markdown(card: Card) -> bytes:
    """The content of model_card.md."""
    details, parameters, considered = card["model_details"], card["model_parameters"], card["considerations"]
    metrics = card["quantitative_analysis"]["performance_metrics"]
    owners = [each["contact"] for each in details.get("owners", ())] or ["not given: push.contact"]
    lines = [
        f"# {details['name']}",
        details["overview"],
        f"Version {details['version']['name']}, {details['version']['date']}. {parameters['model_architecture']}",
        f"Contact: {owners[0]}",
        *_list("For whom", considered["users"]),
        *_list("Intended use", considered["use_cases"]),
        *_list("Out of scope and limits", considered["limitations"]),
        *_list("Costs on a device", considered["tradeoffs"]),
        "## Data",
        *(f"- **{each['name']}**: {each['description']}" for each in parameters["data"]),
        "## Inputs",
        *_table(("name", "meaning"), [(each["key"], each["value"]) for each in parameters["input_format_map"]]),
        f"\nOutput: {parameters['output_format']}",
        "## How well",
        *_table(("metric", "trips", "value", "95 % interval"), map(_metric_row, metrics)),
        "## Risks",
        *(f"- **{each['name']}**: {each['mitigation_strategy']}" for each in considered["ethical_considerations"]),
    ]  # fmt: skip
    return ("\n".join(f"\n{line}\n" if line.startswith("## ") else line for line in lines) + "\n").encode()


def _parameters(manifest: Mapping[str, Any], judgement: Mapping[str, Any]) -> dict[str, Any]:
    days = manifest.get("facts", {}).get("days")
    spans = manifest.get("spans", ())
    when = f"Trips of {days[0]} to {days[1]}" if days else "Trips without dates"
    among = f", spans {', '.join(map(str, spans))}" if spans else ""
    sensitive = {"sensitive_data": ["Places and times of trips. No single trip stands in the file or beside it."]}
    test = f"{judgement['rows']:,} trips that nothing was fitted to or chosen by." if judgement.get("rows") else "None."
    return {
        "model_architecture": f"Features and a small dense network in one TensorFlow Lite file of "
        f"{manifest['bytes']:,} bytes, {manifest['gzip_bytes']:,} compressed.",
        "data": [
            {"name": "train", "description": f"{when}{among}: the train split.", "sensitive": sensitive},
            {"name": "test", "description": test},
        ],
        "input_format_map": [
            {"key": each["name"], "value": _described(each)} for each in manifest.get("inputs", ())
        ],
        "output_format": _described(manifest.get("output", {})),
    }  # fmt: skip


def _described(tensor: Mapping[str, Any]) -> str:
    bounds = [f"{tensor['minimum']:g} to {tensor['maximum']:g}"] if {"minimum", "maximum"} <= set(tensor) else []
    unit = f"[{tensor['unit']}]" if tensor.get("unit") else ""
    words = " ".join(filter(None, (tensor.get("meaning"), unit)))
    return ", ".join(filter(None, (words, *bounds, tensor.get("dtype"))))


def _metrics(judgement: Mapping[str, Any], unit: str, min_rows: int, words: CardWords) -> Iterable[dict[str, Any]]:
    """Metrics over all trips with their intervals, then those of slices."""
    metrics, intervals = judgement.get("metrics", {}), judgement.get("intervals", {})
    for name in (name for name in METRICS if metrics.get(name) is not None):
        yield _metric(name, _type(name, unit, words), metrics[name], intervals.get(name))
    for each in _slices(judgement, min_rows):
        label = f"{each['slice']} ({each['rows']:,} trips)"
        for name in (name for name in SLICE_METRICS if each.get(name) is not None):
            interval = each.get("intervals", {}).get(name)
            yield {"slice": label, **_metric(name, _type(name, unit, words), each[name], interval)}


def _metric(name: str, kind: str, value: float, interval: Sequence[float] | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": kind, "value": _number(value)}
    if interval:
        least, most = LIMITS.get(name, (0.0, math.inf))
        low, high = (_number(min(max(end, least), most)) for end in interval)
        entry["confidence_interval"] = {"lower_bound": low, "upper_bound": high}
    return entry


def _slices(judgement: Mapping[str, Any], min_rows: int) -> list[Mapping[str, Any]]:
    """Slices with enough rows by feature, hours and other whole numbers in their order."""
    large = [each for each in judgement.get("slices", ()) if each["rows"] >= min_rows]
    return sorted(large, key=lambda each: re.sub(r"=(\d+)$", lambda found: f"={int(found[1]):9}", each["slice"]))


def _type(name: str, unit: str, words: CardWords) -> str:
    meaning, own = METRICS[name]
    return meaning.format(label=words.label, labels=words.labels) + _in(unit if own is None else own)


def _scope(manifest: Mapping[str, Any], city: str, words: CardWords) -> Iterable[str]:
    inputs = {each["name"]: each for each in manifest.get("inputs", ())}
    box = [each for name, each in inputs.items() if name.startswith("pickup_l") and "minimum" in each]
    if box:
        bounds = " and ".join(f"{each['minimum']:g} to {each['maximum']:g} ({each['meaning']})" for each in box)
        yield f"Out of scope: places outside {bounds}, and other cities than {city}."
    if days := manifest.get("facts", {}).get("days"):
        yield f"Out of scope: trips before {days[0]}. A year after {days[1]} {words.labels} may have changed: retrain."
    yield f"Out of scope: {words.out_of_scope}"


def _weak(judgement: Mapping[str, Any], unit: str, min_rows: int) -> Iterable[str]:
    worst = sorted(_slices(judgement, min_rows), key=lambda each: -float(each["rmse"]))[:3]
    if worst:
        named = "; ".join(f"{each['slice']} {_number(each['rmse'])} ({each['rows']:,} trips)" for each in worst)
        yield f"Largest RMSE by slice{_in(unit)}: {named}. Look at the intervals: a slice of few trips says little."


def _few_trips(density: Mapping[str, Any] | None) -> Iterable[str]:
    if density is None:
        yield "Where the model has seen few trips is not published with this version."
        return
    cells = density["grid"]["columns"] * density["grid"]["rows"]
    begin, end = (len(density[name][0]) for name in ("pickups", "dropoffs"))
    yield (
        f"Areas with few trips: at least {density['min_trips']} trips of training begin in {begin:,} and end in "
        f"{end:,} of the {cells:,} cells of density.json; elsewhere the model knows little."
    )


def _tradeoffs(manifest: Mapping[str, Any]) -> Iterable[str]:
    runs = [each for each in manifest.get("runtimes", ()) if each.get("result") == "runs"]
    if runs:
        named = ", ".join(f"{each['title']} {each['version']}" for each in runs)
        yield f"Tried in {named}."
    yield "Compressed: accuracy was given up for bytes and time within the budget of the run's settings."


def _risks(density: Mapping[str, Any] | None, words: CardWords) -> Iterable[dict[str, str]]:
    shown = f"density.json shows no cell of fewer than {density['min_trips']} trips. " if density else ""
    yield {
        "name": f"Privacy of {words.people}",
        "mitigation_strategy": f"The file takes no identity and holds no trip. {shown}manifest.json keeps a sketch of "
        "hashes of training rows, which tells whether a row that one already has was among them.",
    }
    yield {
        "name": f"{words.labels.capitalize()} that are less exact in some areas",
        "mitigation_strategy": "Errors by area, hour and distance stand above; gates refuse a version whose slices are "
        "worse than the settings allow.",
    }


def _metric_row(metric: Mapping[str, Any]) -> tuple[str, str, str, str]:
    interval = metric.get("confidence_interval")
    words = f"{interval['lower_bound']} to {interval['upper_bound']}" if interval else ""
    return metric["type"], metric.get("slice", "all"), metric["value"], words


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _list(title: str, entries: Iterable[Mapping[str, str]]) -> list[str]:
    return [f"## {title}", *(f"- {each['description']}" for each in entries)]


def _texts(lines: Iterable[str]) -> list[dict[str, str]]:
    return [{"description": line} for line in lines]


def _number(value: float) -> str:
    return f"{value:.3g}"


def _in(unit: str) -> str:
    return f" in {unit}" if unit else ""
