"""Pruner: rows never trained, sparsity that is really there by every schedule and criterion, and `Do` on artifacts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farebox.components.errors import InputError
from farebox.components.pruner import layers, masks, pruning, schedules, selection
from farebox.components.pruner.settings import PrunerSettings

QUICK = {"ramp_epochs": 2, "recover_epochs": 1, "final_sparsity": 0.5}


@pytest.fixture(scope="module")
def rows():
    """256 rows of two inputs, numbers of 8 and an id of 0..9 of which 0..5 occur; a number and three classes."""
    random = np.random.default_rng(2)
    inputs = {"n": random.normal(size=(256, 8)).astype(np.float32), "cell": random.integers(0, 6, (256, 1))}
    number = inputs["n"][:, :1] * 2 + inputs["cell"] / 3
    return inputs, number.astype(np.float32), (inputs["n"][:, :1] > 0).astype(np.int64) + (inputs["cell"] > 3)


@pytest.fixture(scope="module")
def batches(rows):
    """Is it a classifier? -> batches of 32."""
    import tensorflow as tf

    inputs, number, classes = rows
    return lambda by_class=False: tf.data.Dataset.from_tensor_slices((inputs, classes if by_class else number)).batch(
        32
    )


@pytest.fixture(scope="module")
def network(quick_keras):
    """A new network of 8 + 4 numbers, Dense 16 and 8, and one number or three classes."""
    import tf_keras as keras

    def make(by_class: bool = False):
        keras.utils.set_random_seed(4)
        n, cell = keras.Input((8,), name="n"), keras.Input((1,), dtype="int64", name="cell")
        table = keras.layers.Flatten()(keras.layers.Embedding(10, 4, name="table")(cell))
        x = keras.layers.Concatenate()([n, table])
        for name, units in (("wide", 16), ("narrow", 8)):
            x = keras.layers.Dense(units, activation="relu", name=name)(x)
        last = keras.layers.Dense(3, activation="softmax", name="y") if by_class else keras.layers.Dense(1, name="y")
        return keras.Model([n, cell], last(x))

    return make


@pytest.fixture(scope="module")
def prune(network, batches):
    """Settings -> the network and what came of it."""
    from farebox.components.networks import fine_tuning

    def run(by_class: bool = False, **chosen):
        source, data = network(by_class), batches(by_class)
        asked = PrunerSettings(**{**QUICK, **chosen})
        return source, pruning.prune(source, fine_tuning.imitating(data, source), data, 8, asked)

    return run


def zeros(network, name: str) -> int:
    return int(np.sum(layers.matrix(network, name) == 0.0))


def test_trained_rows_are_those_that_occur(network, batches):
    trained = layers.trained_rows(network(), batches())
    assert np.flatnonzero(trained["table"]).tolist() == [0, 1, 2, 3, 4, 5]


def test_zeroing_rows_twice_is_zeroing_once(network):
    made = network()
    before, kept = layers.matrix(made, "table"), np.arange(10) < 3
    for _ in range(2):
        layers.zero_rows(made, {"table": kept})
        np.testing.assert_array_equal(layers.matrix(made, "table")[kept], before[kept])
        assert not layers.matrix(made, "table")[~kept].any()


def test_networks_without_embeddings_have_no_rows_to_train(make_network, toy_trips):
    assert layers.trained_rows(make_network(embeddings={}), toy_trips.batches("train")) == {}


def test_sparsity_by_hand(network):
    """8 of the 16 x 8 weights of `narrow`; untrained, the 16 + 8 + 1 biases are zero too."""
    made = network()
    layers.apply_masks(made, {"narrow": np.arange(16)[:, None] > 0})
    assert layers.sparsity(made) == {"table": 0.0, "wide": 0.0, "narrow": 8 / 128, "y": 0.0}
    assert layers.total_sparsity(made) == (8 + 16 + 8 + 1) / (40 + 12 * 16 + 16 + 128 + 8 + 8 + 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"schedule": "constant", "begin_step": 3},
        {"begin_step": 2, "end_step": 12, "frequency": 3},
        {"criterion": "saliency", "rounds": 2},
        {"criterion": "lottery_ticket", "rounds": 2},
        {"block_size": [1, 4]},
        {"block_size": [2, 2], "criterion": "saliency"},
        {"sparsity_2_by_4": True},
        {"sparsity_2_by_4": True, "criterion": "saliency"},
        {"clusters": 4},
    ],
    ids=lambda chosen: "-".join(map(str, chosen.values())) or "default",
)
def test_every_way_reaches_its_sparsity_and_leaves_the_source(prune, network, chosen):
    """16 steps: tfmot's own pause of 100 would prune nothing. Half of 12 x 16 and 16 x 8; the last layer stays."""
    source, pruned = prune(**chosen)
    for name, size in (("wide", 192), ("narrow", 128)):
        assert zeros(pruned.network, name) == size // 2 == np.sum(~pruned.masks[name])
        assert pruned.steps[name][-1]["reached"] == pruned.steps[name][-1]["target"] == 0.5
    assert zeros(pruned.network, "y") == 0
    for mine, fresh in zip(source.get_weights(), network().get_weights(), strict=True):
        np.testing.assert_array_equal(mine, fresh)
    assert not set(map(id, source.layers)) & set(map(id, pruned.network.layers))
    if "clusters" in chosen:
        assert len(np.unique(layers.matrix(pruned.network, "wide"))) <= 4
    if chosen.get("block_size") == [1, 4]:
        assert masks.zero_blocks(pruned.masks["wide"], (1, 4)) == 24
    if "sparsity_2_by_4" in chosen:
        fours = pruned.masks["wide"].T.reshape(16, 3, 4)
        assert (fours.sum(axis=2) == 2).all()


