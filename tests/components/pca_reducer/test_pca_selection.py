"""How PcaReducer chooses k: bisection by hand, with errors as a function of k instead of networks."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.components.networks.allowance import Allowance
from farebox.components.pca_reducer import selection
from farebox.components.pca_reducer.axes import Axes
from farebox.components.pca_reducer.selection import Trial
from farebox.components.pca_reducer.settings import ReducerSettings


def falling(k: int) -> Trial:
    """RMSE 10 / k: 2.5, 1.25, 0.833, 0.625 at 4, 8, 12, 16."""
    return Trial(k, 10 / k)


def curve(*explained_variance: float, total: float | None = None) -> Axes:
    n = len(explained_variance)
    explained = np.array(explained_variance, float)
    return Axes("pca", np.zeros(n), np.ones(n), np.eye(n), np.eye(n), explained, total or explained.sum())


@pytest.mark.parametrize(("k", "n", "rounded"), [(1, 16, 4), (4, 16, 4), (5, 16, 8), (5, 6, 6), (9, 10, 10), (1, 3, 3)])
def test_k_is_rounded_up_to_a_multiple_of_four(k, n, rounded):
    assert selection.round_up(k, n) == rounded


@pytest.mark.parametrize(("largest", "candidates"), [(16, [4, 8, 12, 16]), (10, [4, 8, 10]), (3, [3])])
def test_candidates_by_hand(largest, candidates):
    assert selection.multiples(largest) == candidates


@pytest.mark.parametrize(
    ("fraction", "k"),
    [
        (0.5, 4),  # the first axis alone
        (0.9375, 4),  # exactly the first four
        (0.94, 8),  # a fifth is needed
        (0.999, 8),
    ],
)
def test_a_fraction_counts_variance(fraction, k):
    """Sixteenths 8 4 2 1 1 and three dead units: cumulative 0.5, 0.75, 0.875, 0.9375, 1."""
    n_components, why = selection.fixed(ReducerSettings(n_components=fraction), curve(8, 4, 2, 1, 1, 0, 0, 0))
    assert n_components == k and why == f"explains at least {fraction} of the variance, rounded up to a multiple of 4"


def test_a_fraction_forgives_the_last_bit():
    """Eight tenths add up to 0.7999999999999999 in float64."""
    assert selection.needed_for(np.full(10, 0.1), 0.8) == 8


def test_a_fraction_that_a_method_does_not_reach_takes_all():
    """Five components that explain 9 of 12."""
    settings = ReducerSettings(n_components=0.9, method="lda")
    n_components, why = selection.fixed(settings, curve(4, 2, 1, 1, 1, total=12))
    assert n_components == 5 and why == "all that method=lda has: they explain 0.7500 of the variance, below 0.9"


def test_a_number_is_taken_as_it_is():
    assert selection.fixed(ReducerSettings(n_components=5), curve(*[1] * 5)) == (5, "fixed by reducer.n_components")
    text = "reducer.n_components=6 must be between 1 and 5: method=pca has no more"
    with pytest.raises(ValueError, match=f"^{text}$"):
        selection.fixed(ReducerSettings(n_components=6), curve(*[1] * 5))


@pytest.mark.parametrize(
    ("bound", "largest", "k", "tried"),
    [
        (1.25, 16, 8, [8, 4]),  # exactly on the bound holds
        (0.7, 16, 16, [8, 12, 16]),
        (9.0, 16, 4, [8, 4]),
        (1.1, 10, 10, [8, 10]),
        (9.0, 3, 3, [3]),
        (0.1, 16, None, [8, 12, 16]),
    ],
)
def test_bisection_by_hand(bound, largest, k, tried):
    best, trials = selection.smallest_within(bound, selection.multiples(largest), falling)
    assert (best and best.k) == k
    assert [trial.k for trial in trials] == tried


@given(errors=st.lists(st.floats(0.1, 10), min_size=6, max_size=6), bound=st.floats(0.1, 10))
def test_noise_may_cost_a_smaller_k_but_never_the_bound(errors, bound):
    by_k = dict(zip((4, 8, 12, 16, 20, 24), errors, strict=True))
    best, trials = selection.smallest_within(bound, list(by_k), lambda k: Trial(k, by_k[k]))
    assert (best in trials and best.error <= bound) if best else all(trial.error > bound for trial in trials)


def auto(source_error: float, parameters_at, largest: int = 16, budget: float = 0.25):
    source = Trial(largest, source_error, parameters=100)
    settings = ReducerSettings(n_components="auto", budget=budget)
    return selection.within_budget(settings, source, largest, parameters_at, falling)


def test_auto_takes_the_smallest_k_that_holds_and_those_within_shares_of_the_budget():
    """By hand: k=8 holds 1.25, and k=12 a half and a quarter of the increase."""
    kept, trials, why = auto(1.0, lambda k: 6 * k)
    assert ([trial.k for trial in kept], [trial.k for trial in trials]) == ([8, 12], [8, 4, 12])
    assert why == "the smallest k within the budget of 25.00% over eval error 1.0000"


def test_auto_holds_the_budget_against_what_is_expected_too():
    """k=4 beats the source on eval by chance, with predictions so far from its own that 1.3 is expected."""
    source = Trial(16, 1.0, parameters=100)
    expected = {4: 1.3, 8: 1.2, 12: 1.1, 16: 1.0}
    (first, *_), trials, _ = selection.within_budget(
        ReducerSettings(budget=0.25), source, 16, lambda k: 6 * k, lambda k: Trial(k, 0.9, expected_error=expected[k])
    )
    assert (first.k, [trial.k for trial in trials][:2]) == (8, [8, 4])


def test_without_time_auto_keeps_the_first_k_that_it_found(caplog):
    """The shares are left out, and the log says so."""
    source, allowance = Trial(16, 1.0, parameters=100), Allowance("PcaReducer", 0.0)
    with caplog.at_level("WARNING"):
        kept, trials, _ = selection.within_budget(
            ReducerSettings(budget=0.25), source, 16, lambda k: 6 * k, falling, is_left=allowance.is_left
        )
    assert ([trial.k for trial in kept], [trial.k for trial in trials]) == ([8], [8, 4])
    assert allowance.is_cut and caplog.messages == [
        "PcaReducer: 0 CPU seconds are over: not tried: the smallest k within 50% of the budget, and what follows; "
        "more time may find a smaller file"
    ]


def test_auto_tries_only_what_shrinks_the_network():
    """12 and 16 components would hold the budget, with 108 and 144 parameters against 100."""
    kept, trials, why = auto(0.7, lambda k: 9 * k)
    assert kept == [] and [trial.k for trial in trials] == [4, 8]
    assert why == (
        "skipped: none of the k that shrink the network, up to 8, holds the budget of 25.00% over eval error 0.7000; "
        "the best, k=8, has 1.2500 and is expected to have 0.0000, bound 0.8750"
    )


def test_auto_tries_nothing_where_nothing_shrinks():
    assert auto(1.0, lambda k: 100 + k) == (
        [], [], "skipped: no k has fewer parameters than the source's 100; the least is 104",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        *(
            ({"n_components": n}, f"reducer.n_components={n} must be an int >= 1, a fraction between 0 and 1, or auto")
            for n in (0, 1.0, 1.5, 0.0, True, "Auto")
        ),
        ({"budget": -0.1}, "reducer.budget=-0.1 must be at least 0 and finite, or null"),
        ({"fine_tune_epochs": 0}, "reducer.fine_tune_epochs=0 must be at least 1"),
        ({"sample_rows": 1}, "reducer.sample_rows=1 must be at least 2"),
        ({"label_bins": 1}, "reducer.label_bins=1 must be at least 2"),
        ({"learning_rate": 0.0}, "reducer.learning_rate=0.0 must be above 0 and finite"),
        ({"space": "output"}, "reducer.space=output must be one of preactivation, input"),
        ({"method": "tsne"}, "reducer.method=tsne must be one of pca, svd, sparse_pca, ica, pls, lda, nmf, kernel_pca"),
        (
            {"method": "nmf"},
            "reducer.space=preactivation must be input with method=nmf: pre-activations are negative",
        ),
        (
            {"method": "nmf", "space": "input", "standardize": True},
            "reducer.standardize=True must be False with method=nmf: features must keep their zero",
        ),
        (
            {"method": "nmf", "space": "input", "whiten": True},
            "reducer.whiten=True must be False with method=nmf: it is not folded into the network",
        ),
        (
            {"method": "nmf", "space": "input", "n_components": "auto"},
            "reducer.n_components=auto must be an int or a fraction with method=nmf: "
            "it is not folded into the network, so that no eval error follows from k",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_bound(fields, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        ReducerSettings(**fields)
