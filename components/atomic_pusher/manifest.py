"""The manifest of a version, and whether its files match it."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from farebox.components.atomic_pusher.store import MANIFEST_FILE
from farebox.components.tflite.files import FARE_FILE, GOLDEN_FILE, TFLITE_IDENTIFIER, gzip_bytes

FORMAT_VERSION = 1

NAME_DIGITS = 12  # of the SHA-256, in a version's name


def sha256(content: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def version_name(content: bytes) -> str:
    """The name of the version with these bytes: the first 12 digits of their SHA-256."""
    return sha256(content)[:NAME_DIGITS]


def describe(content: bytes, city: str, manifest: Mapping[str, Any], golden: bytes | None = None) -> dict[str, Any]:
    """The manifest of these bytes; computed values replace those in `manifest`.

    inputs, output and facts are read from the bytes themselves. golden: the content of golden.json, whose SHA-256 the
    manifest holds, so that a signature covers it.
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
        **({"golden_sha256": sha256(golden)} if golden is not None else {}),
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
    return lines + _golden_faults(manifest, files)


def _golden_faults(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> list[str]:
    """A version may have no golden.json; its manifest must then name none."""
    named, content = manifest.get("golden_sha256"), files.get(GOLDEN_FILE)
    if content is None:
        return [f"{GOLDEN_FILE} must be there, as {MANIFEST_FILE} says"] if named else []
    digest = sha256(content)
    return [] if digest == named else [f"{GOLDEN_FILE}: sha256={digest} must be {named}, as {MANIFEST_FILE} says"]
