"""Files of invented trips, in the dialect of a city's profile; some of their rows are faulty on purpose.

NumPy and pyarrow only. Trips are drawn and written in chunks of a fixed size, each with a random stream of its own.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import datetime
import math
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.columns import (
    COORDINATES,
    FARE,
    NUMBER_COLUMNS,
    PASSENGER_COUNT,
    PICKUP_HOUR,
    PICKUP_LATITUDE,
    PICKUP_LONGITUDE,
    PICKUP_TIME,
    PICKUP_WEEKDAY,
    RAW_COLUMNS,
    SOURCE_COLUMNS,
)
from farebox.components.trip_example_gen.profile import CityProfile, Interval
from farebox.components.trip_example_gen.simulation.simulated_trips import Trips, draw_trips, tariff_changes
from farebox.components.trip_example_gen.sources import binding
from farebox.components.trip_example_gen.values.clock import END_OF_EPOCH_S
from farebox.components.trip_example_gen.values.times import NUMBERS, WEEKDAY_NUMBERS

CHUNK_ROWS, PART_CHUNKS = 1 << 17, 8  # a million rows per file of a folder
FIRST_DAY, END_DAY = datetime.date(1971, 1, 1), datetime.date(2100, 1, 1)  # before it, ms would pass for s
DEFAULT_DAY, DEFAULT_DAYS = datetime.date(2024, 1, 1), 364  # a Monday, and 52 whole weeks
FAULTS = ("missing_coordinate", "outside_city", "fare_out_of_bounds", "unparseable", "bad_timestamp")
LEFT_OUT = frozenset(column.name for column in RAW_COLUMNS if column.is_place)
NO_NUMBER, NO_TIME = "#VALUE!", "0000-00-00 00:00:00"  # as spreadsheets and MySQL write them

Track = Callable[[Sequence[int]], Iterable[int]]
Cells = dict[str, npt.NDArray[np.float64]]  # our column: its cells, shape (n,)


@dataclasses.dataclass(frozen=True)
class Order:
    """The number, days, seed and faults of trips to simulate.

    dirt: the expected share of faulty rows, in [0, 1).
    since: the first day, YYYY-MM-DD; without it the days lie around the city's first change of tariff or, if there
        is none, start at `DEFAULT_DAY`.
    """

    rows: int
    seed: int = 0
    dirt: float = 0.02
    since: str | None = None
    days: int = DEFAULT_DAYS

    def __post_init__(self) -> None:
        for name, least in (("rows", 1), ("seed", 0), ("days", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name}={getattr(self, name)} must be at least {least}")
        if not 0 <= self.dirt < 1:
            raise InputError(f"dirt={self.dirt} must be at least 0 and below 1")

    def first_day(self, profile: CityProfile) -> datetime.date:
        """The first day. Raises InputError if `since` is not a day or the days are not within FIRST_DAY..END_DAY."""
        try:
            first = datetime.datetime.strptime(self.since, "%Y-%m-%d").date() if self.since else DEFAULT_DAY
        except ValueError as error:
            raise InputError(f"since={self.since} must be a day as YYYY-MM-DD") from error
        changes = tariff_changes(profile)
        if not self.since and len(changes):
            first = changes.min().item() - datetime.timedelta(days=min(self.days, DEFAULT_DAYS) // 2)
        if first < FIRST_DAY or self.days > (END_DAY - first).days:
            raise InputError(f"since={first} days={self.days} must be days from {FIRST_DAY} on and before {END_DAY}")
        return first


@dataclasses.dataclass(frozen=True)
class Written:
    """The number of `rows`, how many of them are faulty (`dirt`), and the size of all files."""

    rows: int
    dirt: int
    n_bytes: int


@contextlib.contextmanager
def written_aside(out: str) -> Iterator[Path]:
    """A path beside `out` for a file or a folder, which is renamed to `out` at the end and removed after an error.

    Raises InputError: `out` exists or cannot be written.
    """
    path = Path(out)
    try:
        if path.exists():
            raise InputError(f"out={out} exists already, give another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as aside:
            whole = Path(aside, path.name)
            yield whole
            whole.rename(path)
    except OSError as error:
        raise InputError(f"out={out} cannot be written: {error.strerror or error}") from error


def simulate(profile: CityProfile, order: Order, out: str, track: Track = iter) -> Written:
    """Writes trips to `out`, a .csv, a .parquet or a new folder of CSV files; `track` iterates over the chunks.

    The files are written aside and renamed when complete. Equal orders give equal trips in every format.

    Raises:
        InputError: `out` exists or cannot be written, or a trip of the profile cannot be simulated.
    """
    suffix = "" if out.endswith("/") else Path(out).suffix.lower()
    if suffix not in ("", ".csv", ".parquet"):
        raise InputError(f"out={out} must end in .csv or .parquet, or be the name of a folder")
    with written_aside(out) as whole:
        dirt = _write(whole, suffix, profile, _tables(profile, order, track))
        n_bytes = sum(file.stat().st_size for file in [whole, *whole.glob("*")] if file.is_file())
    return Written(order.rows, dirt, n_bytes)


def _write(whole: Path, suffix: str, profile: CityProfile, tables: Iterable[tuple[pa.Table, int]]) -> int:
    """Writes the chunks and returns how many rows are faulty."""
    dirt = 0
    if suffix == ".parquet":
        with pq.ParquetWriter(str(whole), _schema(profile)) as writer:
            for table, faulty in tables:
                writer.write_table(table)
                dirt += faulty
        return dirt
    if not suffix:
        whole.mkdir()
    for chunk, (table, faulty) in enumerate(tables):
        _append_csv(whole if suffix else whole / f"trips-{chunk // PART_CHUNKS:05d}.csv", table, profile)
        dirt += faulty
    return dirt


def _tables(profile: CityProfile, order: Order, track: Track) -> Iterator[tuple[pa.Table, int]]:
    """Chunks in the dialect of the source, and how many rows of each are faulty."""
    first_day, schema = np.datetime64(order.first_day(profile)), _schema(profile)
    for chunk in track(range(math.ceil(order.rows / CHUNK_ROWS))):
        random = np.random.default_rng([order.seed, chunk])
        n = min(CHUNK_ROWS, order.rows - chunk * CHUNK_ROWS)
        columns = _columns(draw_trips(profile, n, first_day, order.days, random), profile)
        faulty = np.flatnonzero(random.random(n) < order.dirt)
        _spoil(columns, faulty, profile, random)
        columns |= _uniform_columns(columns, profile, n, random)  # last: the other columns stay what they are
        arrays = [_cells(ours, columns[ours], profile) for ours in plain_names(profile)]
        yield pa.Table.from_arrays(_as_dialect(arrays, profile), schema=schema), len(faulty)


def _cells(ours: str, values: npt.NDArray[Any], profile: CityProfile) -> pa.Array:
    """The cells of a column: numbers, or the texts of a category's codes."""
    feature = profile.extra.get(ours)
    return _texts(feature.texts, values) if feature and feature.values else pa.array(values, from_pandas=True)


