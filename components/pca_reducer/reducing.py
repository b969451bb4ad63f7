"""PcaReducer's choice on one network: components, a fold and a fine-tuning for each k tried, and the k to keep."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks import examples_io, fine_tuning
from farebox.components.networks.allowance import Allowance
from farebox.components.networks.candidates import Candidate
from farebox.components.networks.memo import Memo
from farebox.components.networks.objective import Objective, objective_of
from farebox.components.networks.rows import Batch
from farebox.components.pca_reducer import folding, methods, selection
from farebox.components.pca_reducer.axes import Axes
from farebox.components.pca_reducer.kernel import kernel_axes
from farebox.components.pca_reducer.moments import Summary
from farebox.components.pca_reducer.selection import Trial
from farebox.components.pca_reducer.settings import ANALYSIS_ONLY, ReducerSettings

NOT_FOLDED = "for analysis only: codes of {} are no affine function of the features, the network is passed on unchanged"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """axes: the k chosen ones, or all if none was chosen; curve: all axes of the method, for the scree plot.

    chosen: `source` if the network is passed on as it is. holding: `chosen` and what holds shares of the budget.
    """

    axes: Axes
    curve: Axes
    source: Trial
    chosen: Trial
    trials: list[Trial]
    why: str
    holding: tuple[Trial, ...] = ()

    @property
    def candidates(self) -> list[Candidate]:
        """The networks to choose among when the whole budget is spent, smallest first; the source is the last."""
        folded = [Candidate(each.network, each.error, each.expected_error, each.k) for each in self.holding]
        return [*folded, Candidate(self.source.network, self.source.error, self.source.error)]

    @property
    def is_folded(self) -> bool:
        return self.chosen is not self.source

    @property
    def is_skipped(self) -> bool:
        """Whether no fold paid, although one was wanted: then the network keeps all its features."""
        return not self.is_folded and self.axes.method not in ANALYSIS_ONLY

    @property
    def k(self) -> int:
        return self.source.k if self.is_skipped else len(self.axes)

    @property
    def kept(self) -> float:
        """The kept share of the variance."""
        return 1.0 if self.is_skipped else float(self.axes.explained_variance_ratio.sum())


def reduce_network(
    network: keras.Model,
    settings: ReducerSettings,
    summary: Summary,
    train: Iterable[Batch],
    evaluation: Iterable[Batch],
    *,
    objective: Objective | None = None,
    unlabelled: Iterable[Batch] = (),
    allowance: Allowance | None = None,
    memo: Memo | None = None,
) -> Outcome:
    """The network at the k that the settings ask for, or passed on as it is.

    summary: of train's features, those of the settings' space. objective: by default as the network's last layer says.
    unlabelled: further rows on which the expected error must hold, too. allowance: of CPU time, by default the
    settings'. memo: keeps networks; its basis must have the rows and the settings. Raises InputError if the network
    cannot be taken apart at the chosen layer, or the method does not have this k or does not take these features.
    """
    objective = objective or objective_of(network)
    error = examples_io.network_error(network, evaluation, objective).error
    width = folding.n_features(network, settings.layer, settings.space)
    source = Trial(width, error, network, error, network.count_params())
    if settings.method in ANALYSIS_ONLY:
        if settings.method == "nmf" and not settings.shift:
            methods.check_non_negative(summary, folding.feature_names(network, settings.layer, settings.space))
        return analysis_only(settings, summary, source)
    curve, best = methods.fit(settings, summary, objective.n_classes)
    imitating = fine_tuning.imitating(train, network, objective)

    def fitted(folded: keras.Model, start: float) -> keras.Model:
        fine_tuning.fine_tune(
            folded,
            imitating,
            evaluation,
            epochs=settings.fine_tune_epochs,
            learning_rate=settings.learning_rate,
            shuffle=np.random.RandomState(settings.seed),
            objective=objective,
            start_error=start,
        )
        return folded

    def attempt(k: int) -> Trial:
        keras.utils.set_random_seed(settings.seed)
        folded = folding.fold(network, settings.layer, best(k), settings.space)
        start = examples_io.network_error(folded, evaluation, objective).error
        folded = (memo or Memo()).network(lambda: fitted(folded, start), network, f"reduced {settings.layer} k={k}")
        reached = examples_io.network_error(folded, evaluation, objective).error
        expected = max(
            examples_io.expected_error(folded, network, error, rows, objective)
            for rows in (evaluation, unlabelled)
            if rows != ()
        )
        return Trial(k, reached, folded, start, folded.count_params(), expected)

    def parameters_at(k: int) -> int:
        return folding.folded_parameters(network, settings.layer, k)

    if settings.n_components == "auto":
        allowance = allowance or Allowance("PcaReducer", settings.search_s)
        kept, trials, why = selection.within_budget(
            settings, source, len(curve), parameters_at, attempt, is_left=allowance.is_left
        )
        if not kept:
            return Outcome(curve, curve, source, source, trials, f"{why}; the network is passed on unchanged")
    else:
        k, why = selection.fixed(settings, curve)
        kept = trials = [attempt(k)]
    return Outcome(best(kept[0].k), curve, source, kept[0], trials, why, tuple(kept))


def analysis_only(settings: ReducerSettings, summary: Summary, source: Trial) -> Outcome:
    """NMF's parts or kernel PCA's components. No affine map leads from features to their codes: nothing can be folded.

    Raises InputError if there are fewer than requested.
    """
    n, largest = settings.n_components, source.k
    if settings.method == "kernel_pca":
        curve = kernel_axes(summary, standardize=settings.standardize, seed=settings.seed)
        k, why = selection.fixed(settings, curve)
        return Outcome(curve.first(k), curve, source, source, [], f"{why}; {NOT_FOLDED.format(settings.method)}")
    if isinstance(n, int):
        if n > largest:
            raise InputError(f"reducer.n_components={n} must be between 1 and {largest}: method=nmf has no more")
        parts, why = methods.non_negative_parts(summary, n, settings.seed), "fixed by reducer.n_components"
    else:
        parts, why = parts_for(float(n), largest, summary, settings.seed)
    return Outcome(parts, parts, source, source, [], f"{why}; {NOT_FOLDED.format(settings.method)}")


def parts_for(fraction: float, largest: int, summary: Summary, seed: int) -> tuple[Axes, str]:
    """The fewest parts, by bisection over multiples of four, that explain the fraction; else all."""

    axes_by_k: dict[int, Axes] = {}

    def attempt(k: int) -> Trial:
        axes_by_k[k] = methods.non_negative_parts(summary, k, seed)
        return Trial(k, 1 - float(axes_by_k[k].explained_variance_ratio.sum()))

    best, _ = selection.smallest_within(1 - fraction, selection.multiples(largest), attempt)
    if best:
        return axes_by_k[best.k], f"explains at least {fraction} of the variance, in steps of {selection.MULTIPLE}"
    return axes_by_k[largest], f"as many parts as features, {largest}, do not explain {fraction} of the variance"
