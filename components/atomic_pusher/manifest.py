"""The manifest of a version, and whether its files match it."""

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
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def version_name(content: bytes) -> str:
    """The name of the version with these bytes: the first 12 digits of their SHA-256."""
    return sha256(content)[:NAME_DIGITS]


def describe(content: bytes, city: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest of these bytes; computed values replace those in `manifest`."""
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
    """The bytes of manifest.json, which are signed; `facts` reads them."""
    return (json.dumps(manifest, indent=2) + "\n").encode()


def facts(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The manifest among a version's files; empty if there is none or it cannot be read."""
    try:
        content = json.loads(files[MANIFEST_FILE])
    except (KeyError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def faults(name: str, files: Mapping[str, bytes]) -> list[str]:
    """A line per contradiction of files, manifest and name; ignores gzip_bytes, which depends on zlib's version."""
    missing = [file for file in (FARE_FILE, MANIFEST_FILE) if file not in files]
    if missing:
        return [f"{file} must be there" for file in missing]
    manifest, content = facts(files), files[FARE_FILE]
    digest, lines = sha256(content), []
    if manifest.get("sha256") != digest:
        lines.append(f"{FARE_FILE}: sha256={digest} must be {manifest.get('sha256')}, as {MANIFEST_FILE} says")
    if manifest.get("bytes") != len(content):
        lines.append(f"{FARE_FILE}: bytes={len(content)} must be {manifest.get('bytes')}, as {MANIFEST_FILE} says")
    if digest[:NAME_DIGITS] != name:
        lines.append(f"{FARE_FILE}: sha256={digest} must begin with the folder's name, {name}")
    return lines
