"""Pushed models as `farebox models` and `farebox rollback` show them. No TFX, no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from farebox.components.atomic_pusher import versions
from farebox.components.atomic_pusher.versions import Version
from farebox.pipeline.commands.tables import aligned

HEADER = ("city", "version", "created", "", "bytes")


def found(out: str, city: str | None) -> list[Version]:
    """Versions in `out`/models by city, newest first. Raises InputError where there is no such city."""
    return [version for base in versions.cities(Path(out) / "models", city) for version in versions.versions_of(base)]


def table(listed: Sequence[Version]) -> str:
    """A line per version, with a column for each metric that is a number."""
    metrics = sorted(
        {name for version in listed for name, value in version.metrics.items() if isinstance(value, (int, float))},
        key=lambda name: (name != "rmse", name),
    )
    rows = [(*HEADER, *(name.upper() if name == "rmse" else name for name in metrics), "state")]
    for version in listed:
        mark = "LATEST" if version.latest else "rolled back" if version.rolled_back else ""
        numbers = [_number(version.metrics.get(name)) for name in metrics]
        state = version.faults[0] if version.faults else "intact, signed" if version.signed else "intact"
        rows.append((version.city, version.version, version.created[:19], mark, f"{version.bytes:,}", *numbers, state))
    return aligned(rows)


def rollback(out: str, city: str, version: str | None) -> str:
    """Points LATEST back and says what that does. Raises InputError where it cannot be done."""
    (base,) = versions.cities(Path(out) / "models", city)
    before, now = versions.rollback(base, version)
    if before == now:
        return f"{base}: LATEST names {now}, as before"
    barred = [each.version for each in versions.versions_of(base) if each.rolled_back]
    note = f"; no run pushes {', '.join(barred)} again until `farebox rollback` names it" if barred else ""
    return f"{base}: LATEST names {now}, before {before}{note}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
