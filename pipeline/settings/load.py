"""The only reader of city files and overrides: a complete, typed, frozen `Settings`, or a one-line SettingsError."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pydantic
import pydantic.dataclasses
import yaml

from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.data_gate.settings import DataGateSettings
from farebox.components.device_validator.settings import DeviceSettings
from farebox.components.errors import Count, InputError, at_least, check_fields, forms
from farebox.components.model_gate.settings import ModelBounds
from farebox.components.pca_reducer.settings import ReducerSettings
from farebox.components.pruner.settings import PrunerSettings
from farebox.components.quantizer.settings import BandSettings, QuantizerSettings
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.span_pattern import TOKEN
from farebox.components.trip_example_gen.spans import Window
from farebox.modules import columns
from farebox.modules.settings import CrossSettings, FeatureSet, ModelSettings, TrainingSettings, TunerSettings
from farebox.pipeline.settings.beam import BeamSettings
from farebox.pipeline.settings.cluster import ClusterSettings
from farebox.pipeline.settings.metadata import MetadataSettings, from_url, hide_password
from farebox.pipeline.settings.notify import NotifySettings
from farebox.pipeline.settings.spans import SpanSettings
from farebox.pipeline.settings.tracking import TrackingSettings, from_name

BARE_PATTERN = re.compile(r"""(?m)^[^#'"\n]*\bpattern:[ \t]*(\{(?:SPAN|VERSION|YYYY|MM|DD)[:}][^#\n]*)""")
OVERRIDES = "overrides"  # the place of a wrong setting that is not the file's
KINDS = {  # of pydantic's errors
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list, such as [a, b]"),
    **dict.fromkeys(("dict_type", "dataclass_type"), "keys with values, such as {a: b}"),
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), "a date, such as 2026-01-31"),
    "string_type": "text",
    "none_required": "null",
}
CITIES, CITY_FILE = Path(__file__).parents[2] / "data", "city.yaml"


class SettingsError(InputError):
    """A city file or an override that cannot be used; names file, section and key, and hides passwords."""

    def __init__(self, message: str) -> None:
        super().__init__(hide_password(message))


@dataclasses.dataclass(frozen=True)
class SplitSettings:
    """Parts of the rows, by hash of the row: train to fit, eval to choose, test to judge."""

    train: Count = 8
    """Part of train, relative to the sum of the three."""
    eval: Count = 1
    """Part of eval."""
    test: Count = 1
    """Part of test."""
    seed: Annotated[int, at_least(0)] = 0
    """Seed of the hash; another seed splits the rows differently."""

    @property
    def shares(self) -> tuple[int, int, int]:
        """The parts of train, eval and test."""
        return self.train, self.eval, self.test

    def __post_init__(self) -> None:
        check_fields(self, "split")


@pydantic.dataclasses.dataclass(frozen=True, config=pydantic.ConfigDict(extra="forbid"))  # pydantic hands it down
class Settings:
    """Everything that a run depends on; a section for each component."""

    city: CityProfile
    data: str
    """File or folder of the trips."""
    schema: str | None = None
    """Curated TFDV schema, relative to the city file; null for one that follows from the city's bounds."""
    out: str = "."
    """Folder of `runs/` and `models/`."""
    split: SplitSettings = SplitSettings()
    features: FeatureSet = "full"
    """Set of features: `raw`, the course's baseline on the source's columns, for comparison only (it returns NaN for
    missing inputs, so DeviceValidator refuses it); `course`, the course's engineered model with a 100-dimensional
    embedding of pairs of cells; `full`, the most accurate."""
    crosses: CrossSettings = CrossSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    tuner: TunerSettings = TunerSettings()
    reducer: ReducerSettings = ReducerSettings()
    pruner: PrunerSettings = PrunerSettings()
    quantizer: QuantizerSettings = QuantizerSettings()
    bands: BandSettings = BandSettings()
    data_gate: DataGateSettings = DataGateSettings()
    gates: ModelBounds = ModelBounds()
    push: PushSettings = PushSettings()
    device: DeviceSettings = DeviceSettings()
    beam: BeamSettings = BeamSettings()
    cluster: ClusterSettings = ClusterSettings()
    notify: NotifySettings = NotifySettings()
    spans: SpanSettings = SpanSettings()
    tracking: Annotated[TrackingSettings, pydantic.BeforeValidator(from_name)] = TrackingSettings()
    metadata: Annotated[MetadataSettings, pydantic.BeforeValidator(from_url)] = MetadataSettings()

    def __post_init__(self) -> None:
        named = {f"data_gate.{name}": getattr(self.data_gate, name) for name in ("thresholds", "ignore_features")}
        for name, features in {**named, "spans.ignore_drift": self.spans.ignore_drift}.items():
            for feature in features:
                if feature not in self.city.example_columns:
                    raise ValueError(f"{name}: {feature} must be one of {', '.join(self.city.example_columns)}")

    @property
    def has_era(self) -> bool:
        """Whether the tariff's era is a feature: in the full set, if the tariff changed and trips have a date."""
        city = self.city
        return self.features == "full" and bool(city.tariff_changes and city.columns.pickup_time)

    @property
    def model_inputs(self) -> tuple[str, ...]:
        """The raw columns that the model takes, the city's own last."""
        return (*(columns.DATED_INPUTS if self.has_era else columns.MODEL_INPUTS), *self.city.extra)

    @property
    def reducer_of_a_run(self) -> ReducerSettings:
        """PcaReducer's settings, with Quantizer's budget if they have none and it is a percentage."""
        budget = self.reducer.budget
        return dataclasses.replace(self.reducer, budget=self.quantizer.share if budget is None else budget)

    @property
    def pruner_of_a_run(self) -> PrunerSettings:
        """Pruner's settings, likewise."""
        budget = self.pruner.budget
        return dataclasses.replace(self.pruner, budget=self.quantizer.share if budget is None else budget)

    @property
    def data_gate_of_a_run(self) -> DataGateSettings:
        """DataGate's settings for one lot of trips, or for a window of spans."""
        return self.spans.gate_of_the_window(self.data_gate) if self.spans.pattern else self.data_gate

    @property
    def span_window(self) -> Window:
        """The spans in the folder of the trips, and how they are told. `spans.pattern` must be set."""
        spans, city = self.spans, self.city
        return Window(
            self.data,
            str(spans.pattern),
            spans.window,
            spans.marker,
            spans.quiet_s,
            city.ignore_files,
            city.time_zone,
        )

    @property
    def runs_dir(self) -> Path:
        """The folder of the city's runs."""
        return Path(self.out) / "runs" / self.city.name

    @property
    def models_dir(self) -> Path:
        """The folder of the city's pushed models."""
        return Path(self.out) / "models" / self.city.name


