"""The one reader of YAML and of --set: a complete, typed, frozen `Settings`, or a one-line SettingsError."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pydantic
import pydantic.dataclasses
import yaml

from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.data_gate.settings import DataGateSettings
from farebox.components.device_validator.settings import DeviceSettings
from farebox.components.errors import InputError
from farebox.components.model_gate.settings import ModelBounds
from farebox.components.pca_reducer.settings import ReducerSettings
from farebox.components.pruner.settings import PrunerSettings
from farebox.components.quantizer.settings import QuantizerSettings
from farebox.components.trip_example_gen.columns import EXAMPLE_COLUMNS
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.modules import columns
from farebox.modules.settings import CrossSettings, FeatureSet, ModelSettings, TrainingSettings, TunerSettings
from farebox.pipeline.settings.beam import BeamSettings
from farebox.pipeline.settings.cluster import ClusterSettings
from farebox.pipeline.settings.metadata import MetadataSettings, from_url, hide_password
from farebox.pipeline.settings.notify import NotifySettings
from farebox.pipeline.settings.spans import SpanSettings

CITIES, CITY_FILE = Path(__file__).parents[2] / "data", "city.yaml"


class SettingsError(InputError):
    """A city file or a --set that cannot be used; names file, section and key, and no password."""

    def __init__(self, message: str) -> None:
        super().__init__(hide_password(message))


@dataclasses.dataclass(frozen=True)
class SplitSettings:
    """Shares of the rows by hash: train fits, eval chooses, test judges. Another seed deals the rows anew."""

    train: int = 8
    eval: int = 1
    test: int = 1
    seed: int = 0

    @property
    def shares(self) -> tuple[int, int, int]:
        return self.train, self.eval, self.test

    def __post_init__(self) -> None:
        for name in ("train", "eval", "test"):
            if getattr(self, name) < 1:
                raise ValueError(f"split.{name}={getattr(self, name)} must be at least 1")
        if self.seed < 0:
            raise ValueError(f"split.seed={self.seed} must be at least 0")


@dataclasses.dataclass(frozen=True)
class GateSettings(ModelBounds):
    """What must hold before a push: the bounds on accuracy, and

    max_bytes: of the shipped file. max_rejected: the share of source rows that are no trips.
    """

    max_bytes: int = 200_000
    max_rejected: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_bytes < 1:
            raise ValueError(f"gates.max_bytes={self.max_bytes} must be at least 1")
        if not 0 <= self.max_rejected <= 1:
            raise ValueError(f"gates.max_rejected={self.max_rejected} must be between 0 and 1")

    @property
    def of_the_model(self) -> ModelBounds:
        """Those that ModelGate holds."""
        return ModelBounds(**{field.name: getattr(self, field.name) for field in dataclasses.fields(ModelBounds)})


@pydantic.dataclasses.dataclass(frozen=True, config=pydantic.ConfigDict(extra="forbid"))  # pydantic hands it down
class Settings:
    """Everything a run depends on. `data` is where the trips are, `out` where `runs/` and `models/` are kept.

    schema: a curated schema file, relative to the city file; without one it is written from the city's bounds.
    features: `raw` is the course's baseline, `course` its engineered model, `full` the most accurate.
    """

    city: CityProfile
    data: str
    schema: str | None = None
    out: str = "."
    split: SplitSettings = SplitSettings()
    features: FeatureSet = "full"
    crosses: CrossSettings = CrossSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    tuner: TunerSettings = TunerSettings()
    reducer: ReducerSettings = ReducerSettings()
    pruner: PrunerSettings = PrunerSettings()
    quantizer: QuantizerSettings = QuantizerSettings()
    data_gate: DataGateSettings = DataGateSettings()
    gates: GateSettings = GateSettings()
    push: PushSettings = PushSettings()
    device: DeviceSettings = DeviceSettings()
    beam: BeamSettings = BeamSettings()
    cluster: ClusterSettings = ClusterSettings()
    notify: NotifySettings = NotifySettings()
    spans: SpanSettings = SpanSettings()
    metadata: Annotated[MetadataSettings, pydantic.BeforeValidator(from_url)] = MetadataSettings()

    def __post_init__(self) -> None:
        named = {f"data_gate.{name}": getattr(self.data_gate, name) for name in ("thresholds", "ignore_features")}
        for name, features in {**named, "spans.ignore_drift": self.spans.ignore_drift}.items():
            for feature in features:
                if feature not in EXAMPLE_COLUMNS:
                    raise ValueError(f"{name}: {feature} must be one of {', '.join(EXAMPLE_COLUMNS)}")

    @property
    def has_era(self) -> bool:
        """Whether the tariff's era is a feature: only the full set has it, and only where trips are dated."""
        city = self.city
        return self.features == "full" and bool(city.tariff_changes and city.columns.pickup_time)

    @property
    def model_inputs(self) -> tuple[str, ...]:
        """The raw columns that the model asks for."""
        return columns.DATED_INPUTS if self.has_era else columns.MODEL_INPUTS

    @property
    def data_gate_of_a_run(self) -> DataGateSettings:
        """Of one lot of trips, or of a window of spans."""
        return self.spans.gate_of_the_window(self.data_gate) if self.spans.pattern else self.data_gate

    @property
    def runs_dir(self) -> Path:
        return Path(self.out) / "runs" / self.city.name

    @property
    def models_dir(self) -> Path:
        return Path(self.out) / "models" / self.city.name


