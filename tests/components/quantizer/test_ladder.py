"""The ladder: which rungs are tried, which file ships, and the reasons in the log."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.quantizer.rungs import RUNGS
from farebox.components.quantizer.settings import QuantizerSettings
from farebox.components.quantizer.trials import QuantizationTrial, cost
from farebox.components.tflite.bands import fit
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.tflite.metadata import bands_of, described, description_of

INPUTS = (
    "pickup_longitude,pickup_latitude,dropoff_longitude,dropoff_latitude,passenger_count,pickup_hour,pickup_weekday"
)


@pytest.fixture(scope="module")
def rows():
    """x of 8 standard normal numbers, labelled by a sum and a product; a quarter of them for eval."""
    random = np.random.default_rng(5)
    x = random.normal(size=(1024, 8)).astype(np.float32)
    return x, (3 * x[:, 0] + 2 * x[:, 1] * x[:, 2] + 10).astype(np.float32)


@pytest.fixture(scope="module")
def small(quick_keras, rows):
    """A fitted network of three Dense layers on `x`."""
    import tf_keras as keras

    keras.utils.set_random_seed(3)
    x = inner = keras.Input((8,), name="x")
    for name in ("first", "second"):
        inner = keras.layers.Dense(16, activation="relu", name=name)(inner)
    network = keras.Model(x, keras.layers.Dense(1, name="y")(inner), name="small")
    network.compile(keras.optimizers.Adam(0.01), loss="mse")
    network.fit({"x": rows[0]}, rows[1], batch_size=64, epochs=30, verbose=0)
    return network


@pytest.fixture(scope="module")
def search(rows):
    """(networks, settings) -> outcome; without a transform before the networks."""
    import tensorflow as tf

    from farebox.components.networks.objective import objective_of
    from farebox.components.quantizer import conversion, ladder
    from farebox.components.quantizer.trials import Judge

    x, labels = rows
    train = tf.data.Dataset.from_tensor_slices(({"x": x[256:]}, labels[256:, None])).batch(64)
    evaluation = tf.data.Dataset.from_tensor_slices(({"x": x[:256]}, labels[:256, None])).batch(64)
    calibration = conversion.calibration_rows([({"x": x[256:]}, labels[256:])], 100)

    def run(networks, **chosen):
        return ladder.search(
            networks,
            prepare=lambda network: conversion.Source(network, None, calibration, "y"),
            judge=Judge([({"x": x[:256]}, labels[:256])], objective_of(networks["unreduced"])),
            train=train,
            evaluation=evaluation,
            settings=QuantizerSettings(**{"portable": False} | chosen),
        )

    return run


def with_kernels(network, **kernels):
    """A copy with other kernels."""
    import tf_keras as keras

    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    for name, kernel in kernels.items():
        copy.get_layer(name).set_weights([kernel, *network.get_layer(name).get_weights()[1:]])
    return copy


def assert_nothing_cheaper_was_passed_over(outcome, goal: str) -> None:
    held = [trial for trial in outcome.trials if max(trial.error, trial.expected_error) <= outcome.bound]
    slow = [trial for trial in held if trial.slowdown > QuantizerSettings().max_slowdown]
    assert held == [trial for trial in outcome.trials if trial.verdict in ("holds", "chosen", "slow")]
    assert slow == [trial for trial in outcome.trials if trial.verdict == "slow"]
    fast = [trial for trial in held if trial not in slow]
    assert outcome.chosen in fast and all(cost(outcome.chosen, goal) <= cost(trial, goal) for trial in fast)


def test_auto_ships_the_smallest_that_holds(small, search):
    worse = with_kernels(small, y=small.get_layer("y").get_weights()[0] * 1.5)
    outcome = search({"reduced": worse, "unreduced": small}, max_rmse_increase="5%")
    verdicts = {(trial.network, trial.rung): trial.verdict for trial in outcome.trials if not trial.steps}
    assert {rung for network, rung in verdicts if network == "unreduced"} >= {
        "float32", "float16", "int8_weights", "dynamic", "int8", "int16x8",
    }  # fmt: skip
    assert verdicts["reduced", "float32"] == "misses"
    assert outcome.chosen.network == "unreduced" and outcome.chosen.verdict == "chosen"
    assert outcome.chosen.bytes < outcome.trials[0].bytes and outcome.chosen.error <= outcome.bound
    assert_nothing_cheaper_was_passed_over(outcome, "size")
    assert all(trial.reason for trial in outcome.trials)
    assert outcome.harms == [], "int8 holds: no node needs to be looked at"


@pytest.mark.slow
def test_a_budget_of_zero_is_kept_to_the_last_digit(small, search):
    """The reference keeps it; a network with a little more error does not, on any rung."""
    worse = with_kernels(small, y=small.get_layer("y").get_weights()[0] * 1.03)
    outcome = search({"reduced": worse, "unreduced": small}, max_rmse_increase="0%", epochs=1)
    assert_nothing_cheaper_was_passed_over(outcome, "size")
    missed = [trial for trial in outcome.trials if outcome.bound < trial.error < 1.5 * outcome.bound]
    assert missed and {trial.verdict for trial in missed} == {"misses"}


def test_auto_tries_the_rungs_of_the_table(small, search, monkeypatch):
    """A rung added to the table is tried, a removed one is not: no second list names them."""
    monkeypatch.setitem(RUNGS, "half", dataclasses.replace(RUNGS["float16"], name="half"))
    for name in [*RUNGS]:
        if name not in ("float32", "float16", "half", "qat", "pqat", "int8_io"):
            monkeypatch.delitem(RUNGS, name)
    monkeypatch.setitem(RUNGS, "qat", dataclasses.replace(RUNGS["qat"], auto="never"))
    monkeypatch.setitem(RUNGS, "pqat", dataclasses.replace(RUNGS["pqat"], auto="never"))
    outcome = search({"reduced": small, "unreduced": small}, max_rmse_increase="5%")
    plain = [(trial.network, trial.rung) for trial in outcome.trials if not trial.steps]
    assert plain == [
        ("unreduced", "float32"),
        ("reduced", "float32"), ("reduced", "float16"), ("reduced", "half"),
        ("unreduced", "float16"), ("unreduced", "half"),
    ]  # fmt: skip
    half, float16 = (next(trial for trial in outcome.trials if trial.rung == name) for name in ("half", "float16"))
    assert half.sha256 == float16.sha256


@pytest.mark.parametrize(("goal", "bits"), [("size", {"8"}), ("gzip", {"8", "7", "6", "5"})])
def test_fewer_levels_are_tried_only_where_gzip_counts(small, search, goal, bits):
    """They take as many bytes as int8 weights, err more, and would win a tie in bytes by their fewer gzip bytes."""
    outcome = search({"unreduced": small}, max_rmse_increase="5%", optimize_for=goal, portable=True)
    assert {trial.rung for trial in outcome.trials} == {"float32", *(f"int{number}_weights" for number in bits)}


@pytest.mark.parametrize(
    ("goal", "best"), [("size", "small"), ("gzip", "dense"), ("latency", "quick"), ("balanced", "even")]
)
def test_the_cost_of_each_goal_by_hand(goal, best):
    """Products 900, 1200, 750 and 1600."""
    files = {"small": (100, 95, 9.0), "quick": (300, 250, 4.0), "even": (150, 90, 5.0), "dense": (200, 70, 8.0)}
    trials = [
        QuantizationTrial("int8", name, bytes=size, gzip_bytes=gzip, latency_us={"p50": p50})
        for name, (size, gzip, p50) in files.items()
    ]
    assert min(trials, key=lambda trial: cost(trial, goal)).network == best


@pytest.mark.slow
@pytest.mark.parametrize("goal", ["latency", "balanced"])
def test_another_goal_is_kept_too(small, search, goal):
    outcome = search({"reduced": small, "unreduced": small}, max_rmse_increase="5%", optimize_for=goal)
    assert_nothing_cheaper_was_passed_over(outcome, goal)
    assert all(trial.latency_us for trial in outcome.trials if trial.verdict == "holds")


def test_equal_bytes_are_run_once(small, rows, monkeypatch):
    """Three trials of two files, over two batches: four predictions, and the same figures for the same bytes."""
    from farebox.components.networks.objective import NUMBERS
    from farebox.components.quantizer.conversion import Source
    from farebox.components.quantizer.trials import Judge

    runs = []
    original = TfliteModel.predict
    monkeypatch.setattr(TfliteModel, "predict", lambda self, columns: runs.append(1) or original(self, columns))
    source = Source(small, None, [], "y")
    plain, half = source.file("float32"), source.file("float16")
    trials = [
        QuantizationTrial("float32", name, content=content)
        for name, content in (("a", plain), ("b", plain), ("a", half))
    ]
    judge = Judge([({"x": rows[0][:9]}, rows[1][:9]), ({"x": rows[0][9:20]}, rows[1][9:20])], NUMBERS)
    for trial in trials:
        judge.measure([trial])
    assert len(runs) == 4
    assert trials[0].figures == trials[1].figures != trials[2].figures


def with_a_bad_layer(network):
    """A unit of `first` that is always 0 meets weights of 1000 in `second`: in float the same, in int8 nothing is left
    of the other weights, which share their scale."""
    kernel, bias = network.get_layer("first").get_weights()
    second, _ = network.get_layer("second").get_weights()
    planted = with_kernels(network, second=np.concatenate([np.full_like(second[:1], 1e3), second[1:]]))
    alive = np.arange(16) > 0
    planted.get_layer("first").set_weights([kernel * alive, bias * alive])
    return planted


@pytest.mark.parametrize(("rung", "portable"), [("int8", False), ("int8_weights", True)])
def test_a_planted_bad_layer_is_found_and_kept_float(small, search, rung, portable):
    planted = with_a_bad_layer(small)
    goal = "size" if portable else "latency"  # for the size, float nodes of int8 gain nothing beside int8 weights
    networks = {"reduced": planted, "unreduced": planted}
    outcome = search(networks, max_rmse_increase="5%", portable=portable, optimize_for=goal)
    harms = [harm for harm in outcome.harms if (harm.network, harm.rung) == ("reduced", rung)]
    assert "second" in harms[0].node and harms[0].increase > 10 * harms[1].increase
    plain, spared = [trial for trial in outcome.trials if (trial.rung, trial.network) == (rung, "reduced")]
    assert plain.error > outcome.bound >= spared.error
    assert spared.kept_float == (harms[0].node,)
    assert not portable or plain.bytes < spared.bytes == outcome.chosen.bytes < outcome.trials[0].bytes


def test_float_nodes_are_tried_beside_a_larger_integer_file(search, rows):
    """A unit of `second` is always 0 by weights of 1000. A scale for each unit holds the budget; all the same, int8
    weights are tried with that layer float, as they begin with fewer bytes."""
    import tf_keras as keras

    keras.utils.set_random_seed(3)
    x = inner = keras.Input((8,), name="x")
    for name, units in (("first", 16), ("second", 4), ("third", 32)):
        inner = keras.layers.Dense(units, activation="relu", name=name)(inner)
    network = keras.Model(x, keras.layers.Dense(1, name="y")(inner))
    network.compile(keras.optimizers.Adam(0.01), loss="mse")
    network.fit({"x": rows[0]}, rows[1], batch_size=64, epochs=10, verbose=0)
    for name, planted in (("second", (np.s_[:, 0], 1e3, -1e6)), ("third", (np.s_[0], 0, 0))):
        kernel, bias = network.get_layer(name).get_weights()
        where, weights, dead = planted
        kernel[where] = weights
        bias[0] += dead
        network.get_layer(name).set_weights([kernel, bias])
    outcome = search({"unreduced": network}, max_rmse_increase="5%", portable=False)
    verdicts = {(trial.rung, bool(trial.kept_float)): trial.verdict for trial in outcome.trials}
    assert verdicts["int8_weights", False] == "misses"
    assert {verdicts["int8_channels", False], verdicts["int8_weights", True]} == {"chosen", "holds"}


@pytest.mark.slow
def test_qat_is_tried_if_no_integer_file_holds(small, search):
    """The file must be better than float32 by 3 %: training may reach that, otherwise float32 ships."""
    outcome = search({"reduced": small, "unreduced": small}, max_rmse_increase="-3%", epochs=2, learning_rate=1e-3)
    aware = [trial for trial in outcome.trials if trial.rung in ("qat", "pqat")]
    assert [trial.rung for trial in aware] == ["qat", "pqat"]
    assert all("int8" in trial.dtypes and trial.error < 1.2 * outcome.trials[0].error for trial in aware)
    held = [trial for trial in outcome.trials if trial.error <= outcome.bound]
    assert not held or outcome.chosen.bytes == min(trial.bytes for trial in held)


def test_chance_on_eval_does_not_hold_the_budget(small, search, rows):
    """Fitted to the eval rows themselves: an error below the reference's, by answers that move away from its own."""
    import tf_keras as keras

    lucky = with_kernels(small)
    lucky.compile(keras.optimizers.Adam(0.01), loss="mse")
    lucky.fit({"x": rows[0][:256]}, rows[1][:256], batch_size=64, epochs=15, verbose=0)
    outcome = search({"reduced": lucky, "unreduced": small}, portable=True, max_rmse_increase="1%")
    tried = [trial for trial in outcome.trials if trial.network == "reduced"]
    assert tried and all(trial.error < outcome.trials[0].error < trial.expected_error for trial in tried)
    assert {trial.verdict for trial in tried} == {"misses"} and outcome.chosen.network == "unreduced"
    assert tried[0].reason.startswith("expected error ")