def _texts(texts: Sequence[str], codes: npt.NDArray[Any]) -> pa.Array:
    return pa.array(texts, pa.string()).take(pa.array(codes.astype(np.int64)))


def _append_csv(path: Path, table: pa.Table, profile: CityProfile) -> None:
    """Appends lines as `city.csv` says, to a new file after a header. Joins cells itself: Arrow 10 quotes all text."""
    dialect, fare = profile.csv, plain_names(profile)[FARE]
    cells = {name: column.cast(pa.string()) for name, column in zip(table.schema.names, table.columns, strict=True)}
    cells[fare] = pc.if_else(pc.equal(cells[fare], "inf"), NO_NUMBER, cells[fare])
    separator, quote = dialect.separator or ",", dialect.quote
    for name, kind in zip(table.schema.names, table.schema.types, strict=True):
        if kind == pa.float64() and dialect.decimal != ".":
            cells[name] = pc.replace_substring(cells[name], ".", dialect.decimal)
        if kind != pa.string() and separator != dialect.decimal:
            continue  # numbers need no quotes
        marked = pc.or_(pc.match_substring(cells[name], separator), pc.match_substring(cells[name], quote))
        escaped = pc.replace_substring(cells[name], quote, (dialect.escape or quote) + quote)
        cells[name] = pc.if_else(marked, pc.binary_join_element_wise(quote, escaped, quote, ""), cells[name])
    nothing = pa.chunked_array([pa.array([""] * len(table))])
    columns = [cells.get(name, nothing) for name in dialect.names or cells]
    lines = pc.binary_join_element_wise(*columns, separator, null_handling="replace").to_pylist()
    with path.open("a", encoding=dialect.encoding or "utf-8", newline="") as file:
        if file.tell() == 0:
            file.write("\n" * dialect.skip_rows)
            if dialect.names is None:
                csv.writer(file, delimiter=separator, quotechar=quote, lineterminator="\n").writerow(cells)
        file.writelines(f"{line}\n" for line in lines)


