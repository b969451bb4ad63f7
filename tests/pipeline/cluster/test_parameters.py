"""What an operator changes per run reaches the node's own settings, or is refused in a line."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import subprocess
import sys

import pytest

from farebox.components.errors import InputError
from farebox.components.quantizer.settings import QuantizerSettings
from farebox.modules.settings import TrainingSettings
from farebox.pipeline.cluster.container import with_parameters
from farebox.pipeline.cluster.parameters import PARAMETERS, RUN_PARAMETER, declared_parameters, insert_parameters
from farebox.pipeline.provenance import lane
from farebox.pipeline.settings.load import load_settings

TRAINER = json.dumps({"features": "full", "training": dataclasses.asdict(TrainingSettings())})
QUANTIZER = json.dumps(dataclasses.asdict(QuantizerSettings()))


def test_epochs_go_into_trainers_config_and_nothing_else_changes():
    placed = insert_parameters({"run_fn": "farebox.modules.training.run_fn", "custom_config": TRAINER, "epochs": 7.0})
    assert set(placed) == {"run_fn", "custom_config"}
    assert '"epochs": 7,' in placed["custom_config"]  # JSON's numbers come as floats from Kubeflow
    config = json.loads(placed["custom_config"])
    assert config["training"].pop("epochs") == 7
    assert config["training"].items() < dataclasses.asdict(TrainingSettings()).items() and config["features"] == "full"


@pytest.mark.parametrize(("value", "bound"), [("1%", 2.02), ("0.5", 2.5)])
def test_the_budget_goes_into_quantizers_settings(value, bound):
    placed = insert_parameters({"settings": QUANTIZER, "max_rmse_increase": value, "label": "fare"})
    assert QuantizerSettings(**json.loads(placed["settings"])).bound(2.0) == pytest.approx(bound)


def test_a_default_leaves_the_settings_as_they_were():
    settings = load_settings("chicago", None, overrides=["training.epochs=9", "quantizer.max_rmse_increase=0.05"])
    defaults = {name: parameter.default(settings) for name, parameter in declared_parameters(settings).items()}
    trainer = json.dumps({"training": dataclasses.asdict(settings.training)})
    placed = insert_parameters({"custom_config": trainer, "epochs": defaults["epochs"]})
    assert json.loads(placed["custom_config"]) == json.loads(trainer)
    quantizer = json.dumps(dataclasses.asdict(settings.quantizer))
    placed = insert_parameters({"settings": quantizer, "max_rmse_increase": defaults["max_rmse_increase"]})
    assert QuantizerSettings(**json.loads(placed["settings"])).bound(1.0) == settings.quantizer.bound(1.0)


def test_spans_are_left_to_the_node_that_reads_them():
    values = {"custom_config": "{}", "first_span": 3, "last_span": -1}
    assert insert_parameters(values) == values
    assert insert_parameters({"first_span": -1, "last_span": 5.0}) == {"first_span": -1, "last_span": 5.0}


def test_the_runs_id_is_for_the_cache_alone():
    """TFX hands every parameter to the node's code as a property."""
    assert insert_parameters({"models_dir": "gs://b/models", RUN_PARAMETER: "1"}) == {"models_dir": "gs://b/models"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"custom_config": TRAINER, "epochs": 0}, "parameter epochs=0: training.epochs=0 must be at least 1"),
        (
            {"settings": QUANTIZER, "max_rmse_increase": "a lot"},
            "parameter max_rmse_increase=a lot: quantizer.max_rmse_increase=a lot must be a number or a percentage",
        ),
        (
            {"settings": QUANTIZER, "max_rmse_increase": "1e999"},
            "parameter max_rmse_increase=1e999: quantizer.max_rmse_increase=1e999 must be a number or a percentage",
        ),
        ({"custom_config": TRAINER, "epochs": 2.5}, "training.epochs=2.5 must be an integer"),
        ({"custom_config": TRAINER, "epochs": 1e300}, "training.epochs=1e+300 must be an integer"),
        ({"custom_config": TRAINER, "epochs": float("nan")}, "training.epochs=nan must be an integer"),
        ({"custom_config": TRAINER, "epochs": "many"}, "training.epochs=many must be an integer"),
        ({"first_span": -7.0}, "parameter first_span=-7 must be at least -1; -1 is the newest span"),
        ({"last_span": float("nan")}, "parameter last_span=nan must be an integer"),
        ({"first_span": 9, "last_span": 3}, "parameter first_span=9 must be at most last_span=3"),
    ],
)
def test_a_value_that_the_settings_refuse_is_one_line(values, message):
    with pytest.raises(InputError, match=re.escape(message)):
        insert_parameters(values)


def test_the_executor_input_is_changed_in_that_alone():
    invocation = {
        "inputs": {"parameterValues": {"custom_config": TRAINER, "epochs": 3}, "artifacts": {"examples": {}}},
        "outputs": {"outputFile": "/there"},
    }
    new_invocation = json.loads(with_parameters(json.dumps(invocation)))
    assert json.loads(new_invocation["inputs"]["parameterValues"].pop("custom_config"))["training"]["epochs"] == 3
    assert new_invocation == {
        "inputs": {"parameterValues": {}, "artifacts": {"examples": {}}},
        "outputs": {"outputFile": "/there"},
    }
    assert json.loads(with_parameters('{"outputs": {}}')) == {"outputs": {}}


def test_every_parameter_that_is_put_somewhere_is_checked():
    assert [name for name, parameter in PARAMETERS.items() if not (parameter.into and parameter.check)] == []


@pytest.mark.parametrize(
    ("compiled_on", "line"),
    [
        (lane(), "parameter epochs=0: training.epochs=0 must be at least 1"),
        ("AB".replace(lane(), ""), "FAREBOX_LANE={other}, where the spec was compiled, must be the image's lane "
         "{lane}, Python {python}: compile it on lane {lane}, or build the image on lane {other}"),
    ],
)  # fmt: skip
def test_a_containers_command_ends_with_2_and_one_line(tmp_path, compiled_on, line):
    """Before TFX is imported: a bad parameter, and a spec of another lane than the image's."""
    invocation = json.dumps({"inputs": {"parameterValues": {"custom_config": TRAINER, "epochs": 0}}})
    command = [
        sys.executable,
        "-m",
        "farebox.pipeline.cluster.container",
        "--json_serialized_invocation_args",
        invocation,
    ]
    environment = {**os.environ, "FAREBOX_LANE": compiled_on}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    expected = line.format(other=compiled_on, lane=lane(), python=platform.python_version())
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"farebox: {expected}\n")
