"""The statistics to compare with, from the lineage of runs in a real MLMD store, a sqlite file, as TFX writes it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

QUANTIZER, TRANSFORM, STATISTICS_GEN = (
    "a.b.Quantizer",
    "tfx.components.transform.component.Transform",
    "a.StatisticsGen",
)


@dataclasses.dataclass
class Lineage:
    """Runs in a store: `examples` and `statistics` by the name of their data, `models` in order."""

    store: Any
    examples: dict[str, Any] = dataclasses.field(default_factory=dict)
    statistics: dict[str, Any] = dataclasses.field(default_factory=dict)
    models: list[Any] = dataclasses.field(default_factory=list)
    blessings: list[Any] = dataclasses.field(default_factory=list)
    infra_blessings: list[Any] = dataclasses.field(default_factory=list)
    transforms: list[Any] = dataclasses.field(default_factory=list)  # the statistics that Transform makes

    def artifact(self, kind: type, uri: str, sha256: str = "", **properties: int) -> Any:
        """Written, and read back with the id it got."""
        from tfx.types import artifact_utils

        artifact = kind()
        artifact.uri = uri
        for name, value in properties.items():
            artifact.set_int_custom_property(name, value)
        artifact.set_string_custom_property("sha256", sha256)
        artifact.type_id = self.store.put_artifact_type(artifact.artifact_type, can_add_fields=True)
        artifact.mlmd_artifact.type_id = artifact.type_id
        (artifact_id,) = self.store.put_artifacts([artifact.mlmd_artifact])
        (read,) = self.store.get_artifacts_by_id([artifact_id])
        return artifact_utils.deserialize_artifact(artifact.artifact_type, read)

    def execution(self, kind: str, inputs: list[Any], outputs: list[Any], internal: bool = False) -> None:
        from ml_metadata.proto import metadata_store_pb2 as mlmd

        type_id = self.store.put_execution_type(mlmd.ExecutionType(name=kind))
        (execution,) = self.store.put_executions([mlmd.Execution(type_id=type_id)])
        out = mlmd.Event.INTERNAL_OUTPUT if internal else mlmd.Event.OUTPUT
        kinds = [(each, mlmd.Event.INPUT) for each in inputs] + [(each, out) for each in outputs]
        self.store.put_events([mlmd.Event(artifact_id=a.id, execution_id=execution, type=kind) for a, kind in kinds])

    def ingest(self, name: str) -> None:
        """TripExampleGen and StatisticsGen; from the cache where the data were seen before."""
        from tfx.types.standard_artifacts import Examples, ExampleStatistics

        if name not in self.examples:
            self.examples[name] = self.artifact(Examples, f"examples/{name}")
            self.statistics[name] = self.artifact(ExampleStatistics, f"statistics/{name}")
        self.execution("a.TripExampleGen", [], [self.examples[name]])
        self.execution(STATISTICS_GEN, [self.examples[name]], [self.statistics[name]])

    def train(self, name: str, blessed: bool, fit: bool = True) -> Any:
        """Transform, with statistics of its own, then a model of its output, judged and (in Resolver) looked up."""
        from tfx.types.standard_artifacts import Examples, ExampleStatistics, InfraBlessing, Model, ModelBlessing

        transformed, own = self.artifact(Examples, f"transformed/{name}"), self.artifact(ExampleStatistics, "own")
        self.execution(TRANSFORM, [self.examples[name]], [transformed, own])
        self.transforms.append(own)
        network, model = self.artifact(Model, "network"), self.artifact(Model, f"model/{name}")
        self.execution("a.Trainer", [transformed], [network])
        self.execution(QUANTIZER, [network, transformed], [model])
        self.execution("tfx.Resolver", [], [*self.models, model], internal=True)
        verdict = {"current_model_id": model.id, "blessed": int(blessed)}
        self.blessings.append(self.artifact(ModelBlessing, "blessing", f"{model.id:064x}", **verdict))
        self.infra_blessings.append(self.artifact(InfraBlessing, "infra", f"{model.id:064x}", blessed=int(fit)))
        self.execution("a.ModelGate", [model], [self.blessings[-1]])
        self.models.append(model)
        return model

    def baseline(self, candidate: str) -> str | None:
        """The name of the data that the candidate's are compared with."""
        from farebox.components.baselines.latest_statistics import LatestBlessedStatisticsStrategy

        channels = {
            "statistics": [*self.statistics.values(), *self.transforms],
            "candidate": [self.statistics[candidate]],
            "model": list(self.models),
            "model_blessing": list(self.blessings),
            "infra_blessing": list(self.infra_blessings),
        }
        resolved = LatestBlessedStatisticsStrategy("nowhere").resolve_artifacts(self.store, channels)
        assert set(resolved) == set(channels)
        assert resolved["candidate"] == channels["candidate"]
        (statistics,) = resolved["statistics"] or [None]
        return statistics and statistics.uri.removeprefix("statistics/")


