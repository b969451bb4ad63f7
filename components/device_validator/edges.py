"""Rows at the edge of what a device may send: real rows with changed columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from farebox.components.device_validator.request import Changes, Columns, EdgeRows, Numbers

BASES = 4  # number of real rows that are changed, spread over all rows
LARGEST = 2**31 - 1
FLOATS = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "0": 0.0, "3e38": 3e38, "-3e38": -3e38}
WHOLES = {"0": 0.0, "-1": -1.0, "2147483647": float(LARGEST), "-2147483647": -float(LARGEST)}


def edge_rows(rows: Columns, named: EdgeRows) -> tuple[list[str], dict[str, Numbers]]:
    """The name of each edge row, and the rows: columns of shape (BASES * edges,), fewer with fewer real rows.

    Each column in turn is missing, infinite, 0 or huge; then all floats together; then the changes in `named`.
    """
    n_rows = len(next(iter(rows.values())))
    chosen = np.linspace(0, n_rows - 1, min(BASES, n_rows)).astype(int)
    base = {name: column[chosen] for name, column in rows.items()}
    edges = [*_by_column(base), *named.items()]
    names = [name for name, _ in edges for _ in chosen]
    rows_of_edges = [changed(base, changes) for _, changes in edges]
    return names, {name: np.concatenate([each[name] for each in rows_of_edges]) for name in base}


def _by_column(base: Columns) -> Iterator[tuple[str, Changes]]:
    floats = [name for name, column in base.items() if column.dtype.kind == "f"]
    for text, value in FLOATS.items():
        yield from ((f"{name}={text}", {name: value}) for name in floats)
        if len(floats) > 1:
            yield f"all decimals={text}", dict.fromkeys(floats, value)
    for name in (name for name, column in base.items() if column.dtype.kind in "iu"):
        yield from ((f"{name}={text}", {name: value}) for text, value in WHOLES.items())


def changed(base: Columns, changes: Changes) -> dict[str, Numbers]:
    """The base rows with the changes; ignores columns that are not in `base`."""
    rows = dict(base)
    for name, value in changes.items():
        if name in base:
            is_column = isinstance(value, str) and value in base
            source = base[str(value)] if is_column else np.full(len(base[name]), float(value))
            rows[name] = source.astype(base[name].dtype)
    return rows
