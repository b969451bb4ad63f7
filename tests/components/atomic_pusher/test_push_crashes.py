"""SIGKILL at every step of a push, at random moments under a reader's eyes, and writers that meet: real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WRITERS = Path(__file__).with_name("dying_writers.py")


def counted(mode: str, folder: Path) -> dict[str, int]:
    """Its own assertions end it with a traceback."""
    ended = subprocess.run(
        [sys.executable, str(WRITERS), mode, str(folder)], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.slow
def test_killed_at_every_step_the_old_version_or_the_new_is_whole_and_a_retry_ends_alike(tmp_path):
    steps = counted("steps", tmp_path)
    assert len(steps) == 16 and min(steps.values()) > 10, steps


@pytest.mark.slow
def test_killed_200_times_at_random_no_reader_sees_anything_but_a_whole_version(tmp_path):
    counts = counted("random", tmp_path)
    assert counts["pushes"] == 200 and counts["killed"] > 20, counts
    assert counts["seen"] > 1 and counts["reads"] > 200, counts


@pytest.mark.slow
def test_two_pushes_and_a_rollback_at_once_end_as_some_order_of_them(tmp_path):
    counts = counted("together", tmp_path)
    assert counts["seen"] > 1, counts
