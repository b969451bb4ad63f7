"""Pruner without training: settings, schedules and masks by hand, and tfmot's own as the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from farebox.components.pruner import masks
from farebox.components.pruner.schedules import Ramp, ramp_of, round_sparsity
from farebox.components.pruner.settings import PrunerSettings

BLOCKS = st.sampled_from([(1, 1), (1, 4), (2, 1), (2, 2), (4, 4)])


@st.composite
def scores(draw):
    """Scores and a block size that cuts them; many are equal."""
    block = draw(BLOCKS)
    shape = tuple(size * draw(st.integers(1, 6)) for size in block)
    return draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5]))), block


@given(scores(), st.floats(0, 0.99))
def test_masks_reach_their_sparsity_to_within_a_block(cut, sparsity):
    values, block = cut
    zeros, n_blocks = masks.zero_blocks(masks.largest(values, sparsity, block), block), values.size / np.prod(block)
    assert abs(zeros - sparsity * n_blocks) <= 1 and zeros < n_blocks


@given(scores(), st.floats(0, 0.99))
def test_pruning_twice_is_pruning_once(cut, sparsity):
    values, block = cut
    once = masks.largest(values + 1, sparsity, block)
    np.testing.assert_array_equal(masks.largest(np.where(once, values + 1, 0.0), sparsity, block), once)


@given(hnp.arrays(np.float64, (8, 3), elements=st.floats(0.1, 9)))
def test_two_of_four_twice_is_once(values):
    once = masks.two_of_four(values)
    assert (once.reshape(2, 4, 3).sum(axis=1) == 2).all()
    np.testing.assert_array_equal(masks.two_of_four(np.where(once, values, 0.0)), once)


def test_masks_by_hand():
    """Blocks of two rows sum to 5 9 / 1 6; fours of the first column are 1 4 0 1, of the second 5 4 2 4: first 4."""
    values = np.array([[1.0, 5], [4, 4], [0, 2], [1, 4]])
    assert masks.largest(values, 0.5).tolist() == [[0, 1], [1, 1], [0, 0], [0, 1]]
    assert masks.largest(values, 0.5, (2, 1)).tolist() == [[0, 1], [0, 1], [0, 1], [0, 1]]
    assert masks.two_of_four(values).tolist() == [[1, 1], [1, 1], [0, 0], [0, 0]]
    assert masks.zero_blocks(masks.largest(values, 0.5, (2, 1)), (2, 1)) == 2


def tfmot_mask(weights: np.ndarray, sparsity: float, block: tuple[int, int], m_by_n) -> np.ndarray:
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    schedule = tfmot.sparsity.keras.ConstantSparsity(sparsity, 0, frequency=1)
    layer = tfmot.sparsity.keras.prune_low_magnitude(
        keras.layers.Dense(weights.shape[1]), schedule, block_size=block, sparsity_m_by_n=m_by_n
    )
    layer.build((None, weights.shape[0]))
    layer.layer.kernel.assign(weights)
    layer.pruning_step.assign(tf.constant(1, tf.int64))
    layer.pruning_obj.conditional_mask_update()
    return layer.pruning_vars[0][1].numpy().astype(bool)


@pytest.mark.parametrize(("sparsity", "block"), [(0.3, (1, 1)), (0.75, (1, 1)), (0.5, (1, 4)), (0.4, (2, 2))])
def test_masks_are_those_of_tfmot(sparsity, block):
    weights = np.random.default_rng(3).normal(size=(12, 8)).astype(np.float32)
    np.testing.assert_array_equal(
        masks.largest(np.abs(weights), sparsity, block), tfmot_mask(weights, sparsity, block, None)
    )


def test_two_of_four_is_tfmots():
    weights = np.random.default_rng(3).normal(size=(12, 8)).astype(np.float32)
    np.testing.assert_array_equal(masks.two_of_four(np.abs(weights)), tfmot_mask(weights, 0.5, (1, 1), (2, 4)))


@pytest.mark.parametrize(
    ("shape", "block", "two_by_four", "text"),
    [
        ((18, 8), (1, 1), True, r"sparsity_2_by_4: inputs of wide must divide by 4, got 18 of \(18, 8\)"),
        ((16, 6), (1, 4), False, r"block_size=\[1, 4\] must divide the size \(16, 6\) of wide"),
        ((16, 1), (2, 1), False, r"block_size=\[2, 1\] must be \[1, 1\] for wide: tfmot cuts no size \(16, 1\)"),
    ],
)
def test_sizes_that_cannot_be_cut_are_named(shape, block, two_by_four, text):
    with pytest.raises(ValueError, match=text):
        masks.check_shape("wide", shape, block, two_by_four)
    masks.check_shape("wide", (16, 8), block, two_by_four)


def test_sparsity_by_step_by_hand():
    """Half way, an eighth of the way from 0.8 back to 0.2 is left: 0.8 - 0.6 / 8."""
    ramp = Ramp("polynomial", 0.2, 0.8, 10, 30, 5)
    assert [ramp.sparsity(step) for step in (0, 10, 20, 30, 40)] == pytest.approx([0.2, 0.2, 0.725, 0.8, 0.8])
    assert [step for step in range(50) if ramp.is_due(step)] == [10, 15, 20, 25, 30]
    assert Ramp("constant", 0.2, 0.8, 10, 30, 5).sparsity(10) == 0.8


@pytest.mark.parametrize("kind", ["polynomial", "constant"])
def test_ramps_are_those_of_tfmot(kind):
    import tensorflow as tf

    ramp = Ramp(kind, 0.2, 0.8, 10, 30, 5)
    reference = ramp.as_tfmot()
    for step in range(1, 50):
        due, sparsity = reference(tf.constant(step, tf.int64))
        assert bool(due) == ramp.is_due(step)
        assert float(sparsity) == pytest.approx(ramp.sparsity(step))


@given(st.integers(1, 3000), st.integers(0, 50), st.one_of(st.none(), st.integers(1, 200)))
def test_every_ramp_ends_with_a_change_of_masks(n_steps, begin, frequency):
    """tfmot's own frequency of 100 fires never in 99 steps; an end between two changes is never reached."""
    settings = PrunerSettings(begin_step=begin, frequency=frequency)
    if n_steps - begin < (frequency or 1):
        with pytest.raises(ValueError, match=r"must be (below|at most) \d+, the steps"):
            ramp_of(settings, 0.5, n_steps)
        return
    ramp = ramp_of(settings, 0.5, n_steps)
    assert ramp.begin == begin and ramp.is_due(ramp.end) and ramp.sparsity(ramp.end) == 0.5
    assert 0 <= n_steps - ramp.end < ramp.frequency