@pytest.mark.slow
def test_masks_follow_what_clusters_zero(prune):
    """A value of each sign beside 0: weights nearer to 0 join it."""
    _, pruned = prune(clusters=3, final_sparsity=0.0)
    for name, mask in pruned.masks.items():
        np.testing.assert_array_equal(mask, layers.matrix(pruned.network, name) != 0)
    assert np.sum(~pruned.masks["wide"]) > 0


def test_every_change_of_the_ramp_is_recorded(prune):
    """16 steps, a change at each: the target is 0.5 - 0.5 (1 - step / 16)³, reached to within a weight of 128."""
    _, pruned = prune(layers=["narrow"])
    assert [change["step"] for change in pruned.steps["narrow"]] == list(range(1, 17))
    for change in pruned.steps["narrow"]:
        assert change["target"] == pytest.approx(0.5 - 0.5 * (1 - change["step"] / 16) ** 3)
        assert abs(change["reached"] - change["target"]) <= 1 / 128


@pytest.mark.slow
def test_saliency_takes_what_matters_least_and_holds_it(prune, batches):
    """In the first of two rounds 1 - sqrt(0.5) of the weights, the lowest; they are zero after the second, too."""
    from farebox.components.pruner.saliency import saliency

    source, pruned = prune(criterion="saliency", rounds=2, layers=["wide"])
    assert [change["step"] for change in pruned.steps["wide"]] == [0, 16]
    assert [change["target"] for change in pruned.steps["wide"]] == pytest.approx([1 - 0.5**0.5, 0.5])
    scores = saliency(source, ["wide"], batches())["wide"]
    lowest = scores <= np.sort(scores, axis=None)[round(scores.size * (1 - 0.5**0.5)) - 1]
    assert not pruned.masks["wide"][lowest].any()


