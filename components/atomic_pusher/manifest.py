"""The manifest of a version, and whether its files match it."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from farebox.components.atomic_pusher.store import MANIFEST_FILE, STATISTICS_FILE
from farebox.components.tflite.files import (
    CARD_FILE,
    CARD_TEXT,
    DENSITY_FILE,
    FARE_FILE,
    GOLDEN_FILE,
    LOCATIONS_FILE,
    TFLITE_IDENTIFIER,
    gzip_bytes,
)

FORMAT_VERSION = 1

BESIDE = {
    GOLDEN_FILE: "golden_sha256",
    LOCATIONS_FILE: "locations_sha256",
    DENSITY_FILE: "density_sha256",
    CARD_FILE: "model_card_sha256",
    CARD_TEXT: "model_card_text_sha256",
    STATISTICS_FILE: "statistics_sha256",
}  # files beside the model: their digest's key
NAME_DIGITS = 12  # of the SHA-256, in a version's name


def sha256(content: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def version_name(content: bytes) -> str:
    """The name of the version with these bytes: the first 12 digits of their SHA-256."""
    return sha256(content)[:NAME_DIGITS]


def describe(
    content: bytes, city: str, manifest: Mapping[str, Any], beside: Mapping[str, bytes] | None = None
) -> dict[str, Any]:
    """The manifest of these bytes; computed values replace those in `manifest`.

    inputs, output and facts are read from the bytes themselves. beside: content of the files of `BESIDE` that there
    are; the manifest holds their SHA-256, so that a signature covers them.
    """
    return {
        "metrics": {},
        "spans": [],
        **manifest,
        "format_version": FORMAT_VERSION,
        "city": city,
        "sha256": sha256(content),
        "bytes": len(content),
        "gzip_bytes": gzip_bytes(content),
        **_contract(content),
        **{BESIDE[file]: sha256(text) for file, text in (beside or {}).items()},
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds"),
    }


def _contract(content: bytes) -> dict[str, Any]:
    """The file's description of itself; empty for bytes that are no TFLite file."""
    if content[4:8] != TFLITE_IDENTIFIER:
        return {}
    from farebox.components.tflite.metadata import description_of  # imports a runtime, which only a push needs

    return description_of(content).as_json()


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
    return lines + [fault for file in BESIDE for fault in faults_beside(file, manifest, files.get(file))]


def faults_beside(file: str, manifest: Mapping[str, Any], content: bytes | None) -> list[str]:
    """A line if the content of a file of `BESIDE` is not what the manifest names; None for no file."""
    named = manifest.get(BESIDE[file])
    if content is None:
        return [f"{file} must be there, as {MANIFEST_FILE} says"] if named else []
    digest = sha256(content)
    return [] if digest == named else [f"{file}: sha256={digest} must be {named}, as {MANIFEST_FILE} says"]