def test_the_two_smallest_of_all_networks_are_tried_in_every_format(small, search):
    """Two of three networks hold the budget in the formats that all are tried in."""
    import tf_keras as keras

    x = keras.Input((8,), name="x")
    wide = keras.Model(x, keras.layers.Dense(1, name="y")(keras.layers.Dense(64, name="first")(x)))
    outcome = search({"k=4": small, "wide": wide, "unreduced": small}, max_rmse_increase="5%")
    by_network = {name: {trial.rung for trial in outcome.trials if trial.network == name} for name in ("k=4", "wide")}
    assert by_network["wide"] == {rung.name for rung in QuantizerSettings().rungs if rung.is_portable}
    assert "int16x8" in by_network["k=4"]


def test_a_cut_search_says_what_it_left_out(small, search, caplog):
    with caplog.at_level("WARNING"):
        outcome = search({"k=4": small, "unreduced": small}, portable=False, max_rmse_increase="5%", search_s=1e-9)
    assert {trial.network for trial in outcome.trials[1:]} == {outcome.chosen.network} == {"k=4"}
    assert "Quantizer: 1e-09 CPU seconds are over: not tried: the unreduced network, and what follows" in caplog.text


@pytest.mark.slow
def test_an_impossible_budget_ships_float32_and_says_so(small, search):
    outcome = search({"reduced": small, "unreduced": small}, max_rmse_increase="-90%", epochs=1)
    assert (outcome.chosen.rung, outcome.chosen.network) == ("float32", "unreduced")
    assert outcome.why == f"nothing holds eval error {outcome.bound:.4f}: the unreduced float32 file"
    assert {trial.verdict for trial in outcome.trials} == {"misses", "chosen"}


