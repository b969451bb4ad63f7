"""Errors of pushed versions where they run: rows of version, predicted and actual fare from phones and meters."""

from __future__ import annotations

import collections
import csv
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from farebox.components.atomic_pusher.store import LocalStore, is_version
from farebox.components.errors import InputError
from farebox.modules.columns import COORDINATES, CYCLE_PERIOD
from farebox.pipeline.retraining.live_record import Live
from farebox.pipeline.settings.load import Settings

if TYPE_CHECKING:
    import pyarrow as pa

VERSION, PREDICTED, ACTUAL = REQUIRED = ("version", "predicted", "actual")
Counts = collections.Counter[str]


@dataclasses.dataclass(frozen=True)
class Actuals:
    """Errors in a file of actual fares. lives: errors by version, in the role `device`, oldest push first.

    refused: number of rows by reason. unknown: number of rows by version that is not among the pushed ones.
    """

    rows: int
    lives: tuple[Live, ...]
    refused: Mapping[str, int]
    unknown: Mapping[str, int]


def measure(settings: Settings, path: str) -> Actuals:
    """Errors of each version in a CSV or Parquet file with the columns version, predicted and actual.

    version: its name, or the whole SHA-256. With the columns of coordinates, errors are also by distance, airport and
    area of the pickup; with pickup_hour and pickup_weekday (Monday is 0), by these. A row is refused if a fare is no
    finite number, or if the actual one is out of the city's bounds, which ingest rejects too. The errors are computed
    as on a new span, and compared with the same promise.

    Raises InputError if the file cannot be read, lacks a column, or has no row of a pushed version.
    """
    from farebox.pipeline.retraining.live_error import PushedFile, SlicedSums, live_of

    pushed = set(LocalStore(settings.models_dir).versions()) if settings.models_dir.is_dir() else set()
    files: dict[str, PushedFile] = {}
    sums: dict[str, SlicedSums] = {}
    refused, unknown, n_rows = Counts(), Counts(), 0
    for columns, n_torn in batches(path):
        refused.update({"another number of fields than the header": n_torn} if n_torn else {})
        n_rows += len(columns[VERSION]) + n_torn
        versions, is_good = judged(columns, settings, refused)
        for version in sorted(set(versions[is_good])):
            chosen = is_good & (versions == version)
            if version not in pushed:
                unknown[version] += int(chosen.sum())
                continue
            file = files.setdefault(version, files.get(version) or PushedFile.load(settings, version))
            numbers = {name: values[chosen] for name, values in columns.items() if name != VERSION}
            slices = slices_of(numbers, settings)
            sums.setdefault(version, SlicedSums(file.bands)).add(numbers[PREDICTED], numbers[ACTUAL], slices)
    if not sums:
        raise InputError(
            f"actuals={path} must have rows of versions in {settings.models_dir}, got {n_rows} rows: "
            f"{refused.total()} refused, {unknown.total()} of unknown versions"
        )
    lives = [
        live_of(file, sums[version].measured(), settings, span=(0, 0), role="device") for version, file in files.items()
    ]
    return Actuals(n_rows, tuple(lives), dict(refused.most_common()), dict(unknown.most_common()))


