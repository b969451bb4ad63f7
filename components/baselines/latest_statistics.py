"""The statistics that data are compared with: those of the run that led to the latest blessed model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.common.resolver import ResolverStrategy

from farebox.components.baselines.latest_blessed import still_good

STATISTICS_GEN = ".StatisticsGen"  # how the type name of its executions ends
EXAMPLES, STATISTICS = "Examples", "ExampleStatistics"


class LatestBlessedStatisticsStrategy(ResolverStrategy):
    """Resolves `statistics` to one artifact, or none, of those in the channel.

    The walk is up from the model: to the examples that it was made of, and from them to what StatisticsGen said of
    them. Models of the `candidate`'s own statistics are left out: a run repeated without a change finds its own model
    blessed, and with another baseline DataGate would judge again. Left out, its inputs are those of the first run, and
    so comes the whole run from the cache. models_dir: where versions may be rolled back, which do not count.
    """

    def __init__(self, models_dir: str) -> None:
        self._models_dir = models_dir

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]] | None:
        """See ResolverStrategy; the channels are statistics, model, model_blessing, infra_blessing and candidate."""
        known = {artifact.id: artifact for artifact in input_dict["statistics"]}
        candidates = {artifact.id for artifact in input_dict["candidate"]}
        models = {artifact.id for artifact in input_dict["model"]}
        for model in sorted(models & blessed_models(still_good(input_dict, self._models_dir)), reverse=True):
            found = statistics_behind(store, model)
            if found & known.keys() and not found & candidates:
                return {**input_dict, "statistics": [known[max(found & known.keys())]]}
        return {**input_dict, "statistics": []}


def blessed_models(blessings: Iterable[types.Artifact]) -> set[int]:
    """Ids of the models that ModelBlessings bless."""
    return {
        blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY)
        for blessing in blessings
        if blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) == constants.BLESSED_VALUE
    }


def statistics_behind(store: Any, model: int) -> set[int]:
    """Ids of the ExampleStatistics of the nearest Examples, up from a model, that StatisticsGen has read."""
    for generation in ancestors(store, model):
        for examples in sorted(of_type(store, generation, EXAMPLES), reverse=True):
            if found := statistics_of(store, examples):
                return found
    return set()


def ancestors(store: Any, artifact: int) -> Iterator[set[int]]:
    """Ids of the artifacts that an artifact was made of, then of those that these were made of, and so on.

    From the cache an artifact has several producers, with the same inputs. Resolvers are no producers: their events
    are internal ones.
    """
    seen, generation = {artifact}, {artifact}
    while generation:
        made = {event.execution_id for event in events_of(store, generation) if is_output(event)}
        read = store.get_events_by_execution_ids(sorted(made)) if made else []
        generation = {event.artifact_id for event in read if event.type == metadata_store_pb2.Event.INPUT} - seen
        seen |= generation
        if generation:
            yield generation


def statistics_of(store: Any, examples: int) -> set[int]:
    """Ids of the ExampleStatistics that StatisticsGen's executions made of an Examples artifact."""
    readers = {event.execution_id for event in events_of(store, {examples}) if not is_output(event)}
    executions = store.get_executions_by_id(sorted(readers)) if readers else []
    types_by_id = {kind.id: kind.name for kind in store.get_execution_types()}
    wanted = [each.id for each in executions if types_by_id[each.type_id].endswith(STATISTICS_GEN)]
    events = store.get_events_by_execution_ids(wanted) if wanted else []
    return of_type(store, {event.artifact_id for event in events if is_output(event)}, STATISTICS)


def of_type(store: Any, artifacts: Iterable[int], name: str) -> set[int]:
    """Those of the artifacts whose type has this name."""
    ids = sorted(artifacts)
    found = store.get_artifacts_by_id(ids) if ids else []
    wanted = {kind.id for kind in store.get_artifact_types() if kind.name == name}
    return {artifact.id for artifact in found if artifact.type_id in wanted}


def events_of(store: Any, artifacts: Iterable[int]) -> list[Any]:
    """All events that name one of the artifacts."""
    return list(store.get_events_by_artifact_ids(sorted(artifacts)))


def is_output(event: Any) -> bool:
    """Whether its execution made the artifact, or found it in the cache."""
    return event.type == metadata_store_pb2.Event.OUTPUT
