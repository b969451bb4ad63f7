"""Rows of a source that gave no example: how many by file and reason, one of each, and how they differ from the kept.

Additive and bounded: what is kept grows with files, columns and reasons, not with rows. No TensorFlow, TFX or Beam.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.trip_example_gen.judging.suspects import Suspect
from farebox.components.trip_example_gen.row_sketch import RepeatedRows, RowSketch, repeated_rows

SHOWN_FILES = 20
SHOWN_TEXT = 100
CHANCE = 1e-4  # probability that what is seen is chance, below which it is evidence
UNIT = 1000  # sums are kept in thousandths, as integers: their order does not change them

Key = tuple[str, str]  # reason, the source's column


@dataclasses.dataclass(frozen=True)
class FileRows:
    """Rows of a file; reasons: number of rejected ones."""

    read: int = 0
    examples: int = 0
    left_out: int = 0
    reasons: Counter[Key] = dataclasses.field(default_factory=Counter)

    @property
    def rejected(self) -> int:
        return self.reasons.total()

    @property
    def without_example(self) -> int:
        """Rows that were rejected or left out."""
        return self.rejected + self.left_out

    def __add__(self, other: FileRows) -> FileRows:
        return FileRows(
            self.read + other.read,
            self.examples + other.examples,
            self.left_out + other.left_out,
            self.reasons + other.reasons,
        )


@dataclasses.dataclass(frozen=True, order=True)
class RejectedRow:
    """A row as its source has it; number: the line of a CSV, where the header is line 1, or the row of a Parquet."""

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return self.told(self.file.rpartition("/")[2])

    def told(self, file: str) -> str:
        """`line 12 of FILE: TEXT`. file: its name for people."""
        kind = "row" if self.file.lower().endswith(".parquet") else "line"
        text = self.text if len(self.text) <= SHOWN_TEXT else self.text[:SHOWN_TEXT] + "..."
        return f"{kind} {self.number:,} of {file}: {text}"


@dataclasses.dataclass(frozen=True)
class Moments:
    """Number of values, and the sums of them and of their squares in `1 / UNIT`."""

    n: int = 0
    total: int = 0
    squares: int = 0

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> Moments:
        """Sums over finite `values`, shape (n,)."""
        return cls(len(values), round(float(values.sum()) * UNIT), round(float((values * values).sum()) * UNIT))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        return self.total / UNIT / self.n if self.n else math.nan

    @property
    def variance(self) -> float:
        """The variance of the values, 0 delta degrees of freedom."""
        return max(self.squares / UNIT / self.n - self.mean**2, 0.0) if self.n else math.nan


@dataclasses.dataclass(frozen=True)
class Sides:
    """Kept and rejected rows by what both are known to have: numbers by name, and rows by value of a category."""

    numbers: Mapping[str, tuple[Moments, Moments]] = dataclasses.field(default_factory=dict)
    categories: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = dataclasses.field(default_factory=dict)

    def __add__(self, other: Sides) -> Sides:
        numbers, categories = dict(self.numbers), dict(self.categories)
        for name, (kept, rejected) in other.numbers.items():
            sums = numbers.get(name, (Moments(), Moments()))
            numbers[name] = sums[0] + kept, sums[1] + rejected
        for name, counts in other.categories.items():
            mine = categories.get(name, ((0,) * len(counts[0]), (0,) * len(counts[1])))
            categories[name] = _added(mine[0], counts[0]), _added(mine[1], counts[1])
        return Sides(numbers, categories)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Sides:
        """Reads what `to_json` returns."""
        numbers, categories = content.get("numbers", {}), content.get("categories", {})
        return cls(
            {name: (Moments(*pair["kept"]), Moments(*pair["rejected"])) for name, pair in numbers.items()},
            {name: (tuple(pair["kept"]), tuple(pair["rejected"])) for name, pair in categories.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Number, sum and sum of squares in thousandths of the numbers; rows by value of the categories."""
        return {
            "numbers": {
                name: {"kept": list(dataclasses.astuple(kept)), "rejected": list(dataclasses.astuple(rejected))}
                for name, (kept, rejected) in sorted(self.numbers.items())
            },
            "categories": {
                name: {"kept": list(kept), "rejected": list(rejected)}
                for name, (kept, rejected) in sorted(self.categories.items())
            },
        }


