"""PcaReducer and Pruner on a network: the candidates among which the search of the whole budget chooses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from farebox.components.compression.coverage import Coverage
from farebox.components.compression.rows import BATCH_ROWS, Split
from farebox.components.errors import InputError, fault_of
from farebox.components.networks.allowance import Allowance
from farebox.components.networks.candidates import Candidate
from farebox.components.networks.memo import Memo
from farebox.components.networks.objective import Objective
from farebox.components.networks.rows import Batch
from farebox.components.pca_reducer import folding
from farebox.components.pca_reducer.moments import Batch as Moments
from farebox.components.pca_reducer.moments import Summary, position_hashes
from farebox.components.pca_reducer.reducing import reduce_network
from farebox.components.pca_reducer.settings import ReducerSettings
from farebox.components.pruner.selection import Search
from farebox.components.pruner.settings import PrunerSettings

OnStep = Callable[[str, str], None]


@dataclasses.dataclass(frozen=True)
class Stages:
    """fitting, held_out: rows that fit, and rows that choose. unlabelled: columns of rows with ids that they lack,
    empty if they lack none. share: the whole budget, as a fraction of the network's error."""

    fitting: Split
    held_out: Split
    unlabelled: dict[str, npt.NDArray[Any]]
    covered: Coverage
    objective: Objective
    share: float
    seed: int
    allowance: Allowance
    memo: Memo

    def candidates(self, network: keras.Model, say: OnStep) -> tuple[dict[str, keras.Model], dict[str, str]]:
        """Returns changed networks by name, the smallest first, and what each step did, in words."""
        unchanged, results = [Candidate(network, 0.0, 0.0)], dict[str, str]()
        sources, changed = unchanged, list[Candidate]()
        say("reducer", "")
        try:
            sources, results["reducer"] = self._reduced(network)
            changed = sources[:-1]
        except Exception as error:  # a network that this step cannot change is compressed without it
            results["reducer"] = f"skipped: {fault_of(error)}"
        say("reducer", results["reducer"])
        say("pruner", "")
        try:
            changed, results["pruner"] = self._pruned(sources)
        except Exception as error:
            results["pruner"] = f"skipped: {fault_of(error)}"
        say("pruner", results["pruner"])
        return {each.name or "never-trained rows zero": each.network for each in changed}, results

    def _reduced(self, network: keras.Model) -> tuple[list[Candidate], str]:
        """Raises InputError if the network cannot be taken apart."""
        self._check_traced()
        settings = ReducerSettings(n_components="auto", layer=widest_dense(network), budget=self.share, seed=self.seed)
        outcome = reduce_network(
            network, settings, self._summary(network, settings), self.fitting.batches, self.held_out.batches,
            objective=self.objective, unlabelled=self._unlabelled_batches(), allowance=self.allowance,
            memo=self.memo,
        )  # fmt: skip
        return outcome.candidates, f"{settings.layer}, k={outcome.k} of {outcome.source.k}: {outcome.why}"

    def _summary(self, network: keras.Model, settings: ReducerSettings) -> Summary:
        width = folding.n_features(network, settings.layer, settings.space)
        summary, extract = (
            Summary(width, settings.sample_rows),
            folding.extractor(network, settings.layer, settings.space),
        )
        for start in range(0, len(self.fitting), BATCH_ROWS):
            part = slice(start, start + BATCH_ROWS)
            features = extract({name: values[part] for name, values in self.fitting.columns.items()})
            hashes = position_hashes(settings.seed, "examples", start, len(features))
            summary.update(Moments(hashes, features, self.fitting.order[part]))
        return summary

    def _pruned(self, sources: list[Candidate]) -> tuple[list[Candidate], str]:
        """Raises InputError if the networks cannot be pruned."""
        self._check_traced()
        outcome = Search(
            sources, self.fitting.batches, self.held_out.batches,
            PrunerSettings(final_sparsity="auto", budget=self.share, seed=self.seed),
            trained=self.covered.trained, objective=self.objective, unlabelled=self._unlabelled_batches(),
            allowance=self.allowance, memo=self.memo,
        ).outcome()  # fmt: skip
        return outcome.candidates, outcome.why

    def _unlabelled_batches(self) -> Iterable[Batch]:
        if not self.unlabelled:
            return ()
        rows = len(next(iter(self.unlabelled.values())))
        return Split(self.unlabelled, np.zeros(rows)).batches

    def _check_traced(self) -> None:
        """Raises InputError if the rows lack ids that no row can be made with: fine-tuning would forget them unseen."""
        if self.covered.untraced:
            raise InputError(
                f"the rows lack {self.covered.untraced_text}, whose ids are computed; give rows that use them, or "
                "name what training had with trained_ids"
            )


def widest_dense(network: keras.Model) -> str:
    """Returns the widest Dense layer with a bias except the last; the last if it is alone, `none` without any."""
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense) and layer.use_bias]
    if not dense:
        return "none"
    return str(max(dense[:-1] or dense, key=lambda layer: layer.kernel.shape[0] * layer.units).name)