# The dialect and the faults


def _schema(profile: CityProfile) -> pa.Schema:
    """The source's columns, in the order of `Columns`."""
    kinds = {column.name: pa.float64() if column.dtype is np.float32 else pa.int64() for column in SOURCE_COLUMNS}
    if time_format_of(profile) != "epoch":
        kinds[PICKUP_TIME] = pa.string()
    kinds |= {name: pa.string() if feature.values else pa.float64() for name, feature in profile.extra.items()}
    return pa.schema([(theirs, kinds[ours]) for ours, theirs in plain_names(profile).items()])


def plain_names(profile: CityProfile) -> dict[str, str]:
    """Our column: the source's, the first of several. Raises InputError for a source that cannot be simulated."""
    names = {}
    for ours, (theirs, *_) in profile.sources().items():
        if ours in LEFT_OUT or not binding.column_or_expression(theirs, ()).is_column:
            raise InputError(f"city.columns.{ours}={theirs} cannot be simulated: it must be one column")
        names[ours] = theirs
    return names


def time_format_of(profile: CityProfile) -> str:
    """The format in which times are written. Raises InputError for a source that cannot be simulated."""
    first = profile.time_source.formats[0]
    if profile.times in ("utc", "offset"):
        raise InputError(f"city.times={profile.times} cannot be simulated: times must be local")
    if first in NUMBERS and first != "epoch":
        raise InputError(f"city.time_format={first} cannot be simulated: it must be epoch or a strptime format")
    return first


def _columns(trips: Trips, profile: CityProfile) -> Cells:
    """Our column: float64 of shape (n,), times in s; the weekday by the source's count, with Sunday up to 7."""
    monday, first, _ = WEEKDAY_NUMBERS.get(profile.weekdays or "", (0, 0, 6))
    weekday = (trips.weekday() + monday - first) % 7 + first
    places = np.moveaxis(trips.places, 1, 2).reshape(4, -1)
    values: dict[str, npt.NDArray[Any]] = dict(zip(COORDINATES, places, strict=True))
    values |= {FARE: trips.fare, PASSENGER_COUNT: trips.passengers, PICKUP_TIME: trips.epoch}
    values |= {PICKUP_HOUR: trips.hour(), PICKUP_WEEKDAY: weekday}
    return {name: column.astype(np.float64) for name, column in values.items()}