@pytest.mark.parametrize("rung", [name for name in RUNGS if name != "pqat"])
def test_a_fixed_rung_ships_whatever_it_costs(small, search, rung):
    outcome = search({"reduced": small, "unreduced": small}, mode=rung, max_rmse_increase="-90%", epochs=1)
    assert (outcome.chosen.rung, outcome.chosen.network) == (rung, "reduced")
    assert outcome.why == f"fixed by quantizer.mode={rung}"
    assert outcome.chosen.error < 2  # of labels that vary by 3.6


@pytest.mark.slow
def test_nodes_can_be_kept_float(small, search):
    outcome = search({"reduced": small, "unreduced": small}, mode="int8", keep_float=["*second*"])
    assert len(outcome.chosen.kept_float) == 1 and "second" in outcome.chosen.kept_float[0]
    assert (
        outcome.chosen.dtypes["float32"]
        > search({"reduced": small, "unreduced": small}, mode="int8").chosen.dtypes["float32"]
    )
    with pytest.raises(InputError, match="quantizer.keep_float=third must match a node, got none of "):
        search({"reduced": small, "unreduced": small}, mode="int8", keep_float=["third"])


@pytest.mark.slow
def test_a_failed_conversion_is_logged_and_passed_over(small, search, monkeypatch):
    from farebox.components.quantizer import conversion

    def refuses(content, bits, *, with_channels=False, kept_float=()):
        if (bits, with_channels) == (8, False):
            raise ValueError("no such weights\nand more")
        return integer_weights(content, bits, with_channels=with_channels, kept_float=kept_float)

    integer_weights = conversion.integer_weights
    monkeypatch.setattr(conversion, "integer_weights", refuses)
    outcome = search({"reduced": small, "unreduced": small}, max_rmse_increase="5%")
    failed = [trial for trial in outcome.trials if trial.verdict == "failed"]
    assert [(trial.rung, trial.reason) for trial in failed] == [("int8_weights", "ValueError: no such weights")] * 2
    with pytest.raises(InputError, match="quantizer.mode=int8_weights: ValueError: no such weights"):
        search({"reduced": small, "unreduced": small}, mode="int8_weights")


