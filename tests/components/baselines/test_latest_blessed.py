"""The baseline of a local run, from models and blessings in a real MLMD store."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def store():
    """An MLMD store in memory."""
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    config = metadata_store_pb2.ConnectionConfig()
    config.fake_database.SetInParent()
    return metadata_store.MetadataStore(config)


def _put(store, artifact):
    """Writes an artifact into the store and reads it back, with the id it got there."""
    from tfx.types import artifact_utils

    artifact.type_id = store.put_artifact_type(artifact.artifact_type, can_add_fields=True)
    artifact.mlmd_artifact.type_id = artifact.type_id
    (artifact_id,) = store.put_artifacts([artifact.mlmd_artifact])
    (read,) = store.get_artifacts_by_id([artifact_id])
    return artifact_utils.deserialize_artifact(artifact.artifact_type, read)


@pytest.fixture
def baseline(store, tmp_path):
    """(numbers of the blessed models, number of the candidate) -> number of the baseline or None, of models 1 to 3."""
    from tfx.types import standard_artifacts

    from farebox.components.baselines.latest_blessed import LatestOtherBlessedStrategy

    models_dir = str(tmp_path)

    def model(number):
        artifact = standard_artifacts.Model()
        artifact.uri = f"models/{number}"
        return _put(store, artifact)

    def blessing(model_id, blessed):
        artifact = standard_artifacts.ModelBlessing()
        artifact.set_int_custom_property("current_model_id", model_id)
        artifact.set_int_custom_property("blessed", blessed)
        artifact.set_string_custom_property("sha256", f"{model_id:064x}"[::-1])
        return _put(store, artifact)

    def fitness(model_id, blessed):
        artifact = standard_artifacts.InfraBlessing()
        artifact.set_int_custom_property("blessed", blessed)
        artifact.set_string_custom_property("sha256", f"{model_id:064x}"[::-1])
        return _put(store, artifact)

    def resolve(blessed, candidate, rolled_back=(), unfit=()):
        models = {number: model(number) for number in (1, 2, 3)}
        names = [f"{models[number].id:064x}"[::-1][:12] for number in rolled_back]
        (tmp_path / "HISTORY").write_text(json.dumps({"named": [], "rolled_back": names}))
        blessings = [blessing(models[number].id, int(number in blessed)) for number in (1, 2)]
        blessings += [blessing(models[3].id, 1)] if 3 in blessed else []
        channels = {
            "model": list(models.values()),
            "model_blessing": blessings,
            "infra_blessing": [fitness(models[number].id, int(number not in unfit)) for number in models],
            "candidate": [models[candidate]],
        }
        resolved = LatestOtherBlessedStrategy(models_dir).resolve_artifacts(store, channels)
        assert resolved["candidate"] == [models[candidate]]
        (last_blessed,) = resolved["model"] or [None]
        assert len(resolved["model_blessing"]) == len(resolved["model"])
        return last_blessed and int(last_blessed.uri.removeprefix("models/"))

    return resolve


def test_a_model_that_was_rolled_back_is_no_baseline(baseline):
    """What ships again is the one before it."""
    assert baseline({1, 2}, candidate=3) == 2
    assert baseline({1, 2}, candidate=3, rolled_back=[2]) == 1
    assert baseline({1, 2}, candidate=3, rolled_back=[1, 2]) is None


def test_a_model_that_no_device_got_is_no_baseline(baseline):
    """Its metrics were blessed, and DeviceValidator refused the file."""
    assert baseline({1, 2}, candidate=3, unfit=[2]) == 1
    assert baseline({1, 2}, candidate=3, unfit=[1]) == 2
    assert baseline({1, 2}, candidate=3, unfit=[1, 2]) is None


@pytest.mark.parametrize(
    ("blessed", "candidate", "expected"),
    [((1, 2), 3, 2), ((1, 2, 3), 3, 2), ((3,), 3, None), ((), 3, None), ((1, 3), 2, 3), ((1,), 3, 1)],
    ids=["latest blessed", "not itself", "only itself", "none blessed", "a cached candidate", "an old one"],
)
def test_baseline(baseline, blessed, candidate, expected):
    assert baseline(blessed, candidate) == expected


def test_the_first_run_has_no_baseline(store):
    from tfx.types import standard_artifacts

    from farebox.components.baselines.latest_blessed import LatestOtherBlessedStrategy

    candidate = _put(store, standard_artifacts.Model())
    channels = {"model": [candidate], "model_blessing": [], "infra_blessing": [], "candidate": [candidate]}
    resolved = LatestOtherBlessedStrategy("nowhere").resolve_artifacts(store, channels)
    assert (resolved["model"], resolved["model_blessing"]) == ([], [])
