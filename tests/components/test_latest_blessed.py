"""The baseline of a local run, from a real MLMD store."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def resolve(tmp_path_factory):
    """(models by id that are blessed, candidate id) -> id of the baseline or None; models 1 to 3 exist."""
    from ml_metadata.metadata_store import metadata_store
    from tfx.orchestration import metadata
    from tfx.types import standard_artifacts

    from components.latest_blessed import LatestOtherBlessedStrategy

    path = tmp_path_factory.mktemp("mlmd") / "metadata.sqlite"
    store = metadata_store.MetadataStore(metadata.sqlite_metadata_connection_config(str(path)))

    def model(number):
        artifact = standard_artifacts.Model()
        artifact.id, artifact.uri = number, f"model/{number}"
        return artifact

    def blessing(number, blessed):
        artifact = standard_artifacts.ModelBlessing()
        artifact.set_int_custom_property("current_model_id", number)
        artifact.set_int_custom_property("blessed", blessed)
        return artifact

    def baseline(blessed, candidate):
        inputs = {
            "model": [model(number) for number in (1, 2, 3)],
            "model_blessing": [blessing(number, int(number in blessed)) for number in (1, 2, 3)],
            "candidate": [model(candidate)],
        }
        resolved = LatestOtherBlessedStrategy().resolve_artifacts(store, inputs)
        assert [artifact.id for artifact in resolved["candidate"]] == [candidate]
        return resolved["model"][0].id if resolved["model"] else None

    return baseline


@pytest.mark.parametrize(
    ("blessed", "candidate", "expected"),
    [((1, 2), 3, 2), ((1, 2, 3), 3, 2), ((3,), 3, None), ((), 3, None), ((1, 3), 2, 3)],
    ids=["latest blessed", "not itself", "only itself", "none blessed", "a cached candidate"],
)
def test_baseline(resolve, blessed, candidate, expected):
    assert resolve(blessed, candidate) == expected
