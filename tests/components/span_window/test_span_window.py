"""The window: which artifacts it is made of, and that joined they are the spans' rows, counts and rejected rows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from farebox.components.errors import InputError

GRID = {"west": 0, "east": 2, "south": 0, "north": 1, "columns": 2, "rows": 1}  # as in conftest.py


def test_the_joined_rows_are_the_spans_in_order(span_of, join, fares, tmp_path):
    """For any order of the artifacts: splits, counts, rejected rows, and the properties that TFX reads."""
    late, early = span_of(7, 2, train=[3, 4], test=[5]), span_of(6, train=[1, 2], test=[9])
    joined = join([late, early], tmp_path / "joined")
    assert (fares(joined, "train"), fares(joined, "test")) == ([1, 2, 3, 4], [9, 5])
    assert list(joined.splits) == ["train", "test"]
    assert joined.get_int_custom_property("span") == 7
    assert json.loads(joined.get_string_custom_property("window")) == [[6, 1], [7, 2]]
    for name in ("payload_format", "file_format"):
        assert joined.get_string_custom_property(name) == late.get_string_custom_property(name)
    counts = json.loads((tmp_path / "joined/counts.json").read_text())
    expected = {
        "left_out": 0, "read": 6 + 13, "examples": 6, "rejected": 13, "by_reason": {"outside_city": 13}, "error": "",
        "by_column": [["outside_city", "x", 13]], "by_split": {"train": 4, "test": 2},
        "days": ["2024-01-06", "2024-02-07"], "weekdays": [6, 0, 0, 0, 0, 0, 0],
        "trip_map": {"grid": GRID, "pickups": [[1], [13]], "dropoffs": [[0], [6]]},
    }  # fmt: skip
    assert {key: counts[key] for key in expected} == expected
    rejected = sorted((tmp_path / "joined/rejected").iterdir())
    assert [path.read_text() for path in rejected] == ["span 6\n", "span 7\n"]


def test_files_are_links_or_copies_without_link_support(span_of, join, tmp_path, monkeypatch):
    one = span_of(1, train=[1])
    (linked,) = Path(join([one], tmp_path / "linked").uri, "Split-train").iterdir()
    (source,) = Path(one.uri, "Split-train").iterdir()
    assert linked.samefile(source)

    def refuse(*_: str) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    (copied,) = Path(join([one], tmp_path / "copied").uri, "Split-train").iterdir()
    assert not copied.samefile(source) and copied.read_bytes() == source.read_bytes()


def test_spans_with_different_splits_cannot_be_joined(span_of, join, tmp_path):
    with pytest.raises(InputError, match=r"span 2 version 1: splits=\['train'\] must be \['test', 'train'\]"):
        join([span_of(1, train=[1], test=[2]), span_of(2, train=[1])], tmp_path / "joined")


def test_the_window_is_the_newest_artifact_of_each_version_by_todays_code(span_of):
    """Another version, older code, another span and another kind of examples are left out."""
    from farebox.components.span_window.strategy import SpanWindowStrategy

    first, again = span_of(1), span_of(1)
    others = [span_of(2), span_of(2, 2), span_of(3, ingest="yesterday"), span_of(4)]
    given = {"spans": [again, first, *others]}

    def resolved(*spans):
        window = SpanWindowStrategy([list(each) for each in spans], "today").resolve_artifacts(None, given)
        return [artifact.id for artifact in window["spans"]]

    assert resolved((1, 1), (2, 2)) == [again.id, others[1].id]
    with pytest.raises(InputError, match=r"window: spans \[\(3, 1\)\] must have been ingested by this code"):
        resolved((1, 1), (3, 1))
