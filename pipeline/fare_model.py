"""A pushed fare model in Python: fares of trips, and its error on a file of trips. No TensorFlow."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from farebox.components.atomic_pusher.manifest import sha256
from farebox.components.atomic_pusher.versions import facts_beside, read_beside, read_model
from farebox.components.errors import InputError
from farebox.components.files import write_all_atomically
from farebox.components.networks.errors import RunningError
from farebox.components.tflite.bands import Bands, of_facts
from farebox.components.tflite.description import Description
from farebox.components.tflite.files import GOLDEN_FILE, LOCATIONS_FILE, TFLITE_IDENTIFIER
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.tflite.metadata import description_of
from farebox.components.trip_example_gen.files import DAYS, TRAINED_ROWS
from farebox.components.trip_example_gen.place_table import PlaceTable
from farebox.components.trip_example_gen.row_sketch import RowSketch
from farebox.modules import columns
from farebox.modules.feature_values import with_features
from farebox.modules.model_inputs import check_bounds, check_days, columns_of, with_coordinates, with_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from farebox.components.trip_example_gen.judging.losses import Losses
    from farebox.pipeline.settings.load import Settings


class FareRange(NamedTuple):
    """Fare, and the lower and upper end of its range: floats for one trip, else arrays of shape (n,)."""

    fare: Any
    low: Any
    high: Any


class FareModel:
    """A fare model, as a device runs it: `FareModel.load("models/chicago").predict(trips)`."""

    def __init__(
        self, content: bytes, path: Path, places: PlaceTable | None = None, trained: RowSketch | None = None
    ) -> None:
        self.path = path
        self.places = places
        self.trained = trained
        self._interpreter = TfliteModel(content, origin=path)
        self._description = readable_description(content, path)
        self._bands: Bands | None = of_facts(self._description.facts)
        self._tariff_changes = days_of(self._description, path)
        self._zone: str | None = self._description.facts.get(columns.TIME_ZONE)
        self._days: tuple[str, str] | None = self._description.facts.get(DAYS)

    @classmethod
    def load(cls, path: str | Path, *, public_key: str | Path | None = None) -> FareModel:
        """The model in a `.tflite` file, in a version's folder, or the latest one in `models/CITY`.

        public_key: a PEM file with an Ed25519 key, whose owner must have signed the version.

        Raises InputError if the file cannot be read, is not what its manifest says, or is not signed.
        """
        file, content = read_model(path, None if public_key is None else str(public_key))
        table = read_beside(file, LOCATIONS_FILE)
        places = None if table is None else PlaceTable.parse(table, file.with_name(LOCATIONS_FILE))
        sketch = facts_beside(file).get(TRAINED_ROWS)
        return cls(content, file, places, RowSketch.from_json(sketch) if sketch else None)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The columns that the file takes, in its order."""
        return self._interpreter.input_names

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The city's own inputs among `input_names`."""
        return tuple(name for name in self.input_names if name not in columns.STANDARD_INPUTS)

    @property
    def description(self) -> Description:
        """The file's own words: meaning, unit, type and bounds of each input and of the fare, and facts of the model.

        A file without metadata tells names and types only.
        """
        return self._description

    def predict(self, trips: Any) -> Any:
        """Fares in the city's currency: a float for one trip, else float32 of shape (n,).

        trips: one trip as a dict of numbers; or n trips as a dict of arrays, a DataFrame (pandas, Polars) or an
        Arrow table, with the columns

            pickup_longitude, pickup_latitude, dropoff_longitude, dropoff_latitude   degrees
            or pickup_location, dropoff_location   ids or names of places, for a model that has locations.json
                                          beside it; coordinates count if there are both
            pickup_hour, pickup_weekday   0 to 23, and 0 to 6 from Monday, in the city's local time;
                                          or pickup_time (datetime64) instead of the two: local time, or with a zone
                                          if the model tells its city's (`time_zone`)
            passenger_count               1 to 99, or as the file says; 1 if there is no such column
            pickup_era                    number of the tariff's changes before the trip, for a model that knows several
                                          tariffs; from pickup_time, or the last one, if there is no such column

        and those of the city's own (`city.features`): numbers, and of a category the text of its value or its code.
        Without a column, or where it is None or NaN, their default counts, if the city has one.

        Other columns are ignored. Raises InputError if a column is missing or a value is out of bounds: those of the
        file, which are the city's box and what ingest accepted, or of any place on Earth if the file tells none; and
        for a pickup_time before the days that the model was made from. Warns of one more than a year after them.
        """
        table = columns_of(trips, self._zone)
        is_one = bool(table) and all(values.ndim == 0 for values in table.values())
        rows = {name: values.reshape(-1) if is_one else values for name, values in table.items()}
        rows = with_time(with_coordinates(rows, self.places, self.path), self._tariff_changes)
        check_days(rows, self._days)
        rows = with_features(rows, self.input_names, self._description.facts)
        check_bounds(rows, self._description)
        fares = self._interpreter.predict(rows)
        return float(fares[0]) if is_one else fares

    @property
    def currency(self) -> str | None:
        """Unit of the fares, ISO 4217; None for a file that does not tell it."""
        return self._description.output.unit or None

    @property
    def time_zone(self) -> str | None:
        """IANA name of the city's time zone; None for a file that does not tell it."""
        return self._zone

    @property
    def coverage(self) -> float | None:
        """Share of trips whose fare lies in its range, as promised; None for a model without ranges."""
        return self._bands.coverage if self._bands else None

    def predict_range(self, trips: Any) -> FareRange:
        """Fares with their ranges, in the city's currency; trips: as in `predict`.

        Of many trips like those that the model was made from, the share `coverage` has its fare in its range.

        Raises InputError as `predict` does, and for a model without ranges.
        """
        if self._bands is None:
            raise InputError(
                f"model={self.path} must have bands in its metadata, got none: "
                "run with bands.count above 0, on more trips if these were too few"
            )
        fares = self.predict(trips)
        low, high = self._bands.ranges(fares)
        return FareRange(fares, float(low), float(high)) if isinstance(fares, float) else FareRange(fares, low, high)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Errors of a model over a file of trips, in the city's currency, and how many rows there were.

    losses: the rows that were rejected or left out, by file and reason. first_trip: what was understood of it, in a
    line. warnings: lines about rows that were lost, and about trips that say little of the model.
    """

    model: str
    city: str
    rmse: float
    mae: float
    rows_read: int
    rows_used: int
    rows_rejected: int
    rows_left_out: int
    losses: Losses
    first_trip: str
    warnings: tuple[str, ...] = ()


def evaluate(model: FareModel | str | Path, settings: Settings) -> Evaluation:
    """RMSE and MAE of a model over every trip of `settings.data`.

    The result's warnings say if the model was fitted to some of these trips, or is of another city.

    Raises InputError if the model or the trips cannot be read, if most trips lie outside the model's box or have
    another currency, or if rows are lost in a way that `settings.data_gate` stops: one of several files gives no trip,
    or the city file does not fit the source.
    """
    model = model if isinstance(model, FareModel) else FareModel.load(model)
    error, trips = RunningError(), PredictedTrips(settings, [model])
    for batch, (predictions,) in trips:
        error.update(predictions, batch[columns.FARE])
    warnings = trips.warnings()
    return Evaluation(
        model=str(model.path),
        city=settings.city.name,
        rmse=error.rmse,
        mae=error.mae,
        rows_read=trips.losses.total.read,
        rows_used=error.rows,
        rows_rejected=trips.losses.total.rejected,
        rows_left_out=trips.losses.total.left_out,
        losses=trips.losses,
        first_trip=trips.first_trip,
        warnings=warnings,
    )


class PredictedTrips:
    """The trips of `settings.data`, batch by batch, with what each of several models predicts for them.

    After the last batch: losses, the rows that were rejected or left out; first_trip, what was understood of it.
    """

    def __init__(self, settings: Settings, models: Sequence[FareModel]) -> None:
        from farebox.components.trip_example_gen.judging.losses import Losses
        from farebox.modules.scope import Scope

        self.settings, self.models = settings, models
        self.scopes = [Scope(model.description, model.trained) for model in models]
        self.losses, self.first_trip = Losses(), ""

    def __iter__(self) -> Iterator[tuple[dict[str, npt.NDArray[Any]], list[npt.NDArray[Any]]]]:
        """Yields columns of shape (n,) and the fares by each model, of n elements. Raises InputError."""
        from farebox.components.trip_example_gen.judging.first_look import describe_first
        from farebox.components.trip_example_gen.reader import read_trips
        from farebox.components.trip_example_gen.splits import row_hashes

        for trips in read_trips(self.settings.data, self.settings.city):
            batch, seed = columns_of(trips.examples), self.scopes[0].seed
            hashes = {seed: row_hashes(trips.examples, seed) for seed in {scope.seed for scope in self.scopes}}
            self.losses += trips.losses.with_examples(hashes[seed], seed)
            if not self.first_trip and trips.examples.num_rows:
                self.first_trip = describe_first(trips.examples, self.settings.city)
            for scope in self.scopes:
                scope.update(batch, hashes[scope.seed])
            yield batch, [model._interpreter.predict(batch) for model in self.models]

    @property
    def trained_share(self) -> float | None:
        """The share of the trips that a model was fitted to, of the model that knows most; None for too few."""
        return max(filter(None, (scope.trained_share for scope in self.scopes)), default=None)

    def warnings(self) -> tuple[str, ...]:
        """Lines about rows that were lost, and about trips that say little of a model.

        Raises InputError as `evaluate` does.
        """
        from farebox.components.data_gate import data_checks
        from farebox.components.data_gate.loss_checks import judge_losses

        checks = judge_losses(self.losses, self.settings.data_gate)
        if refusal := data_checks.refusal(checks, by=self.settings.data):
            raise InputError(refusal)
        city = self.settings.city
        lines = [line for scope in self.scopes for line in scope.lines(city.name, city.currency)]
        return (*dict.fromkeys(lines), *data_checks.warnings(checks))


def export(model: str | Path, to: str, out: str | Path = ".") -> list[Path]:
    """Writes the model as source code that needs no runtime, and returns the files' paths.

    model: a `.tflite` file, a version's folder, or `models/CITY` for its latest. to: c, js, kotlin, swift, python or
    rust; app for snippets that call a LiteRT runtime instead. out: the folder. If golden.json is beside the model, a
    test program is among the files; app needs it. If locations.json is there, so is its table as source.

    Raises InputError: the model cannot be read or holds an operator that the generator does not know, or `out` cannot
    be written.
    """
    from farebox.components.tflite.codegen.app import APP, app_files
    from farebox.components.tflite.codegen.export import source_code
    from farebox.components.tflite.codegen.place_tables import place_table

    file, content = read_model(model)
    golden = file.with_name(GOLDEN_FILE)
    description = Description()
    if content[4:8] == TFLITE_IDENTIFIER:
        description = with_zone(readable_description(content, file))
    if to == APP:
        if not golden.is_file():
            raise InputError(f"to=app: {golden} must be there, as beside a pushed version: the snippets test with it")
        return write_all_atomically(Path(out), app_files(content, file.name, description, golden.read_bytes()))
    texts = source_code(
        content,
        to,
        name=file.stem,
        origin=str(file),
        meanings={each.name: each.line for each in description.inputs if each.line},
        result=description.output.line,
        golden=golden.read_bytes() if golden.is_file() else None,
        golden_origin=str(golden),
    )
    if table := read_beside(file, LOCATIONS_FILE):
        places = PlaceTable.parse(table, file.with_name(LOCATIONS_FILE)).places
        texts |= place_table(to, file.stem, places, sha256(table))
    return write_all_atomically(Path(out), texts)


def with_zone(description: Description) -> Description:
    """The description, whose inputs in local time say of which zone it is, if the file tells the city's."""
    if not (zone := description.facts.get(columns.TIME_ZONE)):
        return description
    local = {each.name: each.meaning.replace("local time", f"local time of {zone}") for each in description.inputs}
    inputs = (dataclasses.replace(each, meaning=local[each.name]) for each in description.inputs)
    return dataclasses.replace(description, inputs=tuple(inputs))


def readable_description(content: bytes, path: Path) -> Description:
    """The file's description. Raises InputError, which names the path, if its metadata are damaged."""
    try:
        return description_of(content)
    except (ValueError, struct.error) as error:  # struct: bytes that are no flatbuffer
        raise InputError(f"model={path}: its metadata must be readable: {error}") from error


def days_of(description: Description, path: Path) -> npt.NDArray[Any]:
    """The days of the tariff's changes, datetime64 of shape (n,). Raises InputError if the file tells no days there."""
    told = description.facts.get(columns.TARIFF_CHANGES, ())
    try:
        return np.array(told, "datetime64[s]").reshape(-1)
    except (TypeError, ValueError) as error:
        raise InputError(f"model={path}: {columns.TARIFF_CHANGES}={told} must be days, such as 2012-09-04") from error
