"""Looks at files of trips and drafts a profile, with what it could not tell as questions.

It samples a bounded part of each file and reads that as every run reads files.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.columns import FARE, PICKUP_HOUR, PICKUP_TIME, SOURCE_COLUMNS
from farebox.components.trip_example_gen.inspection import column_names, matching, samples
from farebox.components.trip_example_gen.inspection.bounds import guess_bounds
from farebox.components.trip_example_gen.inspection.draft import WIDE, Answers, Draft
from farebox.components.trip_example_gen.inspection.draft_times import add_formats, add_times, add_weekdays
from farebox.components.trip_example_gen.inspection.matching import Match
from farebox.components.trip_example_gen.inspection.samples import Sample
from farebox.components.trip_example_gen.inspection.trial import profile_of, read_samples
from farebox.components.trip_example_gen.inspection.zone_table import add_locations, places_of
from farebox.components.trip_example_gen.judging.judge import Trips
from farebox.components.trip_example_gen.profile import PLACES_OF
from farebox.components.trip_example_gen.sources.packed import FileKind
from farebox.components.trip_example_gen.values import cells
from farebox.components.trip_example_gen.values.currencies import BESIDE_AMOUNT, CODES, SIGNS
from farebox.components.trip_example_gen.values.dialect import PLAIN, CsvDialect

NO_ANSWERS = Answers()
MAX_FILES = 12
ONE_FOR_ALL = ("separator", "quote", "names", "skip_rows")
ERROR_SHARE = 0.6  # of the fares' standard deviation: an RMSE that any model stays below


@dataclasses.dataclass(frozen=True)
class Inspection:
    """A draft, and what it reads.

    paths: all files; samples: of some of them. trips: the sampled rows as the draft reads them, with its first choices;
    None if it lacks a column. max_rmse: an error that any model stays below. unused: columns that the draft does not
    read.
    """

    paths: tuple[str, ...]
    samples: tuple[Sample, ...]
    draft: Draft
    trips: Trips | None
    max_rmse: float | None
    unused: tuple[str, ...]

    @property
    def n_trips(self) -> int:
        """The number of sampled rows that are trips."""
        return self.trips.examples.num_rows if self.trips else 0

    @property
    def is_usable(self) -> bool:
        """Whether the draft can be used as it is."""
        return not self.draft.choices and self.n_trips > 0


def inspect(paths: Sequence[str], name: str, answers: Answers = NO_ANSWERS) -> Inspection:
    """Looks at files of one source. Raises InputError for a file that cannot be read, or an answer that is wrong."""
    taken = _sampled(paths)
    _check_named(taken, answers.columns)
    taken, matched = _named_by_ours(taken, [matching.match(each, answers.columns) for each in taken])
    taken, matched, side_files = _without_side_files(taken, matched)
    columns = matching.merged(matched)
    ordered = {column.name: columns[column.name] for column in SOURCE_COLUMNS if column.name in columns}
    draft = Draft({"name": name, "columns": {ours: _one_or_several(texts) for ours, texts in ordered.items()}})
    if side_files:
        draft.city["ignore_files"] = side_files
        draft.questions["ignore_files"] = "these lack fares, places or times"
    for each in reversed(matched):
        draft.questions.update({f"columns.{ours}": text for ours, text in each.questions.items()})
    _add_dialect(draft, taken)
    trips = _add_values(draft, taken, matched, answers) if _ask_for_columns(draft, taken) else None
    unused = [name for name in matched[0].unused if all(name in each.unused for each in matched)]
    return Inspection(tuple(paths), tuple(taken), draft, trips, _max_rmse(trips), tuple(unused))


def _check_named(taken: Sequence[Sample], named: Mapping[str, str]) -> None:
    """Raises InputError for a name that no file has, or that is given for none of our columns."""
    known = [column.name for column in SOURCE_COLUMNS]
    found = dict.fromkeys(name for each in taken for name in each.columns)
    for ours, theirs in named.items():
        if ours not in known:
            raise InputError(f"column={ours}={theirs}: {ours} must be one of {', '.join(known)}")
        if theirs not in found:
            raise InputError(f"column={ours}={theirs}: {theirs} must be a column of the files, got {', '.join(found)}")


def _sampled(paths: Sequence[str]) -> list[Sample]:
    """Samples of about `MAX_FILES` files, spread evenly; at least one for each header that there is."""
    alike: dict[Hashable, list[tuple[str, FileKind]]] = {}
    for place, kind in samples.contents(paths):
        alike.setdefault(samples.header_of(place, kind), []).append((place, kind))
    n_each = max(1, MAX_FILES // len(alike))
    return [samples.sample(place, kind) for files in alike.values() for place, kind in _spread(files, n_each)]


def _spread(files: Sequence[tuple[str, FileKind]], n: int) -> list[tuple[str, FileKind]]:
    places = np.unique(np.linspace(0, len(files) - 1, min(len(files), n)).round().astype(int))
    return [files[i] for i in places]


def _named_by_ours(taken: list[Sample], matched: list[Match]) -> tuple[list[Sample], list[Match]]:
    """Columns of files without a header, called as ours."""
    renamed: list[tuple[Sample, Match]] = []
    for sample, match in zip(taken, matched, strict=True):
        if sample.has_header:
            renamed.append((sample, match))
            continue
        ours = {theirs: name for name, theirs in match.columns.items() if theirs in sample.columns}
        names = tuple(ours.get(name, name) for name in sample.names)
        columns = {ours.get(name, name): column for name, column in sample.columns.items()}
        dialect = dataclasses.replace(sample.dialect, names=names)
        texts = {
            name: ours.get(text, text) and (name if text in ours else text) for name, text in match.columns.items()
        }
        renamed.append(
            (
                dataclasses.replace(sample, names=names, columns=columns, dialect=dialect),
                dataclasses.replace(match, columns=texts),
            )
        )
    return [sample for sample, _ in renamed], [match for _, match in renamed]


def _without_side_files(taken: list[Sample], matched: list[Match]) -> tuple[list[Sample], list[Match], list[str]]:
    """The files of trips if there are some among others, and the names of the others."""
    has_trips = [not _lacking(match.columns) for match in matched]
    if not any(has_trips):
        return taken, matched, []
    kept = [(sample, match) for sample, match, has in zip(taken, matched, has_trips, strict=True) if has]
    others = [os.path.basename(sample.path) for sample, has in zip(taken, has_trips, strict=True) if not has]
    return [sample for sample, _ in kept], [match for _, match in kept], others


def _lacking(columns: Mapping[str, Any]) -> list[str]:
    """Our columns that a file of trips must have, but this one does not."""
    has = {FARE: FARE in columns, PICKUP_TIME: PICKUP_TIME in columns or PICKUP_HOUR in columns}
    for end, ways in PLACES_OF.items():
        has[f"{end}_longitude"] = any(set(way) <= set(columns) for way in ways)
    return [ours for ours, is_named in has.items() if not is_named]


def _one_or_several(texts: Sequence[str]) -> str | list[str]:
    return texts[0] if len(texts) == 1 else list(texts)


def _add_dialect(draft: Draft, taken: Sequence[Sample]) -> None:
    """Adds `csv`, without its defaults. Raises InputError if files differ."""
    csv: dict[str, Any] = {}
    for field in dataclasses.fields(CsvDialect):
        values = {each.path: getattr(each.dialect, field.name) for each in taken}
        special = list(dict.fromkeys(value for value in values.values() if value != getattr(PLAIN, field.name)))
        if special:
            csv[field.name] = list(special[0]) if isinstance(special[0], tuple) else special[0]
        if field.name in ONE_FOR_ALL and len(set(values.values())) > 1:
            first = values[taken[0].path]
            path, other = next((path, value) for path, value in values.items() if value != first)
            raise InputError(
                f"{path}: must have the csv.{field.name} of {taken[0].path}, {first!r}, got {other!r}: a profile reads "
                "files of one dialect"
            )
    for each in taken:
        draft.questions.update(each.questions)
    if csv:
        draft.city["csv"] = csv


def _ask_for_columns(draft: Draft, taken: Sequence[Sample]) -> bool:
    """Whether the draft has a fare, places and times; asks for those that it lacks."""
    lacking = _lacking(draft.city["columns"])
    names = ", ".join(dict.fromkeys(name for each in taken for name in each.names))
    for ours in lacking:
        draft.choices[f"columns.{ours}"] = [
            ("COLUMN", f"none looks like it, name it with --column {ours}=COLUMN; found {names}")
        ]
    return not lacking


def _add_values(draft: Draft, taken: Sequence[Sample], matched: Sequence[Match], answers: Answers) -> Trips:
    """Adds all that follows from the rows, and returns the trips among them."""
    has_places = add_locations(draft, taken, answers)
    guesses = [each.times for each in matched if each.times]
    add_formats(draft, guesses)
    add_weekdays(draft, taken)
    _add_currency(draft, taken)
    wide = read_samples(taken, profile_of(draft.usable(**WIDE, times="local"), answers.folder))
    if not wide.examples.num_rows:
        raise InputError(f"{taken[0].path}: none of {wide.n_read} rows can be read: {reasons(wide)}")
    guess = guess_bounds(wide.examples, places_of(draft, answers.folder))
    draft.city.update(box=dataclasses.asdict(guess.box), fare=dataclasses.asdict(guess.fare))
    if guess.passengers:
        draft.city["passengers"] = dataclasses.asdict(guess.passengers)
    draft.notes.update(guess.notes)
    draft.questions.update(guess.questions)
    if guesses:
        add_times(draft, taken, guesses, guess.box if has_places else None, answers)
    if not has_places:
        draft.questions.pop("box", None)  # of places that are not known yet
        draft.choices["box"] = [(draft.city.pop("box"), "follows from the places of the zones")]
    return read_samples(taken, profile_of(draft.usable(), answers.folder))


def _add_currency(draft: Draft, taken: Sequence[Sample]) -> None:
    """Adds `currency`, by a sign or code in the fares or a code in their name; asks if there is none."""
    for name in draft.names_of(FARE):
        codes = CODES & {token.upper() for token in column_names.tokens(name)}
        for each in taken:
            column = each.columns.get(name)
            if column is not None and cells.is_text(column.type):
                codes |= _currencies_in(" ".join(filter(None, column.slice(0, 100).to_pylist())))
        if codes:
            draft.city["currency"] = min(codes)
            return
    draft.city["currency"] = "USD"
    draft.questions["currency"] = "nothing names the currency"


def _currencies_in(fares: str) -> set[str]:
    """The currencies that signs and codes in some fares name."""
    return {code for mark in re.findall(BESIDE_AMOUNT, fares) if (code := SIGNS.get(mark, mark))}


def reasons(trips: Trips) -> str:
    """The commonest reasons why rows are no trips."""
    return ", ".join(
        f"{n:,} {reason}" + f" (column {column})" * bool(column)
        for (reason, column), n in trips.reasons().most_common(3)
    )


def _max_rmse(trips: Trips | None) -> float | None:
    if trips is None or trips.examples.num_rows < 2:
        return None
    deviation = float(np.std(trips.examples.column(FARE).to_numpy().astype(np.float64)))
    return float(f"{ERROR_SHARE * deviation:.2g}") or None
