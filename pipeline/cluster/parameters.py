"""The runtime parameters of a compiled pipeline: what an operator may change per run, without compiling anew.

TFX knows parameters that are properties of a node. Ours are values inside a property that is JSON: the spec declares
them as properties of their own, and the container puts them where they belong before the node's code sees them.
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

NEWEST = -1  # as a span: the one that lies there when the run begins


@dataclasses.dataclass(frozen=True)
class Parameter:
    """nodes: that it is declared for. into: the node's JSON property, and the keys in it, that it replaces; None where
    the node reads it as it is. check: raises ValueError where that property then cannot be used."""

    nodes: tuple[str, ...]
    default: Callable[[Settings], int | float | str]
    description: str
    into: tuple[str, ...] | None = None
    check: Callable[[dict[str, Any]], Any] | None = None


PARAMETERS = {
    "epochs": Parameter(
        ("Tuner", "Trainer"),
        lambda settings: settings.training.epochs,
        "Of training.",
        ("custom_config", "training", "epochs"),
        lambda config: TrainingSettings(**config["training"]),
    ),
    "max_rmse_increase": Parameter(
        ("Quantizer",),
        lambda settings: str(settings.quantizer.max_rmse_increase),
        "Quantizer's budget on eval: a percentage, or a number in the fare's currency.",
        ("settings", "max_rmse_increase"),
        lambda config: QuantizerSettings(**config),
    ),
}
SPANS = {
    "first_span": Parameter(("TripExampleGen",), lambda _: NEWEST, "Of the window; -1: spans.window before the last."),
    "last_span": Parameter(("TripExampleGen",), lambda _: NEWEST, "Of the window; -1: the newest."),
}


def declared(settings: Settings) -> dict[str, Parameter]:
    """Those of a pipeline with these settings, by name."""
    return PARAMETERS | (SPANS if settings.spans.pattern else {})


def put_in_place(values: dict[str, Any]) -> dict[str, Any]:
    """A node's properties as its code expects them, from those with parameters beside them.

    Raises InputError where a parameter's value cannot be used.
    """
    placed = dict(values)
    for name, parameter in PARAMETERS.items():
        if name not in placed or parameter.into is None or parameter.into[0] not in placed:
            continue
        value = placed.pop(name)
        (json_property, *path), content = parameter.into, json.loads(placed[parameter.into[0]])
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
        placed[json_property] = json.dumps(content, sort_keys=True)
    return placed
