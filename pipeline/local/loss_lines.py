"""Lines about the rows that gave no example, for the end of a run and of `farebox evaluate`."""

from __future__ import annotations

import itertools

from farebox.components.trip_example_gen.judging.losses import FileRows, Losses
from farebox.components.trip_example_gen.judging.reasons import in_words

SHOWN_REASONS = 5


def describe_losses(losses: Losses | None) -> list[str]:
    """The numbers, the commonest reasons with a row each, and the worst of several files; empty if nothing was lost."""
    if losses is None or not losses.total.without_example:
        return []
    total = losses.total
    lines = []
    if total.rejected:
        lines.append(f"{total.rejected:,} of {losses.judged:,} rows rejected ({total.rejected / losses.judged:.1%})")
    if total.left_out:
        lines.append(f"{total.left_out:,} of {total.read:,} rows left out by city.where")
    first = ["; ".join(lines) + ":"] if total.rejected else lines
    reasons = losses.reasons[:SHOWN_REASONS]
    shown = {key: row.told(_short(row.file, losses)).rstrip() for key, row in losses.shown.items()}
    cells = [(f"{n:,}", in_words(*key), shown.get(key, "")) for key, n in reasons]
    width, words = (max((len(row[i]) for row in cells), default=0) for i in (0, 1))
    rows = [f"  {n:>{width}}  {reason:<{words}}  {row}".rstrip() for n, reason, row in cells]
    hidden = sum(n for _, n in losses.reasons[SHOWN_REASONS:])
    return [*first, *rows, *([f"  {hidden:>{width},}  other reasons"] if hidden else []), *_worst_file(losses)]


def _worst_file(losses: Losses) -> list[str]:
    if losses.n_files < 2 or not losses.worst_files:
        return []
    path, rows = losses.worst_files[0]
    return [f"  worst of {losses.n_files:,} files: {_short(path, losses)}, {_fate(rows)}"] if rows.read else []


def _fate(rows: FileRows) -> str:
    if rows.rejected:
        return f"{rows.rejected:,} of {rows.read - rows.left_out:,} rejected"
    return f"{rows.left_out:,} of {rows.read:,} left out"


def _short(path: str, losses: Losses) -> str:
    """The path below the folder that all files share."""
    folders = [each.split("/")[:-1] for each in losses.files]
    shared = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False))
    return "/".join(path.split("/")[len(list(shared)) :])
