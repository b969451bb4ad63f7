"""The baseline of a local run: the latest blessed model that is not the candidate itself."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy


class LatestOtherBlessedStrategy(LatestBlessedModelStrategy):
    """TFX's strategy with a third channel, `candidate`, whose model is left out.

    A run repeated without a change finds its own model blessed. Compared with itself it would be judged again; left
    out, every node's inputs are those of the first run, and so comes the whole run from the cache.
    """

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """See ResolverStrategy; `input_dict` has the channels model, model_blessing and candidate."""
        candidates = {model.id for model in input_dict["candidate"]}
        others = [model for model in input_dict["model"] if model.id not in candidates]
        resolved = super().resolve_artifacts(store, {"model": others, "model_blessing": input_dict["model_blessing"]})
        return None if resolved is None else {**resolved, "candidate": input_dict["candidate"]}
