"""The runtime parameters of a compiled pipeline: values that an operator may change per run without compiling again.

TFX supports parameters that are properties of a node. Ours are values inside a property that is JSON: the spec declares
them as properties of their own, and the container inserts them into that JSON before the node's code sees it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from farebox.components.errors import InputError
from farebox.components.quantizer.settings import QuantizerSettings
from farebox.modules.settings import TrainingSettings
from farebox.pipeline.settings.load import Settings

NEWEST = -1  # as a span: the newest one when the run begins


@dataclasses.dataclass(frozen=True)
class RuntimeParameterRule:
    """nodes: those that it is declared for. into: the node's JSON property and the keys of the value that it replaces;
    None if the node reads it as it is. check: raises ValueError if that property then cannot be used."""

    nodes: tuple[str, ...]
    default: Callable[[Settings], int | float | str]
    description: str
    into: tuple[str, ...] | None = None
    check: Callable[[dict[str, Any]], Any] | None = None


PARAMETERS = {
    "epochs": RuntimeParameterRule(
        ("Tuner", "Trainer"),
        lambda settings: settings.training.epochs,
        "Epochs of training.",
        ("custom_config", "training", "epochs"),
        lambda config: TrainingSettings(**config["training"]),
    ),
    "max_rmse_increase": RuntimeParameterRule(
        ("Quantizer",),
        lambda settings: str(settings.quantizer.max_rmse_increase),
        "Quantizer's budget on eval: a percentage, or a number in the fare's currency.",
        ("settings", "max_rmse_increase"),
        lambda config: QuantizerSettings(**config),
    ),
}
SPANS = {
    "first_span": RuntimeParameterRule(
        ("TripExampleGen",), lambda _: NEWEST, "First span of the window; -1: spans.window before the last."
    ),
    "last_span": RuntimeParameterRule(
        ("TripExampleGen",), lambda _: NEWEST, "Last span of the window; -1: the newest."
    ),
}


def declared_parameters(settings: Settings) -> dict[str, RuntimeParameterRule]:
    """The parameters of a pipeline with these settings, by name."""
    return PARAMETERS | (SPANS if settings.spans.pattern else {})


def insert_parameters(values: dict[str, Any]) -> dict[str, Any]:
    """A node's properties as its code expects them: parameters beside them go into their JSON.

    Raises InputError if a parameter's value cannot be used.
    """
    properties = dict(values)
    for name, parameter in PARAMETERS.items():
        if name not in properties or parameter.into is None or parameter.into[0] not in properties:
            continue
        value = properties.pop(name)
        (json_property, *path), content = parameter.into, json.loads(properties[parameter.into[0]])
        *parents, last = path
        section = content
        for key in parents:
            section = section[key]
        section[last] = int(value) if isinstance(section[last], int) else value
        try:
            if parameter.check:
                parameter.check(content)
        except ValueError as error:
            raise InputError(f"parameter {name}={value}: {error}") from error
        properties[json_property] = json.dumps(content, sort_keys=True)
    return properties
