"""`farebox models`, `farebox rollback` and `farebox verify`: the pushed versions. No TFX, no TensorFlow."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from farebox.components.atomic_pusher import versions
from farebox.components.atomic_pusher.versions import Version
from farebox.pipeline import process
from farebox.pipeline.commands.options import CITY_NAME, AsJson
from farebox.pipeline.commands.tables import aligned

MARKS = {"latest": "LATEST", "candidate": "CANDIDATE", "rolled_back": "rolled back", "dropped": "dropped"}
DIFFERENCE = "_diff"  # TFMA's ending
HEADER = ("city", "version", "created", "", "bytes")

Out = Annotated[str, typer.Option(help="The folder that keeps models/.")]


def models(
    city: Annotated[str | None, CITY_NAME] = None,
    out: Out = ".",
    as_json: AsJson = False,
) -> None:
    """Lists the pushed versions of each city's model, or of one city.

    Each line has the day, the size, the metrics, and whether the files are intact.
    """
    listed = [
        version
        for base in versions.cities(Path(out) / "models", city)
        for version in versions.versions_of(base)  # newest first
    ]
    print(json.dumps([dataclasses.asdict(version) for version in listed], indent=2) if as_json else table(listed))


def rollback(
    city: Annotated[str, CITY_NAME],
    version: Annotated[
        str | None, typer.Argument(help="Its name or the beginning; without it, the one that was latest before.")
    ] = None,
    out: Out = ".",
) -> None:
    """Points LATEST to an earlier version, or to the candidate.

    No run pushes the versions after it again.
    """
    (base,) = versions.cities(Path(out) / "models", city)
    before, now = versions.rollback(base, version)
    if before == now:
        print(f"{base}: LATEST names {now}, as before")
        return
    barred = [each.version for each in versions.versions_of(base) if each.rolled_back or each.dropped]
    note = f"; no run pushes {', '.join(barred)} again until `farebox rollback` names it" if barred else ""
    print(f"{base}: LATEST names {now}, before {before}{note}")


def verify(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A version's folder, or models/CITY for all of them.")],
    key: Annotated[
        str | None, typer.Option(metavar="PUBLIC.pem", help="An Ed25519 key whose owner must have signed them.")
    ] = None,
) -> None:
    """Checks pushed files against their manifests and signatures.

    Prints a line for each fault, and ends with exit code 2 if there is one.
    """
    count, faults = versions.verify(Path(folder), key)
    for fault in faults:
        print(f"farebox: {fault}", file=sys.stderr)
    if faults:
        sys.exit(process.BAD_INPUT)
    print(f"{count} version{'s' if count > 1 else ''} intact{' and signed' if key else ''}")


def table(listed: Sequence[Version]) -> str:
    """A line per version, with a column for each metric that is a number and no difference from another version."""
    named = {name for version in listed for name, value in version.metrics.items() if isinstance(value, (int, float))}
    metrics = sorted((name for name in named if not name.endswith(DIFFERENCE)), key=lambda name: (name != "rmse", name))
    rows = [(*HEADER, *(name.upper() if name == "rmse" else name for name in metrics), "state")]
    for version in listed:
        mark = next((mark for field, mark in MARKS.items() if getattr(version, field)), "")
        numbers = [_number(version.metrics.get(name)) for name in metrics]
        state = version.faults[0] if version.faults else "intact, signed" if version.signed else "intact"
        rows.append((version.city, version.version, version.created[:19], mark, f"{version.bytes:,}", *numbers, state))
    return aligned(rows)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