def test_lottery_tickets_hold_initial_weights(network, batches):
    """They are drawn once by the seed, and not the source's."""
    from farebox.components.networks import fine_tuning
    from farebox.components.networks.objective import objective_of
    from farebox.components.pruner import rounds
    from farebox.components.pruner.magnitude import Task

    source, chosen = network(), PrunerSettings(criterion="lottery_ticket", rounds=2, ramp_epochs=1)
    data = fine_tuning.imitating(batches(), source), batches()
    shuffle = np.random.RandomState(1)
    task = Task(source, *data, 8, {"wide": 0.5}, chosen, shuffle, objective_of(source))
    ticket, steps = rounds.by_lottery(task)
    initial, kept = rounds.initialized(source, chosen.seed), layers.matrix(ticket, "wide") != 0
    assert kept.mean() == 0.5 and [change["step"] for change in steps["wide"]] == [8, 16]
    np.testing.assert_array_equal(layers.matrix(ticket, "wide"), layers.matrix(initial, "wide") * kept)
    np.testing.assert_array_equal(layers.matrix(ticket, "narrow"), layers.matrix(initial, "narrow"))
    assert not np.array_equal(layers.matrix(initial, "narrow"), layers.matrix(source, "narrow"))


def test_a_shared_table_is_trained_by_each_of_its_inputs(quick_keras):
    import tensorflow as tf
    import tf_keras as keras

    sides, table = (
        [keras.Input((1,), dtype="int64", name=name) for name in "ab"],
        keras.layers.Embedding(9, 2, name="t"),
    )
    both = keras.layers.Concatenate()([keras.layers.Flatten()(table(side)) for side in sides])
    made = keras.Model(sides, keras.layers.Dense(1, name="y")(both))
    ids = {"a": np.array([[1], [2]]), "b": np.array([[2], [7]])}
    trained = layers.trained_rows(made, tf.data.Dataset.from_tensor_slices((ids, np.zeros((2, 1)))).batch(2))
    assert np.flatnonzero(trained["t"]).tolist() == [1, 2, 7]


@pytest.mark.slow
@pytest.mark.parametrize("criterion", ["magnitude", "saliency", "lottery_ticket"])
def test_classifiers_are_pruned_too(prune, criterion):
    _, pruned = prune(by_class=True, criterion=criterion, rounds=1)
    assert zeros(pruned.network, "wide") == 96


def test_patterns_have_sparsities_of_their_own(prune):
    """A quarter of 40 and three quarters of 192; what no pattern names keeps all."""
    _, pruned = prune(final_sparsity={"tab*": 0.25, "wide": 0.75})
    assert [zeros(pruned.network, name) for name in ("table", "wide", "narrow")] == [10, 144, 0]


def test_a_ramp_by_hand():
    """Zhu and Gupta's cube from 0 at step 0 to 0.8 at step 10: 0.8 (1 - 0.5^3) = 0.7 halfway."""
    ramp = schedules.ramp_of(PrunerSettings(final_sparsity=0.8, frequency=5), 0.8, 12)
    assert [ramp.sparsity(step) for step in (0, 5, 10)] == pytest.approx([0, 0.7, 0.8])
    assert [step for step in range(13) if ramp.is_due(step)] == [0, 5, 10] and ramp.end == 10
    assert schedules.ramp_of(PrunerSettings(), 0.25, 10_000).frequency == 100
    assert schedules.ramp_of(PrunerSettings(), 0.25, 40).frequency == 2
    assert schedules.round_sparsity(0.0, 0.75, 1, 2) == pytest.approx(0.5)  # a half of the half that is left


@settings(max_examples=60, deadline=None)
@given(
    sparsity=st.floats(0, 0.99), height=st.sampled_from([1, 2]), width=st.sampled_from([1, 4]), seed=st.integers(0, 99)
)
def test_masks_reach_their_sparsity_to_within_a_block_and_again(sparsity, height, width, seed):
    scores = np.random.default_rng(seed).random((8, 12))
    mask = masks.largest(scores, sparsity, (height, width))
    n_blocks = 96 // (height * width)
    assert abs(masks.zero_blocks(mask, (height, width)) - sparsity * n_blocks) <= 1
    np.testing.assert_array_equal(masks.largest(scores * mask, sparsity, (height, width)), mask)


