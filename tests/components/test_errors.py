"""Conditions on settings: a plain call of a dataclass checks types and bounds, and names key, value and bound."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import re
import subprocess
import sys
from typing import Annotated

import pytest

from farebox.components.errors import ValueForm, above, at_least, between, strictly_between
from farebox.components.model_gate.settings import ModelBounds
from farebox.components.pca_reducer.settings import ReducerSettings
from farebox.components.quantizer.settings import QuantizerSettings
from farebox.modules.settings import ModelSettings, TrainingSettings

SECTIONS = {
    "components.atomic_pusher": "PushSettings",
    "components.data_gate": "DataGateSettings",
    "components.device_validator": "DeviceSettings",
    "components.model_gate": "ModelBounds",
    "components.pca_reducer": "ReducerSettings",
    "components.pruner": "PrunerSettings",
    "components.quantizer": "QuantizerSettings",
}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: QuantizerSettings(max_rmse_increase="x"),
            "quantizer.max_rmse_increase=x must be a number or a percentage such as 0.2%",
        ),
        (lambda: QuantizerSettings(epochs="many"), "quantizer.epochs=many must be an integer"),
        (lambda: QuantizerSettings(epochs=1.5), "quantizer.epochs=1.5 must be an integer"),
        (lambda: QuantizerSettings(epochs=True), "quantizer.epochs=True must be an integer"),
        (lambda: QuantizerSettings(epochs=None), "quantizer.epochs=None must be an integer"),
        (lambda: QuantizerSettings(keep_float="*"), "quantizer.keep_float=* must be a list"),
        (lambda: QuantizerSettings(keep_float=["a", 3]), "quantizer.keep_float.1=3 must be text"),
        (lambda: TrainingSettings(ema="0.5"), "training.ema=0.5 must be a number"),
        (lambda: ReducerSettings(whiten=1), "reducer.whiten=1 must be true or false"),
        (lambda: ModelSettings(embeddings=[3]), "model.embeddings=(3,) must be a mapping, or null"),
        (lambda: ModelSettings(hidden=(8, "x")), "model.hidden.1=x must be an integer"),
        (lambda: ModelBounds(max_mae="1"), "gates.max_mae=1 must be a number, or null"),
    ],
)
def test_a_plain_call_names_key_value_and_bound(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize(
    ("condition", "text", "accepted", "refused"),
    [
        (at_least(2), "at least 2", (2, 10**9), (1, math.inf, math.nan)),
        (at_least(0.0), "at least 0 and finite", (0, 0.5), (-1e-9, math.inf, math.nan)),
        (above(0), "above 0 and finite", (1e-9, 10**9), (0, math.inf, math.nan)),
        (between(0, 1), "between 0 and 1", (0, 0.5, 1), (-1e-9, 1 + 1e-9, math.nan)),
        (strictly_between(0.5, 1), "above 0.5 and below 1", (0.6,), (0.5, 1, math.nan)),
    ],
    ids=str,
)
def test_a_condition(condition, text, accepted, refused):
    assert str(condition) == text
    assert [condition.allows(value) for value in accepted] == [True] * len(accepted)
    assert [condition.allows(value) for value in refused] == [False] * len(refused)


def test_a_form_collects_conditions_from_any_depth():
    form = ValueForm.of(Annotated[Annotated[int, at_least(1)] | float | None, between(0, 9)])
    assert (form.types, form.is_optional) == ((int, float), True)
    assert list(map(str, form.conditions)) == ["at least 1", "between 0 and 9"]


@pytest.mark.parametrize("room", SECTIONS)
def test_settings_survive_json(room):
    """An execution property holds settings as JSON, which has neither tuples nor dataclasses."""
    settings = getattr(importlib.import_module(f"farebox.{room}.settings"), SECTIONS[room])()
    assert type(settings)(**json.loads(json.dumps(dataclasses.asdict(settings)))) == settings


def test_components_do_not_import_pydantic():
    code = (
        "\n".join(f"import farebox.{room}.settings" for room in SECTIONS)
        + "\nimport sys; print('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