def test_classes_are_judged_by_log_loss(quick_keras, search, rows):
    """Three classes by a softmax; the file gives three numbers a row."""
    import tf_keras as keras

    x = keras.Input((8,), name="x")
    network = keras.Model(x, keras.layers.Dense(3, activation="softmax", name="y")(x))
    judged = Judged(network, rows)
    assert judged.trial.figures["log_loss"] == pytest.approx(judged.expected, rel=1e-4)
    assert 0 <= judged.trial.figures["accuracy"] <= 1


class Judged:
    """A float32 file of a classifier, judged on the sign and size of the first number."""

    def __init__(self, network, rows) -> None:
        from farebox.components.networks.objective import objective_of
        from farebox.components.quantizer.conversion import Source
        from farebox.components.quantizer.trials import Judge

        x = rows[0][:200]
        labels = np.digitize(x[:, 0], [-0.5, 0.5])
        self.trial = QuantizationTrial("float32", "reduced", content=Source(network, None, [], "y").file("float32"))
        Judge([({"x": x}, labels)], objective_of(network)).measure([self.trial])
        given = network(x).numpy()[np.arange(200), labels]
        self.expected = float(-np.log(given).mean())


def test_do_writes_the_files_and_the_log(toy_network, toy_trips, run_node):
    from farebox.components.quantizer.component import QuantizerSpec
    from farebox.components.quantizer.executor import QuantizerExecutor

    models = {"model": toy_network, "unreduced_model": toy_network}
    settings = {"max_rmse_increase": "1%", "portable": False}
    ranges = {"bands": json.dumps({"min_rows": 50}), "smallest_label": 2.5}
    description = Description(
        "chicago", inputs=(TensorDescription("pickup_hour", "local time", maximum=23),), facts={"seed": 1}
    )
    outputs = run_node(
        QuantizerExecutor, QuantizerSpec, models, settings,
        model_inputs=INPUTS, transformed_label="", non_negative=1, description=description.to_json(), **ranges,
    )  # fmt: skip
    folder = Path(outputs["trials"].uri)
    choice = json.loads((folder / "choice.json").read_text())
    trials = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    assert {trial["network"] for trial in trials} == {"unreduced"}, "nothing changed the network: it is tried once"
    (chosen,) = (trial for trial in trials if trial["verdict"] == "chosen")
    assert choice["mode"] == chosen["rung"] and choice["eval_error"]["shipped"] == chosen["error"] <= choice["bound"]
    for trial, key in ((chosen, "quantized_model"), (trials[0], "reference_model")):
        content = Path(f"{outputs[key].uri}/Format-Serving/tflite").read_bytes()
        assert (trial["bytes"], trial["ops"]) == (len(content), TfliteModel(content).op_names())
        assert trial["sha256"] == hashlib.sha256(content).hexdigest(), "what was judged and logged is what is handed on"
        read = description_of(content)
        facts = {name: value for name, value in read.facts.items() if name != "bands"}
        assert (read.name, facts) == ("chicago", {"seed": 1, "days": ["2011-09-23", "2012-04-09"]})
        (hour,) = (each for each in read.inputs if each.name == "pickup_hour")
        assert (hour.meaning, hour.maximum) == ("local time", 23)
    others = [trial for trial in trials if trial["verdict"] == "holds"]
    assert all(trial["error"] <= choice["bound"] for trial in others)
    taken = int(re.search(r"before its ranges took ([\d,]+) bytes more$", choice["why"])[1].replace(",", ""))
    assert taken > 0 and chosen["bytes"] - taken <= min(
        trial["bytes"] * (1 + max(trial["slowdown"], 0)) for trial in others
    )
    misses = [trial for trial in trials if (trial["rung"], trial["verdict"]) == ("int8", "misses")]
    assert bool(json.loads((folder / "sensitivity.json").read_text())) == bool(misses)
    assert (folder / "pareto.png").read_bytes().startswith(b"\x89PNG")
    held_out = toy_trips.columns["eval"]
    shipped, reference = (
        Path(f"{outputs[key].uri}/Format-Serving/tflite").read_bytes() for key in ("quantized_model", "reference_model")
    )
    bands = fit(
        TfliteModel(shipped).predict(held_out), held_out["fare"], coverage=0.9, n_bands=7, min_rows=50, floor=2.5
    )
    assert bands_of(shipped) == dataclasses.replace(bands, rows=())
    assert choice["ranges"] == f"{len(bands)} bands of {min(bands.rows)} to {max(bands.rows)} rows of eval"
    assert bands_of(reference) is None
    before = described(shipped, description.with_facts(days=["2011-09-23", "2012-04-09"]))  # without its ranges
    assert len(before) == chosen["bytes"] - taken
