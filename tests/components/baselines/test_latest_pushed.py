"""The baseline on a cluster: what LATEST names, as an artifact that Evaluator takes, or none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from farebox.components.atomic_pusher import manifest, push
from farebox.components.atomic_pusher.object_store import store_at
from farebox.components.data_gate import train_statistics
from farebox.components.errors import InputError


@pytest.fixture
def latest(tmp_path):
    """models_dir -> the artifacts that LatestPushed leaves: model and statistics."""

    def run(models_dir: str):
        from farebox.components.baselines.latest_pushed import LatestPushedExecutor, LatestPushedSpec

        assert set(LatestPushedSpec.PARAMETERS) == {"models_dir", "code_digest"}
        outputs = {key: [channel.type()] for key, channel in LatestPushedSpec.OUTPUTS.items()}
        outputs["model"][0].uri, outputs["statistics"][0].uri = str(tmp_path / "out"), str(tmp_path / "statistics")
        LatestPushedExecutor().Do({}, outputs, {"models_dir": models_dir, "code_digest": ""})
        return outputs["model"][0], outputs["statistics"][0]

    return run


@pytest.mark.parametrize("scheme", ["", "ram://"])
def test_it_is_the_version_that_latest_names(latest, tmp_path, scheme):
    from farebox.components.tflite.files import tflite_path

    base = f"{scheme}{tmp_path}/models"
    for content in (b"old", b"new"):
        push.push(content, store_at(base), {"weekdays": [1] * 7})
    model, _ = latest(base)
    assert Path(tflite_path(model)).read_bytes() == b"new"
    facts = json.loads(Path(model.uri, "manifest.json").read_text())  # SpanWindow needs the days
    assert (facts["sha256"], facts["weekdays"]) == (manifest.sha256(b"new"), [1] * 7)


def test_before_the_first_push_there_is_none(latest, tmp_path):
    (tmp_path / "models").mkdir()
    for base in ("models", "nowhere"):
        model, statistics = latest(str(tmp_path / base))
        assert not Path(model.uri).exists() and not Path(statistics.uri).exists()
        assert train_statistics.path_of(statistics) is None


@pytest.mark.parametrize("scheme", ["", "ram://"])
def test_the_statistics_behind_the_version_come_with_it(latest, tmp_path, scheme):
    """A version that a local run pushed has none."""
    base = f"{scheme}{tmp_path}/models"
    push.push(b"here", store_at(base), {})
    assert train_statistics.path_of(latest(base)[1]) is None
    name = push.push(b"on a cluster", store_at(base), {}, statistics=b"of train")
    assert Path(train_statistics.path_of(latest(base)[1])).read_bytes() == b"of train"
    files = store_at(base).version(name)
    assert manifest.facts(files)["statistics_sha256"] == manifest.sha256(b"of train")
    assert manifest.faults(name, {**files, "statistics.pb": b"of others"})[0].startswith("statistics.pb: sha256=")


def test_a_damaged_version_is_no_baseline(latest, tmp_path):
    version = push.push(b"a model", store_at(str(tmp_path / "models")), {})
    (tmp_path / "models" / version / "fare.tflite").write_bytes(b"another")
    with pytest.raises(InputError, match=f"models={tmp_path}/models: version {version}: fare.tflite: sha256="):
        latest(str(tmp_path / "models"))


def test_evaluator_takes_a_baseline_without_a_file_for_none(latest, tmp_path):
    from tfx.types.standard_artifacts import Model

    from farebox.components.evaluator.executor import digests, without_missing_baseline
    from farebox.components.tflite.files import tflite_path

    def model(name: str, content: bytes | None) -> Model:
        made = Model()
        made.uri = str(tmp_path / name)
        if content is not None:
            path = Path(tflite_path(made))
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
        return made

    candidate, missing, there = model("a", b"a"), model("b", None), model("c", b"c")
    assert without_missing_baseline({"model": [candidate], "baseline_model": [missing]}) == {"model": [candidate]}
    assert without_missing_baseline({"model": [candidate]}) == {"model": [candidate]}
    both = {"model": [candidate], "baseline_model": [there]}
    assert without_missing_baseline(both) == both
    assert digests(both) == {
        name: hashlib.sha256(word).hexdigest() for name, word in (("candidate", b"a"), ("baseline", b"c"))
    }


def test_a_curated_schema_is_written_as_it_was_given(tmp_path):
    from tfx.utils import io_utils

    from farebox.components.trip_example_gen.curated_schema import CuratedSchemaExecutor, CuratedSchemaSpec

    schema = CuratedSchemaSpec.OUTPUTS["schema"].type()
    schema.uri = str(tmp_path / "schema")
    CuratedSchemaExecutor().Do({}, {"schema": [schema]}, {"text": 'feature { name: "fare" type: FLOAT }'})
    (feature,) = io_utils.SchemaReader().read(str(tmp_path / "schema" / "schema.pbtxt")).feature
    assert feature.name == "fare"
