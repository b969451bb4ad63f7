"""Artifacts in s3:// and minio:// stores, which TFX and TensorFlow cannot read.

Kubeflow's launcher copies a node's inputs to this machine before it runs the node, and the outputs to the store after
it: to and from /s3/BUCKET/KEY and /minio/BUCKET/KEY (`LocalPathForURI` in backend/src/v2/component/launcher_v2.go, from
2.0.5 to 2.17.0). kfp's own components use these copies, TFX's entry point the addresses. This module imports no TFX.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FOLDERS = {"s3://": "s3/", "minio://": "minio/"}


@contextlib.contextmanager
def local_artifacts(invocation: str, top: str = "/") -> Iterator[str]:
    """Yields the ExecutorInput, as JSON, with the paths of the copies; at the end, output metadata has addresses again.

    top: the folder of the launcher's copies.
    """
    content = json.loads(invocation)
    paths = {scheme: f"{top}{folder}" for scheme, folder in FOLDERS.items()}
    for side in ("inputs", "outputs"):
        for entry in content.get(side, {}).get("artifacts", {}).values():
            for artifact in entry.get("artifacts", ()):
                artifact["uri"] = with_beginnings(paths, artifact["uri"])
    yield json.dumps(content)
    file = Path(content.get("outputs", {}).get("outputFile", ""))
    if file.is_file():
        addresses = {path: scheme for scheme, path in paths.items()}
        written = mapped(lambda text: with_beginnings(addresses, text), json.loads(file.read_text()))
        file.write_text(json.dumps(written))


def with_beginnings(replaced: dict[str, str], text: str) -> str:
    """The text with its beginning replaced, if it is a key of `replaced`."""
    return next((new + text.removeprefix(old) for old, new in replaced.items() if text.startswith(old)), text)


def mapped(change: Callable[[str], str], content: Any) -> Any:
    """JSON with all its texts changed: addresses are also in the metadata of artifacts."""
    if isinstance(content, dict):
        return {key: mapped(change, value) for key, value in content.items()}
    if isinstance(content, list):
        return [mapped(change, each) for each in content]
    return change(content) if isinstance(content, str) else content
