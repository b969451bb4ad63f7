"""How PcaReducer chooses k: bisection by hand, with errors as a function of k instead of networks."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.pca_reducer import selection
from components.pca_reducer.pca import Axes
from components.pca_reducer.settings import ReducerSettings


def falling(k: int) -> selection.Trial:
    """RMSE 10 / k: 2.5, 1.25, 0.833, 0.625 at 4, 8, 12, 16."""
    return selection.Trial(k, 10 / k, None)


def flat(n: int) -> Axes:
    return Axes(np.zeros(n), np.eye(n), np.ones(n))


@pytest.mark.parametrize(
    ("bound", "n_features", "k", "tried"),
    [
        (1.25, 16, 8, [8, 4]),  # exactly on the bound holds
        (0.7, 16, 16, [8, 12, 16]),
        (9.0, 16, 4, [8, 4]),
        (1.1, 10, 10, [8, 10]),  # candidates 4, 8 and 10: the last is no multiple of four
        (9.0, 3, 3, [3]),
    ],
)
def test_bisection_by_hand(bound, n_features, k, tried):
    best, trials = selection.smallest_within(bound, n_features, falling)
    assert best.k == k and best.error <= bound
    assert [trial.k for trial in trials] == tried


def test_where_no_k_holds_full_rank_is_the_answer():
    best, trials = selection.smallest_within(0.1, 16, falling)
    assert best.k == 16 and best.error > 0.1
    assert [trial.k for trial in trials] == [8, 12, 16]


@given(errors=st.lists(st.floats(0.1, 10), min_size=6, max_size=6), bound=st.floats(0.1, 10))
def test_noise_may_cost_a_smaller_k_but_never_the_bound(errors, bound):
    by_k = dict(zip((4, 8, 12, 16, 20, 24), errors, strict=True))
    best, trials = selection.smallest_within(bound, 24, lambda k: selection.Trial(k, by_k[k], None))
    assert best in trials
    assert best.error <= bound or all(trial.error > bound for trial in trials)


def test_auto_says_whether_the_budget_holds():
    settings = ReducerSettings(n_components="auto", budget=0.25)
    best, trials, why = selection.choose(settings, flat(16), 1.0, falling)
    assert (best.k, len(trials)) == (8, 2)
    assert why == "the smallest k within the budget of 25.00% over eval error 1.0000"
    best, _, why = selection.choose(settings, flat(16), 0.1, falling)
    assert best.k == 16 and why.startswith("no k holds the budget of 25.00%")


def test_a_number_is_taken_as_it_is_and_a_fraction_counts_variance():
    best, trials, why = selection.choose(ReducerSettings(n_components=5), flat(16), 1.0, falling)
    assert (best.k, trials, why) == (5, [best], "fixed by reducer.n_components")
    best, _, why = selection.choose(ReducerSettings(n_components=0.6), flat(16), 1.0, falling)
    assert best.k == 12  # 9.6 of 16 equal axes, rounded up
    assert why == "explains at least 0.6 of the variance, rounded up to a multiple of 4"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        *(
            ({"n_components": n}, f"reducer.n_components={n} must be an int >= 1, a fraction between 0 and 1, or auto")
            for n in (0, 1.0, 1.5, 0.0, True, "Auto")
        ),
        ({"budget": -0.1}, "reducer.budget=-0.1 must be at least 0"),
        ({"fine_tune_epochs": 0}, "reducer.fine_tune_epochs=0 must be at least 1"),
    ],
)
def test_a_wrong_setting_is_named_with_its_bound(fields, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        ReducerSettings(**fields)
