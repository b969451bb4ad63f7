"""TFX's own templates with our nodes, each in a fresh process, where `tf.keras` is Keras 2 as they need it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).with_name("tfx_templates.py")


@pytest.mark.slow
@pytest.mark.parametrize("test", ["test_penguins_have_a_logits_head", "test_taxi_label_is_made_by_the_transform"])
def test_the_nodes_work_in_a_template(test, tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}"]
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1"}
    ended = subprocess.run(
        [*command, f"{TESTS}::{test}"], env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert ended.returncode == 0 and "1 passed" in ended.stdout, ended.stdout[-3000:]
