"""Reading of city files and overrides, and each error by its message."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
from pathlib import Path

import pytest

from farebox.components.errors import InputError
from farebox.components.pruner.settings import PrunerSettings
from farebox.pipeline.settings.load import CITIES, SettingsError, load_settings, read_yaml

CITY = """
city:
  name: springfield
  columns:
    fare: paid
    pickup_longitude: x0
    pickup_latitude: y0
    dropoff_longitude: x1
    dropoff_latitude: y1
    pickup_hour: hour
    pickup_weekday: day
  weekdays: monday_0
  box: {west: -1, east: 1, south: 50, north: 52}
  fare: {min: 1, max: 100}
"""


@pytest.fixture
def city(tmp_path):
    """Writes a city file, CITY by default, and returns its path."""

    def write(text: str = CITY) -> str:
        path = tmp_path / "springfield.yaml"
        path.write_text(text)
        return str(path)

    return write


def load(path: str, *overrides: str):
    return load_settings(path, "trips.csv", overrides=overrides)


def refusal(path: str, *overrides: str) -> str:
    """The error's text without the file's folder; one line, as the command line prints it."""
    with pytest.raises(SettingsError) as caught:
        load(path, *overrides)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(str(Path(path).parent) + "/", "")


@pytest.mark.parametrize("file", sorted(CITIES.glob("*/city.yaml")), ids=lambda file: file.parent.name)
def test_shipped_cities_load(file):
    settings = load(file.parent.name)
    assert settings.city.name == file.parent.name
    assert settings.models_dir == Path("models") / file.parent.name


def test_chicago_has_its_own_trips():
    assert Path(load_settings("chicago", None).data, "data.csv").is_file()


def test_a_city_without_trips_asks_for_them():
    with pytest.raises(SettingsError, match=r"^data must be a file or folder of trips: city=nyc has none of its own$"):
        load_settings("nyc", None)


def test_a_city_file_of_ones_own(city):
    settings = load_settings(city(), "trips/", "out")
    assert (settings.city.name, settings.city.columns.fare, settings.data) == ("springfield", "paid", "trips/")
    assert settings.runs_dir == Path("out/runs/springfield")


def test_settings_are_frozen(city):
    settings = load(city())
    for part in (settings, settings.city, settings.city.box, settings.model, settings.gates):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, dataclasses.fields(part)[0].name, None)


def test_overrides_replace_values_of_the_file(city):
    settings = load(
        city(CITY + "gates: {max_rmse: 9}\n"),
        "gates.max_rmse=4", "model.hidden=[32, 16]", "model.embeddings={pair_cell: 16}",
        "training.learning_rate=5e-4", "city.name=shelbyville", "quantizer.mode=qat",
    )  # fmt: skip
    assert (settings.gates.max_rmse, settings.model.hidden) == (4.0, (32, 16))
    assert settings.model.embeddings == {"pair_cell": 16}
    assert settings.training.learning_rate == 5e-4  # YAML 1.1 reads 5e-4 as text
    assert (settings.city.name, settings.quantizer.mode) == ("shelbyville", "qat")


def test_overrides_may_be_a_mapping(city):
    overrides = {"gates": {"max_mae": 1}, "gates.max_rmse": 4, "model.hidden": (32, 16), "push.signing_key": None}
    settings = load_settings(city(), "trips.csv", overrides=overrides)
    assert (settings.gates.max_mae, settings.gates.max_rmse, settings.model.hidden) == (1.0, 4.0, (32, 16))
    assert overrides["gates"] == {"max_mae": 1}, "the caller's own mapping changed"
    with pytest.raises(SettingsError, match=r"^overrides: gates.max_rmse=-1.0 must be above 0 and finite$"):
        load_settings(city(), "trips.csv", overrides={"gates.max_rmse": -1})
    with pytest.raises(SettingsError, match=r"^override gates.=4 must read section.key=value$"):
        load_settings(city(), "trips.csv", overrides={"gates.": 4})


def test_the_example_of_the_docstring():
    (example,) = re.findall(r"settings = (load_settings\(.*\))$", str(load_settings.__doc__), re.M)
    settings = eval(example, {"load_settings": load_settings})
    assert (settings.city.name, settings.gates.max_rmse, settings.training.seed) == ("chicago", 4.0, 1)


def test_the_gate_on_yardsticks_can_be_left_out(city):
    assert load(city()).gates.max_ratio_to_yardstick == 1.02
    assert load(city(), "gates.max_ratio_to_yardstick=null").gates.max_ratio_to_yardstick is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [("auto", "auto"), ("0.5", 0.5), ("{'hidden_*': 0.5, fare: 0.75}", {"hidden_*": 0.5, "fare": 0.75})],
)
def test_final_sparsity_is_a_number_auto_or_a_mapping(city, value, expected):
    pruner = load(city(), f"pruner.final_sparsity={value}").pruner
    assert pruner.final_sparsity == expected
    assert PrunerSettings(**json.loads(json.dumps(dataclasses.asdict(pruner)))).sparsities == pruner.sparsities


@pytest.mark.parametrize("value", ["auto", "4", "0.9"])
def test_n_components_keeps_its_kind(city, value):
    """4 is four axes, 0.9 a share of variance: neither may become the other's type."""
    n_components = load(city(), f"reducer.n_components={value}").reducer.n_components
    assert (str(n_components), type(n_components)) == (value, {"auto": str, "4": int, "0.9": float}[value])


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("gates.max_rsme=4", "overrides: gates.max_rsme is not a setting; did you mean gates.max_rmse?"),
        ("gate.max_rmse=4", "overrides: gate is not a setting; did you mean gates?"),
        ("city.box.top=4", "overrides: city.box.top is not a setting; `farebox settings` lists all"),
        ("training.epochs=many", "overrides: training.epochs=many must be a whole number"),
        ("training.epochs=1.5", "overrides: training.epochs=1.5 must be a whole number"),
        ("data_gate.drift=halt", "overrides: data_gate.drift=halt must be 'stop', 'warn' or 'ignore'"),
        ("data_gate.max_numeric=5", "overrides: data_gate.max_numeric=5.0 must be between 0 and 1"),
        (
            "data_gate.thresholds={fair: 0.1}",
            "overrides: data_gate.thresholds: fair must be one of pickup_longitude, pickup_latitude",
        ),
        (
            "data_gate.ignore_features=[epoch]",
            "overrides: data_gate.ignore_features: epoch must be one of pickup_longitude",
        ),
        ("training.epochs=0", "overrides: training.epochs=0 must be at least 1"),
        ("gates.max_rmse=-1", "overrides: gates.max_rmse=-1.0 must be above 0"),
        (
            "gates.max_ratio_to_yardstick=0",
            "overrides: gates.max_ratio_to_yardstick=0.0 must be above 0 and finite, or null",
        ),
        (
            "gates.max_ratio_to_yardstick=.nan",
            "overrides: gates.max_ratio_to_yardstick=nan must be above 0 and finite, or null",
        ),
        ("gates=4", "overrides: gates=4 must be keys with values, such as {a: b}"),
        ("model.embeddings={pickup: 4}", "overrides: model.embeddings: pickup must be one of"),
        ("device.max_gzip_bytes=0", "overrides: device.max_gzip_bytes=0 must be at least 1, or null"),
        ("quantizer.mode=int4", "overrides: quantizer.mode=int4"),
        (
            "city.box.east=-2",
            "overrides: city.box: west=-1.0 must be below east=-2.0, both within -180..180: a box cannot cross",
        ),
        ("city.name=../up", "springfield.yaml: city.name=../up must be letters, digits, - and _"),
        ("city.name=", "overrides: city.name=None must be text"),
        ("city.columns.fare=", "overrides: city.columns.fare=None must be text or a list, such as [a, b]"),
        ("gates.max_rmse", "override gates.max_rmse must read section.key=value"),
        ("=4", "override =4 must read section.key=value"),
        ("gates..max_rmse=4", "override gates..max_rmse=4 must read section.key=value"),
        ("city.name.first=x", "override city.name.first=x: name is a value, not a section"),
        ("model.hidden=[32, 16", "override model.hidden=[32, 16: the value must be YAML"),
    ],
)  # fmt: skip
def test_each_bad_setting_is_named(city, override, text):
    assert refusal(city(), override).startswith(text)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "springfield.yaml: must hold sections such as `city:`, got NoneType"),
        ("# nothing yet\n", "springfield.yaml: must hold sections such as `city:`, got NoneType"),
        ("- city\n- gates\n", "springfield.yaml: must hold sections such as `city:`, got list"),
        ("city: {name: a\ngates: {}\n", "springfield.yaml: line 2: "),
        ("city:\n  name: a\n name: b\n", "springfield.yaml: line 3: "),
        ("gates: {max_rmse: 4}\n", "springfield.yaml: city must be given"),
        (CITY.replace("  name: springfield\n", ""), "springfield.yaml: city.name must be given"),
        (CITY.replace("    fare: paid\n", ""), "springfield.yaml: city.columns.fare must be given"),
        (CITY.replace("    pickup_hour: hour\n", ""), "springfield.yaml: city.columns must name either pickup_time"),
        ("city: springfield\n", "springfield.yaml: city=springfield must be keys with values"),
        (CITY + "gates:\n", "springfield.yaml: gates=None must be keys with values"),
        (CITY + "gates: {max_rmse: [4]}\n", "springfield.yaml: gates.max_rmse=[4] must be a number"),
    ],
)
def test_each_bad_file_is_named(city, content, text):
    assert refusal(city(content)).startswith(text)


