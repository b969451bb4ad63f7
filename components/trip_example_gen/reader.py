"""Which rows are trips: raw rows to canonical examples and rejected rows with reasons, whole columns at a time.

No TensorFlow, TFX or Beam here: `farebox evaluate` and `farebox doctor` read trips too.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.profile import CANONICAL, COORDINATES, FLOAT_COLUMNS, CityProfile
from farebox.components.trip_example_gen.sources import Chunk, OpenFile, Rows, find_files, plan_chunks, read_rows

_MISSING = r"^(?i:|null|none|n/a|na|#n/a|#na|<na>|[-+]?nan)$"
_NUMBER = r"^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$"
DAY_S = 86400
END_OF_EPOCH_S = 4102444800  # the year 2100: what lies beyond is in milliseconds, or no time at all

REJECTED = pa.schema(
    {"file": pa.string(), "row": pa.int64(), "reason": pa.string(), "column": pa.string(), "text": pa.string()}
)


@dataclasses.dataclass(frozen=True)
class Trips:
    """What was read: every row is in `examples` or in `rejected`.

    examples: the columns of `CANONICAL`, float32 degrees and fare, int64 the rest.
    rejected: file, row (CSV: the line, where the header is line 1; Parquet: the row, from 1), reason, column (the
        source's that is at fault, empty for a malformed line) and the row as text.
    """

    examples: pa.RecordBatch
    rejected: pa.Table

    @property
    def n_read(self) -> int:
        return self.examples.num_rows + self.rejected.num_rows

    def reasons(self) -> Counter[tuple[str, str]]:
        """Rejected rows by (reason, source column)."""
        groups = self.rejected.group_by(["reason", "column"]).aggregate([("row", "count")])
        return Counter({(g["reason"], g["column"]): g["row_count"] for g in groups.to_pylist()})


def read_trips(path: str, profile: CityProfile) -> Iterator[Trips]:
    """All trips of a file, a folder or a glob pattern, in pieces of bounded size.

    Raises:
        InputError: the source cannot be read, or (at the end) no row of it is a trip.
    """
    n_read, n_examples, reasons = 0, 0, Counter[tuple[str, str]]()
    for chunk in plan_chunks(find_files(path), profile):
        for trips in read_chunk(chunk, profile):
            n_read, n_examples = n_read + trips.n_read, n_examples + trips.examples.num_rows
            reasons.update(trips.reasons())
            yield trips
    check_usable(path, profile, n_read, n_examples, reasons)


def check_usable(
    path: str, profile: CityProfile, n_read: int, n_examples: int, reasons: Mapping[tuple[str, str], int]
) -> None:
    """Raises InputError, with the reasons, when a source gave no example."""
    if n_read == 0:
        raise InputError(f"{path}: has a header and no rows")
    if n_examples == 0:
        common = Counter(reasons).most_common(3)
        told = ", ".join(f"{n} {reason}" + f" (column {column})" * bool(column) for (reason, column), n in common)
        raise InputError(f"{path}: none of {n_read} rows is a trip of {profile.name}: {told}")


def read_chunk(chunk: Chunk, profile: CityProfile, open_file: OpenFile = open) -> Iterator[Trips]:
    """The trips of a chunk, in pieces of bounded size."""
    for rows in read_rows(chunk, profile, open_file):
        yield _judge(rows, chunk.path, profile)


def assign_splits(examples: pa.RecordBatch, buckets: Sequence[int], seed: int = 0) -> np.ndarray:
    """The split of each example, shape (n,), in 0..len(buckets)-1, drawn in proportion to `buckets`.

    It depends on the example's values and the seed alone: on no order, file or chunk, so equal trips share a split.
    """
    hashes = np.full(examples.num_rows, seed, np.uint64)
    for name in CANONICAL:
        values = examples.column(examples.schema.get_field_index(name)).to_numpy(zero_copy_only=False)
        bits = values.view(np.uint32) if values.dtype == np.float32 else values.view(np.uint64)
        hashes = _splitmix64(hashes ^ bits.astype(np.uint64))
    edges = np.cumsum(buckets)
    return np.searchsorted(edges, hashes % np.uint64(edges[-1]), side="right")


def _splitmix64(x: np.ndarray) -> np.ndarray:
    """Steele, Lea and Flood's mixer (https://prng.di.unimi.it/splitmix64.c), element by element; wraps modulo 2^64."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


Check = tuple[str, str, np.ndarray]  # the reason, the source column at fault, which rows, shape (n,)


def _judge(rows: Rows, path: str, profile: CityProfile) -> Trips:
    with np.errstate(over="ignore", invalid="ignore"):  # cells like 1e300 are what the checks are for
        values, checks = _canonical(rows, profile)
    first = np.full(len(rows.numbers), len(checks))
    for i in reversed(range(len(checks))):
        first[checks[i][2]] = i
    trips = first == len(checks)
    kinds = {name: np.float32 if name in FLOAT_COLUMNS else np.int64 for name in CANONICAL}
    columns = [pa.array(values[name][trips].astype(kind)) for name, kind in kinds.items()]
    return Trips(pa.RecordBatch.from_arrays(columns, list(CANONICAL)), _rejected(rows, path, checks, first))


def _rejected(rows: Rows, path: str, checks: Sequence[Check], first: np.ndarray) -> pa.Table:
    """The rows where `first`, the place of the first check that a row failed, is a place; and the malformed ones."""
    lost = np.flatnonzero(first < len(checks))
    failed = pa.array(first[lost])
    judged = [
        pa.array([path], pa.string()).take(pa.array(np.zeros(len(lost), np.int64))),
        pa.array(rows.numbers[lost], pa.int64()),
        pa.array([reason for reason, _, _ in checks], pa.string()).take(failed),
        pa.array([column for _, column, _ in checks], pa.string()).take(failed),
        pa.array(rows.text(lost) if len(lost) else [], pa.string()),
    ]
    malformed = [{"file": path, "row": n, "reason": "unparseable", "column": "", "text": t} for n, t in rows.malformed]
    table = pa.Table.from_arrays(judged, schema=REJECTED)
    return pa.concat_tables([table, pa.Table.from_pylist(malformed, REJECTED)]) if malformed else table


def _canonical(rows: Rows, profile: CityProfile) -> tuple[dict[str, np.ndarray], list[Check]]:
    """Our columns, float32 or float64 of shape (n,), valid where no check holds; and the checks, gravest first."""
    sources = profile.columns.sources()
    values, checks = {}, []
    for name in (*COORDINATES, "fare", "passenger_count"):
        if name in sources:
            values[name], bad = _numbers(rows.columns[name])
            checks.append(("unparseable", sources[name], bad))
    for name in FLOAT_COLUMNS:
        values[name] = values[name].astype(np.float32)  # before the bounds: what is written is what was judged
    checks.append(("missing_label", sources["fare"], np.isnan(values["fare"])))
    checks += [("missing_coordinate", sources[name], np.isnan(values[name])) for name in COORDINATES]
    times, bad_times = _times(rows, profile)
    checks += bad_times
    checks.append(("fare_out_of_bounds", sources["fare"], _outside(values["fare"], profile.fare.min, profile.fare.max)))
    for name in COORDINATES:
        box = profile.box
        bounds = (box.west, box.east) if name.endswith("longitude") else (box.south, box.north)
        checks.append(("outside_city", sources[name], _outside(values[name], *bounds)))
    passengers = values.get("passenger_count", np.full(len(rows.numbers), np.nan))
    passengers = np.where(np.isnan(passengers), profile.passengers_default, passengers)
    strange = _outside(passengers, profile.passengers.min, profile.passengers.max) | (passengers % 1 != 0)
    checks.append(("passengers_out_of_bounds", sources.get("passenger_count", ""), strange))
    return values | {"passenger_count": passengers} | times, checks


def _outside(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (values < values.dtype.type(low)) | (values > values.dtype.type(high))


def _times(rows: Rows, profile: CityProfile) -> tuple[dict[str, np.ndarray], list[Check]]:
    """pickup_hour, pickup_weekday (Monday 0) and pickup_epoch (s; 0 where the source gives hour and weekday)."""
    sources = profile.columns.sources()
    if "pickup_time" in sources:
        seconds = _seconds(rows.columns["pickup_time"], profile.time_format)
        unusable = ~((seconds >= 0) & (seconds < END_OF_EPOCH_S))
        epoch = np.where(unusable, 0, seconds).astype(np.int64)  # NumPy divides integers faster than floats
        weekday = (epoch // DAY_S + 3) % 7  # 1 January 1970 was a Thursday
        whole = {"pickup_hour": epoch % DAY_S // 3600, "pickup_weekday": weekday, "pickup_epoch": epoch}
        return whole, [("bad_timestamp", sources["pickup_time"], unusable)]
    hour, weekday = (_numbers(rows.columns[name])[0] for name in ("pickup_hour", "pickup_weekday"))
    bad_hour = ~((hour >= 0) & (hour <= 23) & (hour % 1 == 0))
    # Weekdays are numbered from 0 or from 1: where Monday is 1, Sunday may be 0 (cron) or 7 (ISO).
    first, last = int(profile.weekday_of_monday > 1), 7 - int(profile.weekday_of_monday == 0)
    bad_weekday = ~((weekday >= first) & (weekday <= last) & (weekday % 1 == 0))
    monday_0 = (weekday - profile.weekday_of_monday) % 7
    times = {"pickup_hour": hour, "pickup_weekday": monday_0, "pickup_epoch": np.zeros(len(hour))}
    bad = {"pickup_hour": bad_hour, "pickup_weekday": bad_weekday}
    return times, [("bad_timestamp", sources[name], rows_at) for name, rows_at in bad.items()]


def _seconds(column: pa.Array, time_format: str) -> np.ndarray:
    """Seconds since 1970 of a column of times, float64 of shape (n,), NaN where there is none."""
    column = _undictionary(column)
    if pa.types.is_temporal(column.type):
        seconds = column.cast(pa.timestamp("s", getattr(column.type, "tz", None)), safe=False).cast(pa.int64())
        return seconds.cast(pa.float64()).to_numpy(zero_copy_only=False)
    if time_format == "epoch":
        values, bad = _numbers(column)
        return np.where(bad, np.nan, values)
    text = pc.ascii_trim_whitespace(column)
    moments = pc.strptime(text, format=time_format, unit="s", error_is_null=True)
    return moments.cast(pa.int64()).cast(pa.float64()).to_numpy(zero_copy_only=False)


def _numbers(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The numbers in a column of numbers or text, float64 of shape (n,), NaN where missing; which cells are none."""
    column = _undictionary(column)
    bad = np.zeros(len(column), bool)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = pc.ascii_trim_whitespace(column)
        number = pc.fill_null(pc.match_substring_regex(text, _NUMBER), False)
        missing = pc.fill_null(pc.match_substring_regex(text, _MISSING), True)
        bad = pc.invert(pc.or_(number, missing)).to_numpy(zero_copy_only=False)
        # Arrow 10 parses no leading plus sign, Arrow 18 does.
        column = pc.ascii_ltrim(pc.if_else(number, text, pa.scalar(None, text.type)), "+")
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values, bad | np.isinf(values)


def _undictionary(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