def _uniform_columns(names: Collection[str], profile: CityProfile, n: int, random: np.random.Generator) -> Cells:
    """The columns of the table that `names` lacks, drawn uniformly within their bounds, float64 of shape (n,)."""
    values: Cells = {}
    for column in (*NUMBER_COLUMNS, *profile.extra_columns.values()):
        if column.name not in names:
            bounds = profile.bounds_of(column) or Interval(0, 1)
            if column.dtype is np.float32:
                low = bounds.min if math.isfinite(bounds.min) else bounds.max - 1
                values[column.name] = random.uniform(low, bounds.max if math.isfinite(bounds.max) else low + 1, n)
            else:
                drawn = random.integers(math.ceil(bounds.min), math.floor(bounds.max), n, endpoint=True)
                values[column.name] = drawn.astype(np.float64)
    return values


def _spoil(columns: Cells, faulty: npt.NDArray[np.int64], profile: CityProfile, random: np.random.Generator) -> None:
    """Puts one of `FAULTS` into each of the rows `faulty`, in place: NaN is an empty cell, infinity is not a number."""
    fault, coin = random.integers(len(FAULTS), size=len(faulty)), random.random(len(faulty)) < 0.5
    cell = random.integers(len(COORDINATES), size=len(faulty))
    rows = {name: faulty[fault == i] for i, name in enumerate(FAULTS)}
    heads = {name: coin[fault == i] for i, name in enumerate(FAULTS)}
    for i, name in enumerate(COORDINATES):
        columns[name][faulty[(fault == 0) & (cell == i)]] = np.nan
    _move_away(columns, rows["outside_city"], heads["outside_city"], profile)
    wrong, below = rows["fare_out_of_bounds"], min(0.0, profile.fare.min)
    nothing = heads["fare_out_of_bounds"] & (profile.fare.min > 0)
    columns[FARE][wrong] = np.where(nothing, 0, below - np.abs(columns[FARE][wrong]))
    columns[FARE][rows["unparseable"]] = np.inf
    wrong, empty = rows["bad_timestamp"], heads["bad_timestamp"]
    columns[PICKUP_TIME][wrong] = np.where(empty, np.nan, columns[PICKUP_TIME][wrong] * 1000)  # in ms
    columns[PICKUP_HOUR][wrong] = np.where(empty, np.nan, 24)


def _move_away(
    columns: Cells, rows: npt.NDArray[np.int64], is_lost: npt.NDArray[np.bool_], profile: CityProfile
) -> None:
    """Moves pickups out of the box: to 0, 0 if `is_lost`, as receivers without a fix do, else to the north."""
    box, margin = profile.box, 0.01  # degrees: more than float32, which the reader judges in, may lose
    around = box.west - margin < 0 < box.east + margin and box.south - margin < 0 < box.north + margin
    is_lost = is_lost & (not around)
    north = columns[PICKUP_LATITUDE][rows] + (box.north - box.south) + margin
    columns[PICKUP_LATITUDE][rows] = np.where(is_lost, 0, north)
    columns[PICKUP_LONGITUDE][rows] = np.where(is_lost, 0, columns[PICKUP_LONGITUDE][rows])


def _as_dialect(arrays: list[pa.Array], profile: CityProfile) -> list[pa.Array]:
    """The columns with the types of `_schema`, times as the source writes them."""
    kinds = _schema(profile).types
    return [
        _time_text(column, profile) if ours == PICKUP_TIME and kind == pa.string() else column.cast(kind)
        for ours, column, kind in zip(plain_names(profile), arrays, kinds, strict=True)
    ]


def _time_text(seconds: pa.Array, profile: CityProfile) -> pa.Array:
    """Times as text. Raises InputError for a format that can be read but not written, such as one with a zone."""
    broken = pc.greater(seconds, END_OF_EPOCH_S)
    moments = pc.if_else(broken, 0.0, seconds).cast(pa.int64()).cast(pa.timestamp("s"))
    try:
        text = pc.strftime(moments, format=time_format_of(profile))
    except pa.ArrowInvalid as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"city.time_format={time_format_of(profile)} cannot be simulated: {reason}") from error
    return pc.if_else(broken, NO_TIME, text)
