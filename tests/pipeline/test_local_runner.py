"""What the local runner decides by itself: whether Pusher may come from the cache, and where a schema lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.atomic_pusher.push import push
from pipeline.settings import load_settings


@pytest.fixture
def model(tmp_path) -> Path:
    """A Model artifact's folder; these bytes are pushed, never run."""
    file = tmp_path / "model" / "Format-Serving" / "tflite"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"a model")
    return tmp_path / "model"


def test_a_model_is_offered_once_pushed_and_until_another_is(model, tmp_path):
    from pipeline.local_runner import is_offered

    models, other = tmp_path / "models", tmp_path / "other"
    other.write_bytes(b"another model")
    assert not is_offered(str(model), models)
    version = push(model / "Format-Serving" / "tflite", models, {})
    assert is_offered(str(model), models)
    push(other, models, {})
    assert not is_offered(str(model), models)  # its version is there still, but LATEST names the other's
    push(model / "Format-Serving" / "tflite", models, {})
    (models / version / "fare.tflite").write_bytes(b"damaged")
    assert not is_offered(str(model), models)
    (models / version / "fare.tflite").unlink()
    assert not is_offered(str(model), models)


def test_a_schema_lies_in_a_file_named_by_its_content(tmp_path):
    """ImportSchemaGen's cache knows paths only: equal text, equal path; other text, another path."""
    from pipeline.local_runner import materialized_schema

    path = materialized_schema(load_settings("chicago", None, str(tmp_path)))
    text = path.read_text()
    assert "pickup_longitude" in text
    path.unlink()
    assert materialized_schema(load_settings("chicago", None, str(tmp_path))) == path and path.read_text() == text
    moved = load_settings("chicago", None, str(tmp_path), ["city.fare.max=150"])
    assert materialized_schema(moved) != path
    assert [file.name for file in path.parent.iterdir()] == ["schema.pbtxt"]