def test_a_file_that_is_not_text(city):
    path = city()
    Path(path).write_bytes(b"\xff\xfe\x00c")
    assert refusal(path).startswith("springfield.yaml: ")


@pytest.mark.parametrize("name", ["gotham", "gotham.yaml", "chicago.csv", "../data/chicago", ""])
def test_an_unknown_city_gets_a_list_of_the_known_ones(name):
    with pytest.raises(
        SettingsError, match=r"^city=.* must be one of chicago, .*nyc.*, or a city file \(.yaml\) that exists$"
    ):
        load(name)


def test_a_package_that_is_not_installed(city):
    with pytest.raises(InputError, match="city.source=package:no_such_package/trips must name an installed package"):
        load_settings(city(), None, overrides=["city.source=package:no_such_package/trips"])


def test_days_of_tariff_changes(tmp_path):
    """YAML reads a bare day as a date, a quoted one as text; both are days."""
    for value in ("2016-01-01", '"2016-01-01"'):
        settings = load_settings("chicago", None, str(tmp_path), [f"city.tariff_changes=[{value}]"])
        assert settings.city.tariff_changes == (datetime.date(2016, 1, 1),)
    for value in ("new year", "20160101"):
        with pytest.raises(SettingsError, match=f"city.tariff_changes.0={value} must be "):
            load_settings("chicago", None, str(tmp_path), [f"city.tariff_changes=[{value}]"])


