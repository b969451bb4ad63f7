"""The network to begin with, from the lineage in a real MLMD store."""

from __future__ import annotations

import pytest


@pytest.fixture
def store(tmp_path):
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(tmp_path / "metadata.sqlite")
    return metadata_store.MetadataStore(config)


@pytest.fixture
def lineage(store):
    """Trains models, each of new examples, and asks for the network to begin with."""
    from ml_metadata.proto import metadata_store_pb2 as mlmd
    from tfx.types import artifact_utils
    from tfx.types.standard_artifacts import Examples, InfraBlessing, Model, ModelBlessing

    from farebox.components.baselines.latest_network import LatestNetworkStrategy

    class Lineage:
        models: list
        blessings: list
        infra: list

        def __init__(self) -> None:
            self.models, self.blessings, self.infra = [], [], []

        def artifact(self, kind, **properties):
            artifact = kind()
            artifact.uri = "somewhere"
            for name, value in properties.items():
                setter = (
                    artifact.set_string_custom_property if isinstance(value, str) else artifact.set_int_custom_property
                )
                setter(name, value)
            artifact.type_id = store.put_artifact_type(artifact.artifact_type, can_add_fields=True)
            artifact.mlmd_artifact.type_id = artifact.type_id
            (number,) = store.put_artifacts([artifact.mlmd_artifact])
            (read,) = store.get_artifacts_by_id([number])
            return artifact_utils.deserialize_artifact(artifact.artifact_type, read)

        def execution(self, inputs, output) -> None:
            kind = store.put_execution_type(mlmd.ExecutionType(name="a.Quantizer"))
            (number,) = store.put_executions([mlmd.Execution(type_id=kind)])
            events = [(artifact, mlmd.Event.INPUT, name) for name, artifact in inputs.items()]
            for artifact, kind, name in [*events, (output, mlmd.Event.OUTPUT, "quantized_model")]:
                path = mlmd.Event.Path(steps=[mlmd.Event.Path.Step(key=name)])
                store.put_events([mlmd.Event(artifact_id=artifact.id, execution_id=number, type=kind, path=path)])

        def train(self, blessed: bool = True, fit: bool = True):
            """(examples, the float network, the model made of them)."""
            examples, network, pruned, model = (self.artifact(kind) for kind in (Examples, Model, Model, Model))
            self.execution({"model": pruned, "unreduced_model": network, "examples": examples}, model)
            self.models += [network, pruned, model]
            sha256 = f"{model.id:064x}"
            word = {"current_model_id": model.id, "blessed": int(blessed), "sha256": sha256}
            self.blessings.append(self.artifact(ModelBlessing, **word))
            self.infra.append(self.artifact(InfraBlessing, blessed=int(fit), sha256=sha256))
            return examples, network

        def begin_with(self, examples):
            channels = {
                "model": self.models, "model_blessing": self.blessings, "infra_blessing": self.infra,
                "candidate": [examples],
            }  # fmt: skip
            strategy = LatestNetworkStrategy("nowhere", "unreduced_model", "examples")
            networks = strategy.resolve_artifacts(store, channels)["model"]
            return networks[0].id if networks else None

    return Lineage()


def test_nothing_before_there_is_a_blessed_model(lineage):
    examples, _ = lineage.train(blessed=False)
    assert lineage.begin_with(examples) is None


def test_the_network_behind_the_latest_model_that_every_gate_blessed(lineage):
    _, network = lineage.train()
    lineage.train(blessed=False)
    lineage.train(fit=False)
    examples, _ = lineage.train(blessed=False)
    assert lineage.begin_with(examples) == network.id


def test_a_repeated_run_begins_where_it_began(lineage):
    """Its own network is that of the latest blessed model by then."""
    _, first = lineage.train()
    examples, second = lineage.train()
    assert lineage.begin_with(examples) == first.id
    others, _ = lineage.train(blessed=False)
    assert lineage.begin_with(others) == second.id