def judged(
    columns: Mapping[str, npt.NDArray[Any]], settings: Settings, refused: Counts
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """The rows' versions by name, and which rows are good; counts the others in `refused`, by their first fault."""
    versions = np.array([text[:12] if len(text) in (12, 64) else "" for text in columns[VERSION]], dtype=object)
    bounds, actual = settings.city.fare, columns[ACTUAL]
    faults = {
        "version is no name of a version": np.array([not is_version(text) for text in versions], dtype=bool),
        "predicted is no finite number": ~np.isfinite(columns[PREDICTED]),
        "actual is no finite number": ~np.isfinite(actual),
        f"actual is not between {bounds.min:g} and {bounds.max:g}": (actual < bounds.min) | (actual > bounds.max),
    }
    is_good = np.ones(len(versions), bool)
    for reason, is_bad in faults.items():
        if count := int((is_good & is_bad).sum()):
            refused[reason] += count
        is_good &= ~is_bad
    return versions, is_good


def slices_of(columns: Mapping[str, npt.NDArray[Any]], settings: Settings) -> dict[str, npt.NDArray[Any]]:
    """Rows by distance, airport and area of the pickup, by hour and by weekday, of those that have what a slice needs;
    empty without these columns."""
    slices = dict(_slices_by_place(columns, settings)) if set(COORDINATES) <= set(columns) else {}
    for name in CYCLE_PERIOD.keys() & columns.keys():
        for value in range(CYCLE_PERIOD[name]):
            if len(rows := np.flatnonzero(columns[name] == value)):
                slices[f"{name}={value}"] = rows
    return slices


def _slices_by_place(
    columns: Mapping[str, npt.NDArray[Any]], settings: Settings
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    from farebox.modules.slices import PICKUP_AREA, fare_slices, pickup_areas, rows_by_value
    from farebox.pipeline.node_configs import slicing_config

    degrees = {name: columns[name].reshape(-1, 1) for name in COORDINATES}
    places = np.flatnonzero(np.isfinite(np.concatenate(list(degrees.values()), axis=1)).all(axis=1))
    if not len(places):
        return
    known, city = {name: values[places] for name, values in degrees.items()}, slicing_config(settings)
    areas = rows_by_value(pickup_areas(known, city["box"]))
    by_area = ((f"{PICKUP_AREA}={area}", rows) for area, rows in areas)
    for name, rows in (*fare_slices(known, {**city, "features": {}}), *by_area):
        yield name, places[rows]


def batches(path: str) -> Iterator[tuple[dict[str, npt.NDArray[Any]], int]]:
    """Columns of a CSV or Parquet file in pieces, and the number of torn rows; version is text, the others float64.

    What is no number is NaN. Raises InputError if the file cannot be read or lacks a required column.
    """
    import pyarrow as pa

    is_parquet = Path(path).suffix.lower() in (".parquet", ".pq")
    try:
        for batch, n_torn in (parquet_batches if is_parquet else csv_batches)(path):
            yield {name: _values(name, batch.column(name)) for name in batch.schema.names}, n_torn
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [""])[0]
        raise InputError(f"actuals={path} must be CSV or Parquet: {reason}") from error


def csv_batches(path: str) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Pieces of a CSV file, every column as text."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    from farebox.components.trip_example_gen.sources.safe_arrow import until_released

    with open(path, encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    chosen, n_torn = _chosen(header, path), 0

    def count(_row: Any) -> str:
        nonlocal n_torn
        n_torn += 1
        return "skip"

    options = arrow_csv.ConvertOptions(column_types=dict.fromkeys(chosen, pa.string()), include_columns=chosen)
    with until_released(count):
        for batch in arrow_csv.open_csv(
            path, convert_options=options, parse_options=arrow_csv.ParseOptions(invalid_row_handler=count)
        ):
            yield batch, n_torn
            n_torn = 0


def parquet_batches(path: str) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Pieces of a Parquet file."""
    from farebox.components.trip_example_gen.sources.parquet_files import open_parquet

    with open_parquet(path, open) as file:
        for batch in file.iter_batches(columns=_chosen(file.schema_arrow.names, path)):
            yield batch, 0


def _chosen(names: list[str], path: str) -> list[str]:
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InputError(
            f"actuals={path} must have the columns {', '.join(REQUIRED)}, got {', '.join(names) or 'none'}"
        )
    return [name for name in names if name in (*REQUIRED, *COORDINATES, *CYCLE_PERIOD)]


def _values(name: str, column: pa.Array) -> npt.NDArray[Any]:
    import pandas as pd

    series = column.to_pandas()
    if name == VERSION:
        return np.asarray([str(text).strip().lower() for text in series], dtype=object)
    return np.asarray(pd.to_numeric(series, errors="coerce"), np.float64)
