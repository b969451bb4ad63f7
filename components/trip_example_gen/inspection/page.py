"""The YAML of a draft: what it says, why, and what is open."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from farebox.components.trip_example_gen.inspection.column_names import tokens
from farebox.components.trip_example_gen.inspection.drafting import Inspection, reasons
from farebox.components.trip_example_gen.inspection.samples import Sample
from farebox.components.trip_example_gen.inspection.yaml_page import Page, flow
from farebox.components.trip_example_gen.judging.suspects import literal, name_of
from farebox.components.trip_example_gen.values import cells

KINDS = frozenset(
    {"payment", "ratecode", "rate", "status", "state", "product", "service", "cancelled", "canceled", "type", "flag"}
)
MAX_KINDS, MAX_COLUMNS = 8, 12
ORDER = (
    "ignore_files", "csv", "time_format", "times", "time_zone", "weekdays", "locations", "box", "fare", "passengers",
    "currency", "where",
)  # fmt: skip


def page(inspection: Inspection, remarks: Sequence[str] = ()) -> str:
    """The profile as YAML, its open lines marked with `# ?`; remarks: further lines at the top."""
    draft, written = inspection.draft, Page()
    _head(inspection, written, remarks)
    written.key("city", indent=0)
    written.key("name", draft.city["name"])
    written.key("columns")
    for ours, theirs in draft.city["columns"].items():
        question = draft.questions.get(f"columns.{ours}", "")
        written.key(ours, theirs, question, indent=2, is_open=bool(question))
    for key, options in draft.choices.items():
        if key.startswith("columns."):
            written.choice(key.removeprefix("columns."), *options[0], indent=2)
    _unused(inspection, written)
    for key in ORDER:
        _key(inspection, written, key)
    _kinds(inspection, written)
    if inspection.max_rmse:
        written.key("gates", indent=0)
        written.key("max_rmse", inspection.max_rmse, "six tenths of the fares' standard deviation; tighten it")
    return written.text()


def _head(inspection: Inspection, written: Page, remarks: Sequence[str]) -> None:
    names = [os.path.basename(path) for path in inspection.paths]
    shown = ", ".join(names[:3]) + f" and {len(names) - 3} more" * (len(names) > 3)
    n_rows = sum(each.n_rows for each in inspection.samples)
    if inspection.trips:
        n_rows = inspection.trips.n_read
    written.comment(f"A profile to start from, by {n_rows:,} rows of {shown}.")
    if trips := inspection.trips:
        counts = f"{trips.examples.num_rows:,} are trips"
        lost = trips.rejected.num_rows
        written.comment(f"It reads them: {counts}, {lost:,} rejected" + (f": {reasons(trips)}." if lost else "."))
    for remark in remarks:
        written.comment(remark)
    if inspection.draft.choices or inspection.draft.questions:
        written.comment("Lines with `# ?` are open: look at those, and choose one of several by taking its mark away.")


def _key(inspection: Inspection, written: Page, key: str) -> None:
    draft = inspection.draft
    if key in draft.choices:
        for value, note in draft.choices[key]:
            if note:
                written.choice(key, value, note)
        return
    if key not in draft.city:
        return
    question, note = draft.questions.get(key), draft.notes.get(key, "")
    if question and note:
        written.comment(note, indent=1)
    written.key(key, draft.city[key], question or note, is_open=bool(question))


def _unused(inspection: Inspection, written: Page) -> None:
    names = [name for name in inspection.unused if not name.startswith("column_")]
    if names:
        more = f" and {len(names) - MAX_COLUMNS} more" * (len(names) > MAX_COLUMNS)
        written.comment("not read: " + ", ".join(names[:MAX_COLUMNS]) + more, indent=2)


def _kinds(inspection: Inspection, written: Page) -> None:
    """Columns of few values by which a person may want to leave rows out."""
    for name in inspection.unused:
        if KINDS & set(tokens(name)):
            counts = _counts(inspection.samples[0], name)
            if 1 < len(counts) <= MAX_KINDS:
                shown = ", ".join(f"{value}: {share:.1%}" for value, share in counts.items())
                condition = f"{name_of(name)} == {literal(next(iter(counts)))}"
                written.comment(f"where: {flow(condition)}  # to leave other rows out: {shown}", indent=1)


def _counts(sample: Sample, name: str) -> Mapping[str, Any]:
    """Share of each value, the commonest first."""
    if name not in sample.columns:
        return {}
    counted = pc.value_counts(cells.text(sample.columns[name])).to_pylist()
    counted = [each for each in counted if each["values"]]
    total = sum(each["counts"] for each in counted)
    return {each["values"]: each["counts"] / total for each in sorted(counted, key=lambda each: -each["counts"])}