def city_file(city: str) -> Path:
    """Returns the YAML file of a shipped city's name or of a path. Raises SettingsError if there is none."""
    shipped = CITIES / city / CITY_FILE
    if re.fullmatch(r"[a-z0-9_-]+", city) and shipped.is_file():
        return shipped
    path = Path(city)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    names = ", ".join(sorted(file.parent.name for file in CITIES.glob(f"*/{CITY_FILE}")))
    raise SettingsError(f"city={city} must be one of {names}, or a city file (.yaml) that exists")


def read_yaml(path: Path) -> dict[str, Any]:
    """Returns the mapping in a YAML file. Raises SettingsError naming the file, and the line of a syntax error."""
    try:
        text = path.read_text(encoding="utf-8")
        if bare := BARE_PATTERN.search(text):
            number, value = text.count("\n", 0, bare.start(1)) + 1, bare[1].strip()
            raise ValueError(
                f"line {number}: spans.pattern={value} must be in quotes: YAML takes text that begins so for a mapping"
            )
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise SettingsError(f"{path}: line {line}: {error.problem}") from error
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: not UTF-8, a day such as 2016-13-01, or ours
        raise SettingsError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: must hold sections such as `city:`, got {type(content).__name__}")
    return content


def parse(assignment: str) -> tuple[str, Any]:
    """Returns the key and the value, read as YAML, of `section.key=value`. Raises SettingsError.

    A value that begins with a brace of `spans.pattern`, such as {YYYY}, is text: YAML would take it for a mapping.
    """
    key, separator, value = assignment.partition("=")
    if not separator:
        raise SettingsError(f"override {assignment} must read section.key=value")
    try:
        return key.strip(), value.strip() if TOKEN.match(value.lstrip()) else yaml.safe_load(value)
    except (ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"override {assignment}: the value must be YAML, {' '.join(str(error).split())}") from error


def override(content: dict[str, Any], key: str, value: Any) -> None:
    """Sets `section.key` in nested mappings, in place. Raises SettingsError if there is no such section."""
    *parents, last = key.split(".")
    if not last or not all(parents):
        raise SettingsError(f"override {key}={value} must read section.key=value")
    section = content
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise SettingsError(f"override {key}={value}: {parent} is a value, not a section")
    section[last] = copy.deepcopy(value)


def build(content: Mapping[str, Any], where: str) -> Settings:
    """Returns settings from nested mappings. Raises SettingsError naming `where` for unknown and missing keys and wrong
    values."""
    try:
        return pydantic.TypeAdapter(Settings).validate_python(_with_features_by_name(_with_text_ids(content), where))
    except pydantic.ValidationError as error:
        faults = list(itertools.islice(_explained(error.errors()), 3))
        raise SettingsError("; ".join(f"{where}: {fault}" for fault in faults)) from error


