"""The runtime parameters of a compiled pipeline: values that an operator may change per run without compiling again.

TFX supports parameters that are properties of a node. Ours are values inside a property that is JSON: the spec declares
them as properties of their own, and the container inserts them into that JSON before the node's code sees it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from farebox.components.errors import InputError, ValueForm, at_least
from farebox.components.quantizer.settings import QuantizerSettings
from farebox.modules.settings import TrainingSettings

if TYPE_CHECKING:
    from farebox.pipeline.settings.load import Settings

RUN_PARAMETER = "pipeline_run"  # of a node that must not come from the cache; its code does not get it
NEWEST = -1  # as a span: the newest one when the run begins
SPAN_FORM = ValueForm((int,), (at_least(NEWEST),))
EXACT = 2**53  # services pass numbers as doubles, which hold every integer up to this one


@dataclasses.dataclass(frozen=True)
class RuntimeParameterRule:
    """nodes: those that it is declared for. into: the node's JSON property and the keys of the value that it replaces.
    check: raises ValueError if that property then cannot be used. Both are None for a span, which the node reads as it
    is."""

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


def insert_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """A node's properties as its code expects them: parameters beside them go into their JSON.

    The container calls it, and so does whoever sends values to a service: both check them by the node's own settings.
    Raises InputError if a parameter's value cannot be used.
    """
    properties = {name: value for name, value in values.items() if name != RUN_PARAMETER}
    for name, parameter in PARAMETERS.items():
        if name not in properties or parameter.into is None or parameter.into[0] not in properties:
            continue
        value = whole(properties.pop(name))
        (json_property, *path), content = parameter.into, json.loads(properties[parameter.into[0]])
        *parents, last = path
        section = content
        for key in parents:
            section = section[key]
        section[last] = value
        try:
            if parameter.check:
                parameter.check(content)
        except ValueError as error:
            raise InputError(f"parameter {name}={value}: {error}") from error
        properties[json_property] = json.dumps(content, sort_keys=True)
    check_spans({name: whole(properties[name]) for name in SPANS if name in properties})
    return properties


def check_spans(spans: Mapping[str, Any]) -> None:
    """Raises InputError for a limit of the window that is no span, or a first one after the last."""
    for name, value in spans.items():
        if problem := SPAN_FORM.problem(f"parameter {name}", value):
            raise InputError(f"{problem}; {NEWEST} is the newest span")
    first, last = (spans.get(name, NEWEST) for name in SPANS)
    if first > last > NEWEST:
        raise InputError(f"parameter first_span={first} must be at most last_span={last}")


def whole(value: Any) -> Any:
    """An integer that came as a double, as an integer; any other value as it is."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= EXACT
    return int(value) if is_whole else value