def test_a_ramp_may_not_outlast_its_epochs():
    with pytest.raises(ValueError, match="pruner.end_step=41 must be at most 40, the steps in ramp_epochs=4"):
        ramp_of(PrunerSettings(end_step=41), 0.5, 40)
    assert ramp_of(PrunerSettings(begin_step=4, end_step=33, frequency=10), 0.5, 40).end == 24


def test_rounds_leave_equal_fractions():
    """0.2 pruned first, 0.9 in two rounds: 0.8 left, then 0.8 * sqrt(1/8), then 0.1."""
    sparsities = [round_sparsity(0.2, 0.9, number, 2) for number in (0, 1, 2)]
    assert sparsities == pytest.approx([0.2, 1 - 0.8 * 8**-0.5, 0.9])


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"final_sparsity": {"a*": 0.2, "b": -0.5}}, "pruner.final_sparsity=-0.5 must be below 1"),
        ({"final_sparsity": {}}, "pruner.final_sparsity={} must name at least one sparsity"),
        ({"final_sparsity": {"a": 0.2}, "layers": ["a"]}, r"pruner.layers=\['a'\] must be null if"),
        ({"final_sparsity": "auto", "candidates": [0.5, 1.5]}, "pruner.candidates=1.5 must be below 1"),
        ({"schedule": "linear"}, "pruner.schedule=linear must be one of polynomial, constant"),
        ({"block_size": [4]}, r"pruner.block_size=\[4\] must be two numbers of at least 1"),
        ({"sparsity_2_by_4": True, "final_sparsity": 0.5, "block_size": [1, 4]}, r"must be \[1, 1\] if"),
        ({"sparsity_2_by_4": True, "final_sparsity": 0.5, "begin_step": 3}, "pruner.begin_step=3 must be left out"),
        ({"criterion": "saliency", "schedule": "constant"}, "schedule=constant must be left out if criterion=sal"),
        ({"begin_step": -1}, "pruner.begin_step=-1 must be at least 0"),
        ({"begin_step": 9, "end_step": 9}, "pruner.end_step=9 must be above begin_step=9"),
        ({"frequency": 0}, "pruner.frequency=0 must be at least 1"),
        ({"budget": -0.1}, "pruner.budget=-0.1 must be at least 0"),
        ({"min_gzip_gain": 1.0}, "pruner.min_gzip_gain=1.0 must be at least 0 and below 1"),
    ],
)
def test_settings_that_contradict_each_other_are_named(wrong, text):
    with pytest.raises(ValueError, match=text):
        PrunerSettings(**wrong)