def test_a_day_that_does_not_exist(tmp_path):
    """PyYAML raises a bare ValueError for it."""
    with pytest.raises(SettingsError, match="override city.tariff_changes=.2016-13-01.: the value must be YAML, month"):
        load_settings("chicago", None, str(tmp_path), ["city.tariff_changes=[2016-13-01]"])
    own = tmp_path / "own.yaml"
    own.write_text("city: {name: own, tariff_changes: [2016-13-01]}")
    with pytest.raises(SettingsError, match=f"{own}: month must be in 1..12"):
        load_settings(str(own), None, str(tmp_path))


def test_features_by_list_and_by_name(city):
    """A list is of numbers; a name without keys is one, too. The model takes them last, in the file's order."""
    path = city()
    for text in ("city.features=[surge, age]", "city.features={surge: , age: {}}"):
        settings = load(path, text)
        assert settings.model_inputs[-2:] == ("surge", "age")
        assert not settings.city.extra["surge"].is_category
    rate = load(path, "city.features={rate: {values: [1, 2.0, x], default: 2}}").city.extra["rate"]
    assert rate.texts == ("1", "2", "x") and load(path, "data_gate.thresholds={rate: 0.1}", f"city.features={RATE}")


RATE = "{rate: {values: [1, 2]}}"


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("city.features=[age, age]", "city.features=age must be a name, and in the list once"),
        ("city.features=[3]", "city.features=3 must be a name, and in the list once"),
        ("city.features=age", "city.features=age must be keys with values, such as {a: b}"),
        ("city.features={age: {mim: 5}}", "city.features.age.mim is not a setting"),
        ("city.features={age: 5}", "city.features.age=5 must be"),
        ("city.features=[trip_seconds]", "city.features.trip_seconds: trip_seconds sounds like a duration, which is"),
        ("city.features={v: {values: [yes, no]}}", "city.features.v.values=True must be text: put it in quotes"),
    ],
)
def test_each_bad_feature_is_named(city, override, line):
    assert refusal(city(), override).startswith(f"overrides: {line}")


def test_a_curated_schema_must_have_the_features(city):
    path = city(CITY + "schema: own.pbtxt\n")
    Path(path).with_name("own.pbtxt").write_text('feature { name: "surge" }')
    assert load(path, "city.features=[surge]").schema
    assert refusal(path, "city.features=[surge, age]").startswith(
        "springfield.yaml: schema=own.pbtxt must have the feature age, as city.features has it: add it, or set schema "
        "to null"
    )


@pytest.mark.parametrize("section", ["spans:\n  pattern: {YYYY}-{MM}-{DD}  # days\n", "spans:\n  pattern: {SPAN}\n"])
def test_a_pattern_that_yaml_takes_for_a_mapping_is_named_with_its_line(tmp_path, section):
    path = tmp_path / "city.yaml"
    path.write_text("# pattern: {YYYY} is fine here\ncity:\n  name: x\n" + section)
    pattern = section.partition("pattern: ")[2].partition("#")[0].strip()
    with pytest.raises(SettingsError) as caught:
        read_yaml(path)
    assert str(caught.value) == (
        f"{path}: line 5: spans.pattern={pattern} must be in quotes: YAML takes text that begins so for a mapping"
    )
    path.write_text(path.read_text().replace(pattern, f'"{pattern}"'))
    assert read_yaml(path)["spans"]["pattern"] == pattern
