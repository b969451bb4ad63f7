"""Reads samples of files with a profile, as a run reads the files."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pydantic

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import locations
from farebox.components.trip_example_gen.inspection.samples import Sample
from farebox.components.trip_example_gen.judging.judge import Trips
from farebox.components.trip_example_gen.profile import CityProfile, adapter
from farebox.components.trip_example_gen.reader import read_chunk
from farebox.components.trip_example_gen.sources.reading import plan_chunks


def profile_of(city: Mapping[str, Any], folder: Path = Path()) -> CityProfile:
    """The profile of a section `city`, with the places of its zones; `folder` is that of its file.

    Raises InputError, which names the key.
    """
    try:
        profile: CityProfile = adapter().validate_python(city)
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        reason = fault.get("ctx", {}).get("error", fault["msg"])
        raise InputError(f"city.{'.'.join(map(str, fault['loc']))}: {reason}") from error
    if profile.locations and profile.locations.file:
        read = locations.filled(profile.locations, folder, profile.box)
        profile = dataclasses.replace(profile, locations=read)
    return profile


def read_samples(taken: Sequence[Sample], profile: CityProfile) -> Trips:
    """The trips in samples. Raises InputError if the profile does not fit a file."""
    with tempfile.TemporaryDirectory(prefix="farebox-") as folder:
        parts = [
            trips
            for i, each in enumerate(taken)
            for chunk in plan_chunks([_written(each, Path(folder) / str(i))], profile)
            for trips in read_chunk(chunk, profile)
        ]
    batches = pa.Table.from_batches([part.examples for part in parts]).combine_chunks().to_batches()
    examples = batches[0] if batches else parts[0].examples
    return Trips(examples, pa.concat_tables([part.rejected for part in parts]), sum(part.n_left_out for part in parts))


def _written(sample: Sample, folder: Path) -> str:
    """The sample as a file of its own."""
    folder.mkdir()
    path = folder / ("trips.csv" if sample.is_csv else "trips.parquet")
    if sample.is_csv:
        path.write_bytes(sample.raw)
    else:
        pq.write_table(pa.table(sample.columns), str(path))
    return str(path)


def reads(taken: Sequence[Sample], profile: CityProfile) -> Iterator[float]:
    """The share of each sample's rows that are trips of the profile, of those that `where` does not leave out; 0 if it
    does not fit the file."""
    for each in taken:
        try:
            trips = read_samples([each], profile)
        except InputError:
            yield 0.0
        else:
            n_judged = trips.n_read - trips.n_left_out
            yield trips.examples.num_rows / n_judged if n_judged else 0.0
