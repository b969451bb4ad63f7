"""The statistics that new data are compared with: those of the data behind the last good model."""

from __future__ import annotations

from typing import Any

from farebox.components.baselines import lineage
from farebox.components.baselines.last_good import LastGoodModelStrategy

STATISTICS_GEN = ".StatisticsGen"  # end of the type name of its executions
EXAMPLES, STATISTICS = "Examples", "ExampleStatistics"


class LatestBlessedStatisticsStrategy(LastGoodModelStrategy):
    """Resolves `statistics` to the statistics of the data that the last good model was made of, or to none.

    candidate: the statistics of the new data.
    """

    CHANNEL = "statistics"

    def sources(self, store: Any, model: int, candidates: set[int]) -> set[int]:
        """See LastGoodModelStrategy."""
        statistics = statistics_behind(store, model)
        return set() if statistics & candidates else statistics


def statistics_behind(store: Any, model: int) -> set[int]:
    """Ids of the statistics of a model's data: of its nearest ancestor of type Examples that StatisticsGen read."""
    for generation in lineage.ancestors(store, model):
        for examples in sorted(lineage.of_type(store, generation, EXAMPLES), reverse=True):
            outputs = lineage.outputs_of_readers(store, examples, STATISTICS_GEN)
            if statistics := lineage.of_type(store, outputs, STATISTICS):
                return statistics
    return set()
