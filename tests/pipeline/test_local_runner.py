"""What the local runner prepares: a schema whose path is as good a cache key as its content."""

from __future__ import annotations

from pipeline.settings import load_settings


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
