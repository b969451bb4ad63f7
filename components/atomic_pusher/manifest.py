"""What a version says of itself, and whether that is true of its bytes."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from farebox.components.atomic_pusher.store import MANIFEST_FILE
from farebox.components.tflite.files import FARE_FILE, gzip_bytes

FORMAT_VERSION = 1

NAME_DIGITS = 12  # of the SHA-256, in a version's name


def sha256(content: bytes) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def version_name(content: bytes) -> str:
    """The version that these bytes are: the first 12 digits of their SHA-256."""
    return sha256(content)[:NAME_DIGITS]


def describe(content: bytes, city: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of these bytes; what is computed here wins over what the caller says."""
    return {
        "metrics": {},
        "spans": [],
        **manifest,
        "format_version": FORMAT_VERSION,
        "city": city,
        "sha256": sha256(content),
        "bytes": len(content),
        "gzip_bytes": gzip_bytes(content),
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds"),
    }


def encode(manifest: Mapping[str, Any]) -> bytes:
    """As `facts` reads it; these bytes are what is signed."""
    return (json.dumps(manifest, indent=2) + "\n").encode()


def facts(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The manifest among a version's files; empty where there is none that can be read."""
    try:
        found = json.loads(files[MANIFEST_FILE])
    except (KeyError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def faults(name: str, files: Mapping[str, bytes]) -> list[str]:
    """Where files, manifest and name disagree, a line each; not in gzip_bytes, which depend on zlib's version."""
    missing = [file for file in (FARE_FILE, MANIFEST_FILE) if file not in files]
    if missing:
        return [f"{file} must be there" for file in missing]
    said, content = facts(files), files[FARE_FILE]
    digest, found = sha256(content), []
    if said.get("sha256") != digest:
        found.append(f"{FARE_FILE}: sha256={digest} must be {said.get('sha256')}, as {MANIFEST_FILE} says")
    if said.get("bytes") != len(content):
        found.append(f"{FARE_FILE}: bytes={len(content)} must be {said.get('bytes')}, as {MANIFEST_FILE} says")
    if digest[:NAME_DIGITS] != name:
        found.append(f"{FARE_FILE}: sha256={digest} must begin with the folder's name, {name}")
    return found