@pytest.fixture
def lineage(tmp_path):
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(tmp_path / "metadata.sqlite")
    return Lineage(metadata_store.MetadataStore(config))


def test_the_first_run_has_no_baseline(lineage):
    lineage.ingest("may")
    assert lineage.baseline("may") is None


def test_the_latest_blessed_models_data_are_the_baseline(lineage):
    for name, blessed, fit in (
        ("may", True, True),
        ("june", True, True),
        ("july", False, True),
        ("june 2", True, False),
    ):
        lineage.ingest(name)
        lineage.train(name, blessed, fit)
    lineage.ingest("august")
    assert lineage.baseline("august") == "june"


def test_a_repeated_run_finds_what_it_found_before(lineage):
    """Its own model is blessed by then: nothing where nothing was, and else the data of the one before."""
    lineage.ingest("may")
    lineage.train("may", blessed=True)
    lineage.ingest("may")
    assert lineage.baseline("may") is None
    lineage.ingest("june")
    assert lineage.baseline("june") == "may"
    lineage.train("june", blessed=True)
    lineage.ingest("june")
    assert lineage.baseline("june") == "may"


def test_other_settings_on_the_same_data_have_the_same_baseline(lineage):
    for name in ("may", "june", "june"):
        lineage.ingest(name)
        lineage.train(name, blessed=True)
    assert lineage.baseline("june") == "may"


def test_statistics_made_again_of_the_same_examples_are_the_candidates_own(lineage):
    """As after another schema: the data are not compared with themselves."""
    from tfx.types.standard_artifacts import ExampleStatistics

    lineage.ingest("may")
    lineage.train("may", blessed=True)
    lineage.statistics["again"] = lineage.artifact(ExampleStatistics, "statistics/again")
    lineage.execution(STATISTICS_GEN, [lineage.examples["may"]], [lineage.statistics["again"]])
    assert lineage.baseline("again") is None


def test_a_resolver_is_no_producer(lineage):
    """Its executions name every model among their outputs; walked up, june's model would lead to anything."""
    lineage.ingest("may")
    first = lineage.train("may", blessed=True)
    lineage.ingest("june")
    lineage.train("june", blessed=False)
    lineage.execution("tfx.Resolver", [lineage.examples["june"]], [first], internal=True)
    lineage.ingest("july")
    assert lineage.baseline("july") == "may"


def test_a_model_without_lineage_is_passed_over(lineage):
    from tfx.types.standard_artifacts import Model, ModelBlessing

    lineage.ingest("may")
    lineage.train("may", blessed=True)
    lost = lineage.artifact(Model, "model/lost")
    lineage.models.append(lost)
    lineage.blessings.append(lineage.artifact(ModelBlessing, "blessing", current_model_id=lost.id, blessed=1))
    lineage.ingest("june")
    assert lineage.baseline("june") == "may"
