"""Addresses of a cluster replaced by paths of this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farebox.components.errors import InputError

BUCKET = re.compile(r'[a-z0-9]+://[^"\\\s]+')
STORED = re.compile(r'(?:gs|s3|minio)://[^"\\\s]+')


def parse_place(text: str) -> tuple[str, str]:
    """(address, absolute path) from `gs://BUCKET/FOLDER=PATH`. Raises InputError."""
    address, separator, path = text.partition("=")
    local = str(Path(path).resolve())
    if not separator or not path or not BUCKET.fullmatch(address) or '"' in local or "\\" in local:
        raise InputError(f"place {text} must read gs://BUCKET/FOLDER=PATH")
    return address.rstrip("/"), local


def with_local_paths(content: Mapping[str, Any], places: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The content with addresses replaced by paths of this machine, the longest address first. Raises InputError if an
    address is left."""
    text = json.dumps(content)
    for address, path in sorted(places, key=lambda place: -len(place[0])):
        text = re.sub(rf'{re.escape(address)}(?=["\\/])', path.replace("\\", r"\\"), text)
    if left := STORED.search(text):
        raise InputError(f"place {left[0]}=PATH must be given: the path on this machine that replaces the address")
    content_here: dict[str, Any] = json.loads(text)
    return content_here