def city_file(city: str) -> Path:
    """The YAML file of a shipped city's name or of a path. Raises SettingsError where there is none."""
    shipped = CITIES / city / CITY_FILE
    if re.fullmatch(r"[a-z0-9_-]+", city) and shipped.is_file():
        return shipped
    path = Path(city)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    names = ", ".join(sorted(file.parent.name for file in CITIES.glob(f"*/{CITY_FILE}")))
    raise SettingsError(f"city={city} must be one of {names}, or a city file (.yaml) that exists")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises SettingsError naming the file, and the line where the syntax breaks."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise SettingsError(f"{path}: line {line}: {error.problem}") from error
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: no UTF-8, or a day such as 2016-13-01
        raise SettingsError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: must hold sections such as `city:`, got {type(content).__name__}")
    return content


def override(content: dict[str, Any], assignment: str) -> None:
    """Applies `section.key=value`, the value read as YAML, in place. Raises SettingsError where it is none."""
    key, separator, value = assignment.partition("=")
    *parents, last = key.strip().split(".")
    if not separator or not last or not all(parents):
        raise SettingsError(f"--set {assignment} must read section.key=value")
    section = content
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise SettingsError(f"--set {assignment}: {parent} is a value, not a section")
    try:
        section[last] = yaml.safe_load(value)
    except (ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"--set {assignment}: the value must be YAML, {' '.join(str(error).split())}") from error


def build(content: Mapping[str, Any], where: str) -> Settings:
    """Settings from nested mappings: unknown keys, missing keys and wrong types are errors that name `where`."""
    try:
        return pydantic.TypeAdapter(Settings).validate_python(content)
    except pydantic.ValidationError as error:
        raise SettingsError("; ".join(f"{where}: {_explain(found)}" for found in error.errors()[:3])) from error


def _explain(found: Any) -> str:
    """One of pydantic's findings as `section.key=value must ...`."""
    key = ".".join(str(part) for part in found["loc"])
    match found["type"]:
        case "unexpected_keyword_argument":
            return f"{key} is no setting"
        case "missing" | "missing_argument":
            return f"{key} must be given"
        case "value_error":
            return str(found["ctx"]["error"])
        case _:
            return f"{key}={found['input']}: {found['msg'][0].lower()}{found['msg'][1:]}"


def load_settings(city: str, data: str | None, out: str = ".", overrides: Sequence[str] = ()) -> Settings:
    """Settings of a city's name or file. Raises SettingsError, or InputError where the data do not exist."""
    from farebox.components.trip_example_gen.sources import resolve_source

    path = city_file(city)
    content = read_yaml(path)
    for assignment in overrides:
        override(content, assignment)
    source = data or (content.get("city") or {}).get("source")
    if not source:
        raise SettingsError(f"city={city} has no data of its own: give --data FILE or FOLDER")
    settings = build({**content, "data": str(source), "out": out}, str(path))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", settings.city.name):
        raise SettingsError(f"{path}: city.name={settings.city.name} must be letters, digits, - and _")
    schema = path.parent / settings.schema if settings.schema else None
    if schema and not schema.is_file():
        raise SettingsError(f"{path}: schema={settings.schema} must be a file beside it, got nothing at {schema}")
    return dataclasses.replace(
        settings, data=str(resolve_source(settings.data)), schema=str(schema.resolve()) if schema else None
    )