def test_two_of_four_by_hand():
    scores = np.array([[4.0, 1], [3, 2], [2, 3], [1, 4]])
    np.testing.assert_array_equal(masks.two_of_four(scores), [[1, 0], [1, 0], [0, 1], [0, 1]])


def test_saliency_by_hand(quick_keras):
    """y = 2 a + 3 b: the Hessian's diagonal of the mean squared error is 2 mean(a²), times w² / 2."""
    import tensorflow as tf
    import tf_keras as keras

    from farebox.components.pruner.saliency import saliency

    x = keras.Input((2,), name="x")
    line = keras.Model(x, keras.layers.Dense(1, name="y")(x))
    line.get_layer("y").set_weights([np.array([[2.0], [3.0]]), np.zeros(1)])
    rows = np.array([[1.0, 0], [3, 1]], np.float32)
    data = tf.data.Dataset.from_tensor_slices(({"x": rows}, np.zeros((2, 1)))).batch(1)
    np.testing.assert_allclose(saliency(line, ["y"], data)["y"], [[2 * 5 * 4 / 2], [2 * 0.5 * 9 / 2]])


def trial(sparsity: float, error: float, n_bytes: int, expected: float = 1.0) -> selection.Trial:
    return selection.Trial(sparsity, pruning.Pruned(None, {}, {}), error, expected, n_bytes)


@pytest.mark.parametrize(
    ("errors", "n_bytes", "kept"),
    [
        ({0.75: 2.0, 0.5: 1.005, 0.25: 1.0}, {0.75: 50, 0.5: 80, 0.25: 90}, 0.5),
        ({0.75: 1.0, 0.5: 1.0, 0.25: 1.0}, {0.75: 96, 0.5: 97, 0.25: 98}, 0.0),  # under 5 % of the bytes
        ({0.75: 1.02, 0.5: 1.02, 0.25: 1.02}, {0.75: 50, 0.5: 60, 0.25: 70}, 0.0),  # over 1 % of the error
    ],
)
def test_auto_takes_the_sparsest_that_pays_or_skips(errors, n_bytes, kept):
    chosen, trials, why = selection.choose(
        PrunerSettings(budget=0.01), 1.0, trial(0.0, 1.0, 100), lambda s: trial(s, errors[s], n_bytes[s])
    )
    assert chosen.sparsity == kept
    assert [one.sparsity for one in trials] == ([0.75, 0.5] if kept else [0.75, 0.5, 0.25])
    assert why.startswith("0.5 is the sparsest candidate with " if kept else "skipped, as no candidate has ")


def test_auto_passes_over_what_is_better_on_eval_by_chance():
    """Half of the weights gone and an eval error below the source's, but 2 % more is expected of such predictions."""
    settings, skipped = PrunerSettings(budget=0.01, candidates=(0.5,)), trial(0.0, 1.0, 100)
    chosen, trials, why = selection.choose(settings, 1.0, skipped, lambda s: trial(s, 0.9, 50, expected=1.02))
    assert chosen is skipped and not trials[0].is_kept and why.endswith(": 0.5 has 0.9000, 1.0200 and 50")


def test_auto_has_one_candidate_of_two_in_four():
    assert PrunerSettings(sparsity_2_by_4=True).sparsities == [0.5]


def test_sparsity_that_was_not_reached_is_a_bug():
    with pytest.raises(RuntimeError, match="Pruner: wide has 0 zeros of 128, must have 64"):
        pruning.assert_reached({"wide": np.ones((16, 8), bool)}, {"wide": 0.5}, PrunerSettings())


@pytest.fixture(scope="module")
def seeing(quick_keras):
    """A network of convolutions, and rows that it imitates."""
    import tf_keras as keras

    from farebox.components.networks.rows import Rows

    keras.utils.set_random_seed(4)
    image, conv = keras.Input((6, 6, 2), name="image"), keras.layers.Conv2D(8, 3, activation="relu", name="conv")
    x = keras.layers.SeparableConv2D(8, 3, activation="relu", name="apart")(conv(image))
    x = keras.layers.Conv1D(8, 2, activation="relu", name="along")(keras.layers.Reshape((4, 8))(x))
    network = keras.Model(image, keras.layers.Conv1D(1, 3, name="y")(x))
    values = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype(np.float32)
    return network, Rows({"image": values}, network(values).numpy(), 32)


