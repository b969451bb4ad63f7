"""The baseline on a cluster: what LATEST names, as an artifact that Evaluator takes, or none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.object_store import store_at
from farebox.components.errors import InputError


@pytest.fixture
def latest(tmp_path):
    """models_dir -> the artifact that LatestPushed leaves."""

    def run(models_dir: str):
        from farebox.components.baselines.latest_pushed import LatestPushedExecutor, LatestPushedSpec

        assert set(LatestPushedSpec.PARAMETERS) == {"models_dir", "code_digest"}
        model = LatestPushedSpec.OUTPUTS["model"].type()
        model.uri = str(tmp_path / "out")
        LatestPushedExecutor().Do({}, {"model": [model]}, {"models_dir": models_dir, "code_digest": ""})
        return model

    return run


@pytest.mark.parametrize("scheme", ["", "ram://"])
def test_it_is_the_version_that_latest_names(latest, tmp_path, scheme):
    from farebox.components.tflite.files import tflite_path

    base = f"{scheme}{tmp_path}/models"
    for content in (b"old", b"new"):
        push.push(content, store_at(base), {})
    assert Path(tflite_path(latest(base))).read_bytes() == b"new"


def test_before_the_first_push_there_is_none(latest, tmp_path):
    (tmp_path / "models").mkdir()
    for base in ("models", "nowhere"):
        assert not Path(latest(str(tmp_path / base)).uri).exists()


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
