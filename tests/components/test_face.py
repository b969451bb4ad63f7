"""`farebox.components` as a face: every public name, imported at its first use."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from farebox import components

IMPORTED = """
import json, sys
before = set(sys.modules)
import farebox.components
alone = sorted(name for name in set(sys.modules) - before if name.startswith("farebox"))
from farebox.components import PrunerSettings, QuantizerSettings, ReducerSettings
heavy = {"tfx", "tensorflow", "tf_keras", "apache_beam", "numpy", "matplotlib", "sklearn"}
print(json.dumps([alone, sorted(heavy & set(sys.modules))]))
"""


def test_importing_the_face_and_the_settings_imports_nothing_heavy():
    ended = subprocess.run([sys.executable, "-c", IMPORTED], check=True, capture_output=True, text=True)
    assert json.loads(ended.stdout) == [["farebox", "farebox.components"], []]


def test_every_public_name_is_what_its_module_defines():
    for name in components.__all__:
        assert getattr(components, name).__name__ == name
        assert getattr(components, name).__module__.startswith("farebox.components.")
    assert set(components.__all__) <= set(dir(components)) and components.__all__ == sorted(components.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Trainer'"):
        _ = components.Trainer
