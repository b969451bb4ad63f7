"""The report's numbers about data and compression, from distributions and masks written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from farebox.components.data_gate.distributions import Distribution
from farebox.components.reporter import compression, statistics


def numbers(values) -> Distribution:
    return Distribution(100, quantiles=np.asarray(values, np.float64))


def test_a_histogram_of_numbers_has_the_bins_of_train():
    """Train is uniform over 0 to 100; the other lies in its upper half, with a tail that counts in the last bin."""
    train, test = np.linspace(0, 100, 101) + 0.25, np.linspace(50, 150, 101) + 0.25
    parts = {"train": {"km": numbers(train)}, "test": {"km": numbers(test)}}
    found = statistics.histogram("km", parts)
    assert (found["edges"][0], found["edges"][-1], len(found["edges"])) == (1.25, 99.25, 25)
    assert found["reach"] == [0.25, 150.25]
    for shares in found["shares"].values():
        assert sum(shares) == pytest.approx(1.0, abs=2e-3)
    assert found["shares"]["train"][5] == pytest.approx(1 / 24, abs=3e-3)
    assert found["shares"]["test"][:11] == [0.0] * 11 and found["shares"]["test"][-1] > 0.5


@pytest.mark.parametrize(("value", "n_edges"), [(3.0, 2), (3.5, 25)])
def test_a_number_that_never_varies_is_one_bin(value, n_edges):
    found = statistics.histogram("n", {"train": {"n": numbers(np.full(101, value))}})
    assert sum(found["shares"]["train"]) == pytest.approx(1.0) and max(found["shares"]["train"]) == 1.0
    assert len(found["edges"]) == n_edges


def test_whole_numbers_have_a_bin_each():
    """Between 0 and 1 there is nothing; 2 of the other part is not in train and counts in the last bin."""
    parts = {"train": {"era": numbers([0] * 90 + [1] * 10)}, "test": {"era": numbers([0] * 50 + [1] * 25 + [2] * 25)}}
    assert statistics.histogram("era", parts) == {
        "edges": [-0.5, 0.5, 1.5],
        "reach": [0, 2],
        "shares": {"train": [0.9, 0.1], "test": [0.5, 0.5]},
    }


def test_values_of_a_category_are_in_their_order():
    parts = {"train": {"day": Distribution(9, shares={"10": 0.1, "2": 0.6, "x": 0.3})},
             "test": {"day": Distribution(9, shares={"2": 1.0})}}  # fmt: skip
    assert statistics.histogram("day", parts) == {
        "values": ["2", "10", "x"],
        "shares": {"train": [0.6, 0.1, 0.3], "test": [1.0, 0.0, 0.0]},
    }


def test_a_mask_is_runs_of_kept_weights():
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 1]], bool)
    assert compression.mask_runs(mask) == {"shape": [3, 4], "kept": 0.5, "runs": [[0, 0, 2], [0, 3, 1], [2, 1, 3]]}
