"""The baseline of a local run: the latest model that every gate blessed, neither the candidate nor rolled back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy

from farebox.components.atomic_pusher.history import HISTORY_FILE, History
from farebox.components.atomic_pusher.manifest import NAME_DIGITS


class LatestOtherBlessedStrategy(LatestBlessedModelStrategy):
    """TFX's strategy with two more channels: `candidate`, whose model is left out, and `infra_blessing`.

    A run repeated without a change finds its own model blessed. Compared with itself it would be judged again; left
    out, every node's inputs are those of the first run, and so comes the whole run from the cache.
    models_dir: where a person may have rolled versions back, which no longer count.
    """

    def __init__(self, models_dir: str) -> None:
        self._models_dir = models_dir

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """See ResolverStrategy; `input_dict` has the channels model, model_blessing, infra_blessing and candidate."""
        candidates = {model.id for model in input_dict["candidate"]}
        others = [model for model in input_dict["model"] if model.id not in candidates]
        blessings = still_good(input_dict, self._models_dir)
        resolved = super().resolve_artifacts(store, {"model": others, "model_blessing": blessings})
        return None if resolved is None else {**input_dict, **resolved}


def still_good(channels: Mapping[str, Sequence[types.Artifact]], models_dir: str) -> list[types.Artifact]:
    """The ModelBlessings of files that an InfraBlessing blesses too and nobody rolled back in `models_dir`.

    Both kinds of blessing name the SHA-256 of what they are about.
    """
    fit = {_sha256(blessing) for blessing in channels["infra_blessing"] if blessing.get_int_custom_property("blessed")}
    history = Path(models_dir) / HISTORY_FILE
    rolled_back = History.parse(history.read_bytes(), models_dir).rolled_back if history.is_file() else ()
    return [
        blessing
        for blessing in channels["model_blessing"]
        if _sha256(blessing) in fit and _sha256(blessing)[:NAME_DIGITS] not in rolled_back
    ]


def _sha256(blessing: types.Artifact) -> str:
    return blessing.get_string_custom_property("sha256")