@dataclasses.dataclass(frozen=True)
class Losses:
    """Rows by file, a rejected row by reason, and what tells dirt from a city file that does not fit.

    n_files, n_without_trips: of all files; `files` from JSON are the `SHOWN_FILES` worst ones. sketches: of the
    examples of each of several files; JSON has the files that repeat rows of others instead.
    """

    total: FileRows = dataclasses.field(default_factory=FileRows)
    files: Mapping[str, FileRows] = dataclasses.field(default_factory=dict)
    shown: Mapping[Key, RejectedRow] = dataclasses.field(default_factory=dict)
    suspects: Mapping[Key, Suspect] = dataclasses.field(default_factory=dict)
    sides: Sides = dataclasses.field(default_factory=Sides)
    unlisted: tuple[int, int] = (0, 0)  # files that are not in `files`, and those of them without trips
    sketches: Mapping[str, RowSketch] = dataclasses.field(default_factory=dict)
    listed_repeats: tuple[RepeatedRows, ...] = ()  # from JSON

    def __add__(self, other: Losses) -> Losses:
        files = dict(self.files)
        for path, rows in other.files.items():
            files[path] = files.get(path, FileRows()) + rows
        shown = dict(self.shown)
        for key, row in other.shown.items():
            shown[key] = min(row, shown.get(key, row))
        suspects = dict(self.suspects)
        for key, suspect in other.suspects.items():
            suspects[key] = suspects[key] + suspect if key in suspects else suspect
        sketches = dict(self.sketches)
        for path, sketch in other.sketches.items():
            sketches[path] = RowSketch.union([sketch, sketches.get(path, sketch)]) or sketch
        return Losses(
            self.total + other.total,
            files,
            shown,
            suspects,
            self.sides + other.sides,
            (self.unlisted[0] + other.unlisted[0], self.unlisted[1] + other.unlisted[1]),
            sketches,
            self.listed_repeats + other.listed_repeats,
        )

    @classmethod
    def sum(cls, parts: Iterable[Losses]) -> Losses:
        """The sum of any number of them."""
        return functools.reduce(Losses.__add__, parts, cls())

    def with_examples(self, hashes: npt.NDArray[np.uint64], seed: int) -> Losses:
        """The losses of a piece of a file, with a sketch of its examples, which have these `splits.row_hashes`."""
        return dataclasses.replace(self, sketches=dict.fromkeys(self.files, RowSketch.of(hashes, seed)))

    @property
    def judged(self) -> int:
        """Rows that `city.where` does not leave out."""
        return self.total.read - self.total.left_out

    @property
    def n_files(self) -> int:
        return len(self.files) + self.unlisted[0]

    @property
    def reasons(self) -> list[tuple[Key, int]]:
        """Rejected rows by reason and column, the commonest first."""
        return _commonest(self.total.reasons)

    @property
    def worst_files(self) -> list[tuple[str, FileRows]]:
        """Files without trips first, then by the share of rejected rows."""
        return sorted(self.files.items(), key=lambda item: _badness(*item))

    @property
    def repeats(self) -> list[RepeatedRows]:
        """Pairs of files that have the same rows."""
        return [*self.listed_repeats, *repeated_rows(self.sketches)]

    @property
    def without_trips(self) -> dict[str, FileRows]:
        """Files, of several, that have rows and give no trip, more rows than the share of the other files explains."""
        if self.n_files < 2 or not self.total.examples:
            return {}
        return {path: rows for path, rows in self.worst_files if rows.read and not rows.examples and self._is_odd(rows)}

    def _is_odd(self, rows: FileRows) -> bool:
        others, lost = self.total.read - rows.read, self.total.without_example - rows.without_example
        return float((lost / others) ** rows.read) < CHANCE

    def hint(self, key: Key) -> str:
        """Advice for rows rejected for a reason that comes from the city file; empty for any other."""
        return self.suspects[key].hint(self.judged) if key in self.suspects else ""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Losses:
        """Reads what `to_json` returns; less of it gives less."""
        reasons = _reasons(content.get("by_column") or [[reason, "", n] for reason, n in content["by_reason"].items()])
        left_out = content.get("left_out", 0)
        files = {
            each["file"]: FileRows(each["read"], each["examples"], each["left_out"], _reasons(each["by_column"]))
            for each in content.get("by_file", ())
        }
        hidden = content.get("n_files", len(files)) - len(files)
        listed = sum(not rows.examples and rows.read > 0 for rows in files.values())
        return cls(
            FileRows(content["read"], content["examples"], left_out, reasons),
            files,
            {
                (each["reason"], each["column"]): RejectedRow(each["file"], each["row"], each["text"])
                for each in content.get("shown", ())
            },
            {(each["reason"], each["column"]): Suspect.from_json(each) for each in content.get("misfits", ())},
            Sides.from_json(content.get("kept_and_rejected", {})),
            (hidden, content.get("files_without_trips", listed) - listed),
            listed_repeats=tuple(RepeatedRows(**each) for each in content.get("repeated", ())),
        )

    def to_json(self) -> dict[str, Any]:
        """Their part of counts.json; of the files the `SHOWN_FILES` worst ones."""
        by_reason: Counter[str] = Counter()
        for (reason, _), n in self.total.reasons.items():
            by_reason[reason] += n
        empty = sum(not rows.examples and rows.read > 0 for rows in self.files.values())
        return {
            "read": self.total.read,
            "examples": self.total.examples,
            "rejected": self.total.rejected,
            "left_out": self.total.left_out,
            "by_reason": dict(sorted(by_reason.items())),
            "by_column": _listed(self.total.reasons),
            "n_files": self.n_files,
            "files_without_trips": empty + self.unlisted[1],
            "by_file": [
                {
                    "file": path, "read": rows.read, "examples": rows.examples, "rejected": rows.rejected,
                    "left_out": rows.left_out, "by_column": _listed(rows.reasons),
                }
                for path, rows in self.worst_files[:SHOWN_FILES]
            ],
            "shown": [
                {"reason": key[0], "column": key[1], "file": row.file, "row": row.number, "text": row.text}
                for key, row in sorted(self.shown.items())
            ],
            "misfits": [
                {"reason": key[0], "column": key[1], **suspect.to_json(), "hint": suspect.hint(self.judged)}
                for key, suspect in sorted(self.suspects.items())
            ],
            "kept_and_rejected": self.sides.to_json(),
            "repeated": [dataclasses.asdict(each) for each in self.repeats],
        }  # fmt: skip


