"""Kept results: read as they were written, or made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from farebox.components.networks.memo import Memo


def test_a_result_is_made_once(tmp_path):
    memo, made = Memo(tmp_path, "basis"), []
    for _ in range(2):
        assert memo.content(lambda: (made.append(1), b"content")[1], "part") == b"content"
    assert made == [1]


@pytest.mark.parametrize("damage", [lambda content: content[:10], lambda content: content[:-1] + b"T", lambda _: b""])
def test_a_damaged_result_is_made_again(tmp_path, damage):
    """As of a file that a power failure cut."""
    Memo(tmp_path, "basis").content(lambda: b"content", "part")
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert Memo(tmp_path, "basis").content(lambda: b"content", "part") == b"content"


def test_a_full_disk_only_keeps_nothing(tmp_path, monkeypatch):
    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    memo = Memo(tmp_path, "basis")
    monkeypatch.setattr(Path, "write_bytes", full)
    assert memo.content(lambda: b"content", "part") == b"content"
    assert list(tmp_path.iterdir()) == []
