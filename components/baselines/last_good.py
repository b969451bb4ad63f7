"""The last good model: the newest one that both gates bless and that is neither rolled back nor a dropped candidate.

On a cluster, where no resolver of ours runs, LATEST names the last good version: see `latest_pushed`.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.common.resolver import ResolverStrategy

from farebox.components.atomic_pusher.history import HISTORY_FILE, History
from farebox.components.atomic_pusher.manifest import NAME_DIGITS

Channels = Mapping[str, Sequence[types.Artifact]]


class LastGoodModelStrategy(ResolverStrategy, abc.ABC):
    """Resolves CHANNEL to the artifact behind the last good model, or to none.

    Models that were made of a `candidate` are left out. After a run, its own model is blessed; a repeated run must not
    find it: with the inputs of the first run, the whole run comes from the cache. models_dir: folder of the versions.
    """

    CHANNEL: ClassVar[str]

    def __init__(self, models_dir: str) -> None:
        self._models_dir = models_dir

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """See ResolverStrategy; reads the channels model, model_blessing, infra_blessing, candidate and CHANNEL."""
        artifacts = {artifact.id: artifact for artifact in input_dict[self.CHANNEL]}
        candidates = {artifact.id for artifact in input_dict["candidate"]}
        for model in good_models(input_dict, self._models_dir):
            if sources := self.sources(store, model, candidates) & artifacts.keys():
                return {**input_dict, self.CHANNEL: [artifacts[max(sources)]]}
        return {**input_dict, self.CHANNEL: []}

    @abc.abstractmethod
    def sources(self, store: Any, model: int, candidates: set[int]) -> set[int]:
        """Ids of the artifacts behind a model; empty if the model was made of one of the candidates."""


def good_models(channels: Channels, models_dir: str) -> list[int]:
    """Ids of the good models in the channel `model`, the newest first."""
    blessed = {
        blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY)
        for blessing in good_blessings(channels, models_dir)
        if blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) == constants.BLESSED_VALUE
    }
    return sorted(blessed & {model.id for model in channels["model"]}, reverse=True)


def good_blessings(channels: Channels, models_dir: str) -> list[types.Artifact]:
    """The ModelBlessings, positive or not, of files that DeviceValidator blesses and no HISTORY bars.

    Blessings of the same file have the same custom property sha256. models_dir: folder of the versions.
    """
    fit = {
        sha256_of(blessing) for blessing in channels["infra_blessing"] if blessing.get_int_custom_property("blessed")
    }
    history = Path(models_dir) / HISTORY_FILE
    barred = History.parse(history.read_bytes(), models_dir).barred if history.is_file() else ()
    return [
        blessing
        for blessing in channels["model_blessing"]
        if sha256_of(blessing) in fit and sha256_of(blessing)[:NAME_DIGITS] not in barred
    ]


def sha256_of(blessing: types.Artifact) -> str:
    """SHA-256 of the file that a blessing is about."""
    return str(blessing.get_string_custom_property("sha256"))
