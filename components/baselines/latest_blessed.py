"""The baseline of a local run: the last good model, except the candidate itself."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy

from farebox.components.baselines.last_good import good_blessings


class LatestOtherBlessedStrategy(LatestBlessedModelStrategy):
    """TFX's strategy with two more channels: `candidate`, whose model is left out, and `infra_blessing`.

    After a run, its own model is blessed. A repeated run must not compare the model with itself: without it, the inputs
    of every node are those of the first run, so the whole run comes from the cache. models_dir: folder of the versions.
    """

    def __init__(self, models_dir: str) -> None:
        self._models_dir = models_dir

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """See ResolverStrategy; `input_dict` has the channels model, model_blessing, infra_blessing and candidate."""
        candidates = {model.id for model in input_dict["candidate"]}
        models = [model for model in input_dict["model"] if model.id not in candidates]
        blessings = good_blessings(input_dict, self._models_dir)
        resolved = super().resolve_artifacts(store, {"model": models, "model_blessing": blessings})
        return None if resolved is None else {**input_dict, **resolved}
