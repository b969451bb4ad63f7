"""`farebox lineage`: where a version comes from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Annotated

import typer

from farebox.pipeline.commands.options import AsJson, City, Overrides
from farebox.pipeline.commands.tables import aligned
from farebox.pipeline.retraining.lineage import Lineage, SpanOrigin, lineage_of
from farebox.pipeline.settings.load import load_settings

DIGITS = 12  # of a digest, for people


def lineage(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Its name or the beginning.")],
    *,
    city: City = "chicago",
    out: Annotated[str, typer.Option(help="The folder that keeps runs/ and models/.")] = ".",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Shows where a pushed version comes from, and who followed it.

    Spans, digests, parents, gates and code: from its manifest, HISTORY, the journal, its run and MLMD.
    """
    settings = load_settings(city, ".", out, overrides or ())  # the trips are not read
    shown = lineage_of(settings, version)
    print(json.dumps(dataclasses.asdict(shown), indent=2) if as_json else "\n".join(lines(shown)))


def lines(shown: Lineage) -> Iterator[str]:
    """A lineage as people read it."""
    rows = [(name, text) for name, text in _rows(shown) if text]
    yield from aligned([("version", f"{shown.city} {shown.version}, {shown.state}"), *rows]).splitlines()
    if shown.spans:
        yield "spans"
        yield from (f"  {line}" for line in aligned([_span_row(each) for each in shown.spans]).splitlines())
    failed = [gate for gate in shown.gates if not gate["ok"]]
    if shown.gates:
        yield f"gates: {len(shown.gates) - len(failed)} of {len(shown.gates)} hold"
    yield from (f"  {gate['severity']}: {gate['name']}={gate['value']:.6g}, {gate['detail']}" for gate in failed)
    yield from (f"unknown: {line}" for line in shown.unknown)


def _rows(shown: Lineage) -> Iterator[tuple[str, str]]:
    warm, metrics = shown.warm_start, shown.metrics
    numbers = (
        f"{name} {value:.4g}"
        for name, value in metrics.items()
        if isinstance(value, (int, float)) and not name.endswith("_diff")  # from the version before
    )
    yield "note", shown.note or ""
    yield "created", shown.created
    yield "sha256", shown.sha256
    yield "run", shown.run_id or ""
    yield "parents", ", ".join(shown.parents) or "none: the first version"
    yield "before", shown.before or ""
    yield "after", shown.after or ""
    yield "warm start", f"run {warm.run_id}, version {warm.version or 'unknown'}" if warm else ""
    yield "causes", ", ".join(shown.causes)
    yield "reasons", "; ".join(shown.reasons)
    yield "trips", shown.fingerprint or ""
    yield "metrics", ", ".join(numbers)
    yield "commit", shown.commit or ""
    yield "code", ", ".join(f"{node} {digest[:DIGITS]}" for node, digest in shown.code_sha256.items())
    yield "lane", shown.lane or ""
    yield "schema", (shown.schema_sha256 or "")[:DIGITS]


def _span_row(span: SpanOrigin) -> tuple[str, str, str]:
    return span.name, f"version {span.version or '?'}", f"sha256 {(span.sha256 or '?')[:DIGITS]}"
