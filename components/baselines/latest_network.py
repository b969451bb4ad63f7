"""The network that training may begin with: the one that the latest blessed model was made of."""

from __future__ import annotations

from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy

from farebox.components.baselines.latest_blessed import still_good
from farebox.components.baselines.latest_statistics import blessed_models, events_of, is_output


class LatestNetworkStrategy(ResolverStrategy):
    """Resolves `model` to one artifact, or none: what the blessed model's maker read under the name `network_key`.

    Models whose maker read one of the `candidate` examples under `examples_key` are left out: a run repeated without a
    change begins where it began the first time, and so comes from the cache. models_dir: where versions may be rolled
    back, which do not count.
    """

    def __init__(self, models_dir: str, network_key: str, examples_key: str) -> None:
        self._models_dir, self._network_key, self._examples_key = models_dir, network_key, examples_key

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """See ResolverStrategy; the channels are model, model_blessing, infra_blessing and candidate."""
        known = {artifact.id: artifact for artifact in input_dict["model"]}
        candidates = {artifact.id for artifact in input_dict["candidate"]}
        for model in sorted(blessed_models(still_good(input_dict, self._models_dir)) & known.keys(), reverse=True):
            read = inputs_by_key(store, model)
            networks = read.get(self._network_key, set()) & known.keys()
            if networks and not read.get(self._examples_key, set()) & candidates:
                return {**input_dict, "model": [known[max(networks)]]}
        return {**input_dict, "model": []}


def inputs_by_key(store: Any, artifact: int) -> dict[str, set[int]]:
    """Ids of what the makers of an artifact read, by the inputs' names."""
    makers = sorted({event.execution_id for event in events_of(store, {artifact}) if is_output(event)})
    found: dict[str, set[int]] = {}
    for event in store.get_events_by_execution_ids(makers) if makers else ():
        if event.type == metadata_store_pb2.Event.INPUT:
            found.setdefault(event.path.steps[0].key, set()).add(event.artifact_id)
    return found
