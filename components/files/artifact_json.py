"""JSON files of an artifact, on any file system."""

from __future__ import annotations

import json
import os
from typing import Any

from tfx import types

from farebox.components.files.buckets import fileio


def write_json(artifact: types.Artifact, name: str, content: Any) -> None:
    """Writes `{artifact.uri}/{name}`, indented; makes the artifact's folder if needed."""
    fileio.makedirs(artifact.uri)
    with fileio.open(os.path.join(artifact.uri, name), "w") as file:
        file.write(json.dumps(content, indent=2) + "\n")
