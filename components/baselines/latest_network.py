"""The network that a warm start begins with: the one that the last good model was converted from."""

from __future__ import annotations

from typing import Any

from farebox.components.baselines import lineage
from farebox.components.baselines.last_good import LastGoodModelStrategy


class LatestNetworkStrategy(LastGoodModelStrategy):
    """Resolves `model` to the input `network_key` of the execution that made the last good model, or to none.

    candidate: examples that the same execution reads as `examples_key`.
    """

    CHANNEL = "model"

    def __init__(self, models_dir: str, network_key: str, examples_key: str) -> None:
        super().__init__(models_dir)
        self._network_key, self._examples_key = network_key, examples_key

    def sources(self, store: Any, model: int, candidates: set[int]) -> set[int]:
        """See LastGoodModelStrategy."""
        inputs = lineage.inputs_by_key(store, {model})
        if inputs.get(self._examples_key, set()) & candidates:
            return set()
        return inputs.get(self._network_key, set())