@pytest.mark.parametrize("chosen", [{}, {"criterion": "saliency", "rounds": 1, "clusters": 6}], ids=str)
def test_convolutions_are_pruned_as_dense_layers_are(seeing, chosen):
    """All but the last; of a separable one the kernel across channels."""
    network, rows = seeing
    pruned = pruning.prune(network, rows, rows, 2, PrunerSettings(**{**QUICK, **chosen}))
    for name, size in (("conv", 3 * 3 * 2 * 8), ("apart", 8 * 8), ("along", 2 * 8 * 8)):
        assert zeros(pruned.network, name) >= size // 2 and zeros(network, name) == 0
        np.testing.assert_array_equal(pruned.masks[name], layers.matrix(pruned.network, name) != 0)
    assert zeros(pruned.network, "y") == 0 and pruned.network.get_layer("apart").depthwise_kernel.numpy().all()


@pytest.mark.parametrize("chosen", [{"block_size": [1, 2]}, {"sparsity_2_by_4": True}], ids=str)
def test_zeros_with_a_pattern_are_of_matrices(seeing, chosen):
    with pytest.raises(InputError, match="^pruner.layers: conv must be a Dense or Embedding layer with [bs]"):
        layers.targets_of(seeing[0], PrunerSettings(layers=("conv",), **chosen), 0.5)
    with pytest.raises(InputError, match="^pruner.layers must name what to prune: before its last Dense layer or "):
        layers.targets_of(seeing[0], PrunerSettings(**chosen), 0.5)


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ({"layers": ["conv_*"]}, r"pruner.layers: conv_\* must match a Dense, Conv or Embedding layer, got none of "),
        ({"final_sparsity": {"w*": 0.5, "*e": 0.2}}, r"pruner.final_sparsity: wide must match one pattern, got "),
        ({"sparsity_2_by_4": True, "layers": ["table"]}, "inputs of table must divide by 4, got 10"),
        ({"block_size": [5, 4]}, r"pruner.block_size=\[5, 4\] must divide the size \(12, 16\) of wide"),
        ({"end_step": 99}, "pruner.end_step=99 must be at most 16, the steps in ramp_epochs=2"),
        ({"frequency": 20}, "pruner.frequency=20 must be at most 16, the steps of the ramp"),
        ({"clusters": 100}, "pruner.clusters=100 must be at most "),
    ],
)  # fmt: skip
def test_what_a_network_cannot_is_named(prune, chosen, text):
    with pytest.raises(ValueError, match=text):
        prune(**chosen)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"final_sparsity": 1.0}, "pruner.final_sparsity=1.0 must be below 1"),
        ({"initial_sparsity": 0.9}, "not below initial_sparsity=0.9"),
        ({"ramp_epochs": 0}, "pruner.ramp_epochs=0 must be at least 1"),
        ({"criterion": "taste"}, "pruner.criterion=taste must be one of magnitude, saliency, lottery_ticket"),
        ({"final_sparsity": "much"}, "pruner.final_sparsity=much must be a fraction, a mapping, or auto"),
        (
            {"sparsity_2_by_4": True, "final_sparsity": 0.25},
            "pruner.final_sparsity=0.25 must be 0.5 if sparsity_2_by_4 is set",
        ),
        ({"criterion": "saliency", "frequency": 3}, "pruner.frequency=3 must be left out if criterion=saliency"),
        ({"clusters": 2}, "pruner.clusters=2 must be at least 3, or null"),
        ({"rounds": 0}, "pruner.rounds=0 must be at least 1"),
    ],
)
def test_settings_name_the_value(wrong, text):
    with pytest.raises(ValueError, match=text):
        PrunerSettings(**wrong)