def _added(counts: Sequence[int], others: Sequence[int]) -> tuple[int, ...]:
    return tuple(first + second for first, second in zip(counts, others, strict=True))


def is_beyond(n: int, of: int, share: float) -> bool:
    """Returns True if n of `of` rows are more than `share` allows, and more than chance can explain.

    The tail of the binomial distribution is at most exp(-of KL(n / of, share)), by Chernoff's bound.
    """
    if not of or n / of <= share:
        return False
    seen = n / of
    if share == 0:
        return True
    divergence = seen * math.log(seen / share) + ((1 - seen) * math.log((1 - seen) / (1 - share)) if seen < 1 else 0)
    return math.exp(-of * divergence) < CHANCE


def _badness(path: str, rows: FileRows) -> tuple[bool, float, int, str]:
    judged = rows.read - rows.left_out
    return bool(rows.examples) or not rows.read, -rows.rejected / judged if judged else 0.0, -rows.rejected, path


def _commonest(reasons: Mapping[Key, int]) -> list[tuple[Key, int]]:
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))


def _listed(reasons: Mapping[Key, int]) -> list[list[Any]]:
    return [[*key, n] for key, n in sorted(reasons.items())]


def _reasons(listed: Iterable[tuple[str, str, int]]) -> Counter[Key]:
    return Counter({(reason, column): n for reason, column, n in listed})