def _with_text_ids(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same sections with ids of `city.locations.places` as text: YAML reads 230 as a number."""
    copied = copy.deepcopy(dict(content))
    match copied:
        case {"city": {"locations": {"places": dict(places)} as locations}}:
            locations["places"] = {str(id_): place for id_, place in places.items()}
    return copied


def _with_features_by_name(content: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The same content, `city.features` as a mapping where it is a list of names, and `{}` for a name without keys."""
    city = content.get("city")
    features = city.get("features") if isinstance(city, Mapping) else None
    if isinstance(features, str) or not isinstance(features, (Sequence, Mapping)):
        return content
    if isinstance(features, Sequence):
        for name in features:
            if not isinstance(name, str) or features.count(name) > 1:
                raise SettingsError(f"{where}: city.features={name} must be a name, and in the list once")
    by_name = features if isinstance(features, Mapping) else dict.fromkeys(features)
    named = {name: {} if feature is None else feature for name, feature in by_name.items()}
    return {**content, "city": {**city, "features": named}}  # type: ignore[dict-item] # a Mapping, as seen above


def _explained(faults: Sequence[Any]) -> Iterator[str]:
    """pydantic's errors as `section.key=value must ...`; those of a union's members as one."""
    for key, group in itertools.groupby(faults, _key_of):
        first, *others = group
        kinds = [_kind(fault) for fault in others if fault["type"] != "value_error"]
        yield " or ".join(dict.fromkeys([_explain(key, first), *kinds]))


def _key_of(fault: Any) -> str:
    """The setting's key, without the member of a union that pydantic tried, such as `str` or `tuple[str, ...]`."""
    return ".".join(str(part) for part in fault["loc"] if not re.fullmatch(r"str|int|float|\w+\[.*\]", str(part)))


def _explain(key: str, fault: Any) -> str:
    """One of pydantic's errors as `section.key=value must ...`."""
    match fault["type"]:
        case "unexpected_keyword_argument":
            return f"{key} is not a setting{_hint(key)}"
        case "missing" | "missing_argument":
            return f"{key} must be given"
        case "value_error":
            return str(fault["ctx"]["error"])
        case _:
            return f"{key}={fault['input']} must be {_kind(fault)}"


def _kind(fault: Any) -> str:
    """Says what a value must be."""
    if kind := KINDS.get(fault["type"]):
        return kind
    text = fault["msg"].removeprefix("Input should be ")
    return f"{text[0].lower()}{text[1:]}"


def _hint(key: str) -> str:
    """Ends the error for an unknown key: names a similar setting of its section, or the command that lists all."""
    *parents, name = key.split(".")
    section: Any = Settings
    for parent in parents:
        form = forms(section).get(parent) if section else None
        section = next(filter(dataclasses.is_dataclass, form.types), None) if form else None
    names = [field.name for field in dataclasses.fields(section)] if section else []
    if near := difflib.get_close_matches(name, names, 1):
        return f"; did you mean {'.'.join([*parents, near[0]])}?"
    return "; `farebox settings` lists all"


def with_places(settings: Settings, path: Path) -> Settings:
    """The settings with the places of `city.locations`, from its file beside the city file, `path`."""
    from farebox.components.trip_example_gen import locations

    city = settings.city
    if city.locations is None:
        return settings
    try:
        read = locations.filled(city.locations, path.parent, city.box)
    except InputError as error:
        raise SettingsError(f"{path}: {error}") from error
    return dataclasses.replace(settings, city=dataclasses.replace(city, locations=read))


def load_settings(
    city: str, data: str | None = None, out: str = ".", overrides: Sequence[str] | Mapping[str, Any] = ()
) -> Settings:
    """Returns the settings of a city.

        settings = load_settings("chicago", out="/tmp/fares", overrides={"gates.max_rmse": 4, "training.seed": 1})

    city: a shipped city's name, or the path of a city file.
    data: a file or folder of trips; without it, the city's own source.
    out: the folder of `runs/` and `models/`.
    overrides: values that replace those of the city file, by key; or texts such as "gates.max_rmse=4", value as YAML.

    Raises SettingsError, an InputError, that names file, section and key; and InputError if the data do not exist.
    """
    from farebox.components.trip_example_gen.sources.reading import resolve_source

    path = city_file(city)
    of_file = read_yaml(path)
    content = copy.deepcopy(of_file)
    for key, value in overrides.items() if isinstance(overrides, Mapping) else map(parse, overrides):
        override(content, key, value)
    source = data or (content.get("city") or {}).get("source")
    if not source:
        raise SettingsError(f"data must be a file or folder of trips: city={city} has none of its own")
    given = {"data": str(source), "out": out}
    try:
        settings = build({**content, **given}, str(path))
    except SettingsError:
        build({**of_file, **given}, str(path))  # names the file if the fault is its own
        settings = build({**content, **given}, OVERRIDES)
    settings = with_places(settings, path)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", settings.city.name):
        raise SettingsError(f"{path}: city.name={settings.city.name} must be letters, digits, - and _")
    schema = path.parent / settings.schema if settings.schema else None
    if schema and not schema.is_file():
        raise SettingsError(f"{path}: schema={settings.schema} must be a file beside it, got nothing at {schema}")
    if schema and (missing := [name for name in settings.city.extra if f'"{name}"' not in schema.read_text()]):
        raise SettingsError(
            f"{path}: schema={settings.schema} must have the feature {missing[0]}, as city.features has it: add it, or "
            "set schema to null for one that follows from the city"
        )
    return dataclasses.replace(
        settings, data=str(resolve_source(settings.data)), schema=str(schema.resolve()) if schema else None
    )
