"""The command line through the installed `farebox`: answers, exit codes, and one line for what a user can mend."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import Check, GateError, InputError
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.metadata import described
from farebox.pipeline import cli, process
from farebox.pipeline.local import run as runs

FAREBOX = Path(sys.executable).with_name("farebox")
CITY = """
city:
  name: springfield
  columns: {fare: paid, pickup_longitude: x0, pickup_latitude: y0, dropoff_longitude: x1, dropoff_latitude: y1,
            pickup_hour: hour, pickup_weekday: day}
  weekdays: monday_0
  box: {west: -1, east: 1, south: 50, north: 52}
  fare: {min: 1, max: 100}
"""
HEADER = "paid,x0,y0,x1,y1,hour,day\n"
GOOD = "5,0,51,0.5,51.5,1,0\n"
BANDS = {"coverage": 0.9, "edges": [13.0], "lower": [-1.0, -4.0], "upper": [2.0, 8.0], "floor": 2.5}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working folder with springfield.yaml."""
    (tmp_path / "springfield.yaml").write_text(CITY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(place, fare_tflite) -> str:
    """fare = 2.5 - 0.1 pickup_longitude + passenger_count + 0.5 pickup_hour + 0.25 pickup_weekday"""
    (place / "fare.tflite").write_bytes(fare_tflite)
    return "fare.tflite"


def farebox(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(FAREBOX), *arguments], check=False, capture_output=True, text=True, timeout=120)


def trip(pickup: str = "-70,40.7", hour: str = "8", weekday: str = "2", model: str = "fare.tflite") -> list[str]:
    where = ["--pickup", pickup, "--dropoff", "-73.9,40.8"]
    return ["predict", "--model", model, *where, "--hour", hour, "--weekday", weekday]


def test_help_lists_every_command():
    result = farebox("--help")
    assert result.returncode == 0
    for name, command in cli.COMMANDS.items():
        assert f" {name.split()[0]} " in result.stdout
        assert " " in name or command.summary in result.stdout


def test_help_is_written_without_importing_a_command():
    code = "import sys; from farebox.pipeline import cli\ntry: cli.main()\nexcept SystemExit: print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True).stdout
    assert "farebox.pipeline.cli" in shown
    modules = {command.module for command in cli.COMMANDS.values()}
    assert modules.isdisjoint(shown.split())


def test_a_wrong_name_is_answered_with_the_right_one(call):
    code, _, error = call("rn")
    assert code == 2 and "No such command 'rn'. Did you mean 'run'?" in error


def test_every_command_and_option_has_help():
    for name, entry in cli.COMMANDS.items():
        command = cli.click_command(name, entry)
        assert " ".join(command.help.split("\n\n")[0].split()).startswith(entry.summary.rstrip(".")), name
        assert [option.name for option in command.params if not option.help and option.name != "help"] == [], name


def test_predict_through_the_command(model):
    """2.5 + 7 + 1 + 4 + 0.5"""
    result = farebox(*trip())
    assert (result.returncode, result.stdout) == (0, "15.00\n")


@pytest.mark.parametrize(
    ("currency", "facts", "line"),
    [
        ("USD", {"bands": BANDS}, "15.00 USD (11.00 to 23.00, 9 of 10 trips)"),
        ("", {"bands": {**BANDS, "coverage": 0.95}}, "15.00 (11.00 to 23.00, 19 of 20 trips)"),
        ("EUR", {}, "15.00 EUR"),
        ("", {}, "15.00"),
    ],
)
def test_predict_prints_what_the_file_tells(fare_tflite, place, call, currency, facts, line):
    words = Description(output=TensorDescription("fare", unit=currency), facts=facts)
    push.push(described(fare_tflite, words), LocalStore(place / "models/nyc"), {})
    assert call(*trip(model="models/nyc")) == (0, f"{line}\n", "")


def test_predict_takes_zones_and_coordinates_alike(fare_tflite, place, call):
    table = b'{"132": [-70, 40.7, "JFK Airport"], "230": [-73.9, 40.8]}'
    push.push(fare_tflite, LocalStore(place / "models/zoned"), {}, locations=table)
    for pickup in ("132", "jfk airport", "-70,40.7"):
        assert call(*trip(pickup, model="models/zoned")) == (0, "15.00\n", "")
    code, _, err = call(*trip("JFK", model="models/zoned"))
    line = "--pickup=JFK must be the id or name of one of the model's 2 places; similar: JFK Airport; or"
    assert (code, err) == (2, f"farebox: {line} LON,LAT in degrees\n")


def test_predict_counts_passengers(model, call):
    assert call(*trip(), "--passengers", "3") == (0, "17.00\n", "")


def test_predict_finds_the_era_of_a_day(place, convert_tflite, call):
    """From 15 July 2017 on the fare is 5 higher; without a day the last tariff holds."""
    words = Description(facts={"tariff_changes": ["2017-07-15"]})
    (place / "dated.tflite").write_bytes(described(convert_tflite(era=1), words))
    for day, fare in (("2017-07-14", "15.00\n"), ("2017-07-15", "20.00\n"), (None, "20.00\n")):
        given = [] if day is None else ["--date", day]
        assert call(*trip(model="dated.tflite"), *given) == (0, fare, "")


@pytest.fixture(scope="module")
def own_tflite(convert_tflite) -> bytes:
    """Traffic and the code of the car, 1 for a van, are added to the fare."""
    facts = {"categories": {"car": ["sedan", "van"]}, "feature_defaults": {"car": 0}}
    content = convert_tflite(lambda fare: fare, types={"traffic": "float32", "car": "int32"})
    inputs = (TensorDescription("traffic", minimum=0, maximum=5000), TensorDescription("car", minimum=0, maximum=1))
    return described(content, Description(inputs=inputs, facts=facts))


@pytest.fixture
def with_features(place, own_tflite) -> str:
    """As `model`, of `own_tflite`."""
    (place / "own.tflite").write_bytes(own_tflite)
    return "own.tflite"


@pytest.mark.parametrize(
    ("features", "fare"),
    [
        (["traffic=100"], "115.00"),
        (["traffic=100", "car=van"], "116.00"),
        (["car=1", "traffic = 2.5"], "18.50"),
        (["car=sedan", "traffic=0"], "15.00"),
    ],
)
def test_predict_takes_the_citys_own_inputs(with_features, call, features, fare):
    """A default counts without the feature; 15 is the trip's fare without any."""
    arguments = [part for feature in features for part in ("--feature", feature)]
    assert call(*trip(model=with_features), *arguments) == (0, f"{fare}\n", "")


@pytest.mark.parametrize(
    ("features", "line"),
    [
        ([], "traffic is missing: the model asks for a number, and its city has no default"),
        (["traffic=much"], "traffic=much must be a number"),
        (["traffic=6000"], "traffic=6000 must be between 0.0 and 5000.0"),
        (["traffic=nan"], "traffic=nan is missing"),
        (["traffic=1", "car=bus"], "car=bus must be one of sedan, van, or their codes, 0 to 1"),
        (["traffic=1", "trafic=1"], "--feature=trafic=1: trafic must be one of car, traffic"),
        (["traffic=1", "traffic=2"], "--feature=traffic=2: traffic must be given once"),
        (["traffic"], "--feature=traffic must read NAME=VALUE, such as traffic=1200"),
        (["traffic="], "--feature=traffic= must read NAME=VALUE"),
    ],
)
def test_predict_refuses_features(with_features, call, features, line):
    arguments = [part for feature in features for part in ("--feature", feature)]
    code, out, err = call(*trip(model=with_features), *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"farebox: {line}")


def test_a_model_without_own_inputs_takes_no_feature(model, call):
    code, _, err = call(*trip(), "--feature", "traffic=1")
    assert code == 2 and "traffic must be left out: the model has no inputs of its city's own" in err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (trip(pickup="-70"), "--pickup=-70 must read LON,LAT in degrees, such as -87.63,41.88"),
        (trip(pickup="-70,40.7,1"), "--pickup=-70,40.7,1 must read LON,LAT"),
        (trip(pickup="west,40.7"), "--pickup=west,40.7 must read LON,LAT"),
        (trip(pickup="-70,140.7"), "pickup_latitude=140.7 must be between -90 and 90"),
        (trip(pickup="nan,40.7"), "pickup_longitude=nan must be between -180 and 180"),
        (trip(hour="24"), "pickup_hour=24 must be between 0 and 23"),
        (trip(weekday="7"), "pickup_weekday=7 must be between 0 and 6"),
        ([*trip(), "--date", "2016-13-01"], "--date=2016-13-01 must be a day, YYYY-MM-DD"),
        ([*trip(), "--passengers", "0"], "passenger_count=0 must be between 1 and 99"),
        (trip(model="gone.tflite"), "--model=gone.tflite must be a .tflite file"),
        (trip(model="springfield.yaml"), "--model=springfield.yaml must be a TFLite file"),
    ],
)
def test_predict_refuses(model, call, arguments, line):
    code, out, err = call(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"farebox: {line}")


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:200], lambda content: b"TFL3" * 50])
def test_predict_refuses_a_damaged_file(model, call, place, damage):
    (place / model).write_bytes(damage((place / model).read_bytes()))
    code, out, err = call(*trip())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("farebox: --model=fare.tflite must be a TFLite file, got")


def test_evaluate_by_hand(model, place, call):
    """Fares 2.5 + 1 + 0.5 and 2.5 + 1 + 1.5 + 0.5 against 5 and 3.5: differences -1 and 2. Two rows are no trips."""
    rows = GOOD + "3.5,0,51,0.5,51.5,3,2\n" + "free,0,51,0.5,51.5,3,2\n" + "5,0,49,0.5,51.5,1,0\n"
    (place / "trips.csv").write_text(HEADER + rows)
    arguments = ["evaluate", "--model", model, "--city", "springfield.yaml", "--data", "trips.csv"]
    code, out, _ = call(*arguments, "--json")
    evaluation = json.loads(out)
    assert (code, evaluation["rows"]) == (0, {"read": 4, "used": 2, "rejected": 2, "left_out": 0})
    assert evaluation["losses"]["by_column"] == [["outside_city", "y0", 1], ["unparseable", "paid", 1]]
    assert evaluation["rmse"] == pytest.approx(2.5**0.5) and evaluation["mae"] == pytest.approx(1.5)
    assert call(*arguments)[1].splitlines() == [
        "first trip: Monday, hour 1 local time, from 0.0000, 51.0000 to 0.5000, 51.5000, 1 passenger, 5.00 USD",
        "RMSE 1.5811, MAE 1.5000 over 2 trips; 2 rejected",
        "2 of 4 rows rejected (50.0%):",
        "  1  outside city.box (column y0)  line 5 of trips.csv: 5,0,49,0.5,51.5,1,0",
        "  1  not readable (column paid)    line 4 of trips.csv: free,0,51,0.5,51.5,3,2",
    ]


def evaluate(call, *settings: str) -> tuple[int, str, str]:
    arguments = ["evaluate", "--model", "fare.tflite", "--city", "springfield.yaml", "--data", "trips"]
    return call(*arguments, *settings)


@pytest.mark.usefixtures("model")
def test_evaluate_refuses_one_of_several_files_without_trips(place, call):
    """Five of five rows of one file, none of five of the other."""
    (place / "trips").mkdir()
    (place / "trips" / "a.csv").write_text(HEADER + GOOD * 5)
    (place / "trips" / "b.csv").write_text(HEADER + "5,0,49,0.5,51.5,1,0\n" * 5)
    assert evaluate(call) == (
        2, "", "farebox: trips: files_without_trips=1 must be at most 0, got trips/b.csv: none of 5 rows, 5 outside "
        "city.box (column y0). Mend these files or leave them out, or allow them with data_gate.empty_files=warn\n",
    )  # fmt: skip
    code, out, _ = evaluate(call, "--set", "data_gate.empty_files=warn")
    assert code == 0
    assert out.splitlines()[-2:] == [
        "  worst of 2 files: b.csv, 5 of 5 rejected",
        "warning: files_without_trips=1 must be at most 0, got trips/b.csv: none of 5 rows, 5 outside city.box "
        "(column y0)",
    ]


@pytest.mark.usefixtures("model")
def test_evaluate_refuses_fares_of_another_dialect(place, call):
    (place / "trips").mkdir()
    rows = GOOD * 40 + '"1,020.00",0,51,0.5,51.5,1,0\n' * 6
    (place / "trips" / "a.csv").write_text(HEADER + rows)
    code, out, line = evaluate(call)
    assert (code, out) == (2, "")
    assert line.startswith("farebox: trips: misfits=0.1304 must be at most 0.01, got column paid: 13% of the rows")
    assert '1,020.00; write city.csv: {thousands: ","}' in line


@pytest.mark.usefixtures("model")
def test_evaluate_counts_what_where_leaves_out(place, call):
    (place / "trips").mkdir()
    (place / "trips" / "a.csv").write_text(HEADER + GOOD * 3 + GOOD.replace(",1,0", ",9,0") * 2)
    code, out, _ = evaluate(call, "--set", "city.where=hour < 8", "--json")
    evaluation = json.loads(out)
    assert (code, evaluation["rows"]) == (0, {"read": 5, "used": 3, "rejected": 0, "left_out": 2})


def test_doctor(call):
    code, out, _ = call("doctor", "--json")
    findings = json.loads(out)
    assert {"Python", "glibc", "disk", "tfx", "embedded trips"} <= {finding["name"] for finding in findings}
    assert (code == 0) == all(finding["ok"] for finding in findings)
    assert len(call("doctor")[1].splitlines()) == len(findings) == len({finding["name"] for finding in findings})


SIMULATE = ["data", "simulate", "--city", "springfield.yaml", "--rows", "200", "--seed", "3"]


def test_simulate_prints_one_line(place, call):
    """The city file has no trips of its own, and none are asked for."""
    shown = call(*SIMULATE, "--dirt", "0", "--out", "new/trips.csv")
    lines = (place / "new" / "trips.csv").read_text().splitlines(keepends=True)
    assert shown == (0, f"200 rows, 0 of them faulty; new/trips.csv, {sum(map(len, lines)):,} B\n", "")
    assert (len(lines), lines[0]) == (201, HEADER)
    assert [path.name for path in (place / "new").iterdir()] == ["trips.csv"]


def test_simulate_writes_a_folder_of_spans(place, call):
    code, out, err = call(*SIMULATE, "--spans", "2", "--since", "2024-02-29", "--dirt", "0", "--out", "new")
    assert (code, out.splitlines()[1:], err) == (
        0,
        ["2 spans; `farebox retrain` takes them with spans.pattern={YYYY}-{MM}-{DD} and spans.marker=_SUCCESS"],
        "",
    )
    names = sorted(str(path.relative_to(place / "new")) for path in (place / "new").rglob("*") if path.is_file())
    assert names == [f"{day}/{name}" for day in ("2024-02-29", "2024-03-01") for name in ("_SUCCESS", "trips.csv")]
    assert len((place / "new/2024-03-01/trips.csv").read_text().splitlines()) == 1 + 100


def test_simulate_has_one_set_of_defaults():
    """The command cannot import what it calls before it is called, so it states them again."""
    import inspect

    from farebox.components.trip_example_gen.simulation.simulator import Order
    from farebox.pipeline.commands.simulate import simulate

    stated = inspect.signature(simulate).parameters
    for field in dataclasses.fields(Order)[1:]:
        assert stated[field.name].default == field.default, field.name


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--out", "springfield.yaml"],
            "--out=springfield.yaml must end in .csv or .parquet, or be the name of a folder",
        ),
        (["--out", "old.csv"], "--out=old.csv exists already, give another name"),
        (["--out", "old.csv/trips.csv"], "--out=old.csv/trips.csv cannot be written: "),
        (["--out", "new.csv", "--rows", "0"], "--rows=0 must be at least 1"),
        (["--out", "new.csv", "--dirt", "1"], "--dirt=1.0 must be at least 0 and below 1"),
        (["--out", "new.csv", "--since", "soon"], "--since=soon must be a day as YYYY-MM-DD"),
        (["--out", "new.csv", "--city", "gone.yaml"], "--city=gone.yaml must be one of chicago, "),
        (["--out", "new", "--spans", "0"], "--spans=0 must be at least 1"),
        (["--out", "new", "--spans", "201"], "--rows=200 must be at least one a day, got 201 days"),
        (["--out", "new", "--spans", "2", "--days", "3"], "--days=3 must be left out: spans=2 tells the days"),
        (["--out", "old.csv", "--spans", "2"], "--out=old.csv exists already, give another name"),
    ],
)
def test_simulate_refuses(place, call, arguments, line):
    (place / "old.csv").write_text("kept")
    before = sorted(place.iterdir())
    code, out, err = call(*SIMULATE, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"farebox: {line}")
    assert (sorted(place.iterdir()), (place / "old.csv").read_text()) == (before, "kept")


NO_TRIP = "trips.csv: none of 3 rows is a trip of springfield: "
BAD_TRIPS = {
    "an empty file": ("", "trips.csv: must hold trips, got an empty file"),
    "no rows": (HEADER, "trips.csv: has a header and no rows"),
    "a missing column": ("paid,x0,y0\n1,2,3\n", "trips.csv: column x1 (city.columns.dropoff_longitude) is missing"),
    "text for numbers": (HEADER + "free,0,51,0.5,51.5,1,0\n" * 3, NO_TRIP + "3 unparseable"),
    "outside the city": (HEADER + "5,7,51,0.5,51.5,1,0\n" * 3, NO_TRIP + "3 outside_city"),
}  # fmt: skip


@pytest.fixture
def refused(place, call) -> Callable[..., str]:
    """The one line of a run with bad input, which leaves neither a run nor a model."""

    def run(*arguments: str) -> str:
        code, _, error = call("run", "--out", "out", *arguments)
        assert (code, error.count("\n")) == (2, 1), error
        assert not (place / "out" / "runs").exists() and not (place / "out" / "models").exists()
        return error.removeprefix("farebox: ")

    return run


@pytest.mark.parametrize("case", BAD_TRIPS)
def test_run_refuses_bad_trips(place, refused, case):
    content, line = BAD_TRIPS[case]
    (place / "trips.csv").write_text(content)
    assert refused("--city", "springfield.yaml", "--data", "trips.csv").startswith(line)


@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_weekdays_of_another_coding_are_refused_by_the_first_look(place, model, call, command):
    """Days from 1 to 7 with monday_0: ten weeks lose 10 of 70 rows and shift the others."""
    (place / "trips.csv").write_text(HEADER + "".join(GOOD[:-2] + f"{day}\n" for day in [*range(1, 8)] * 10))
    options = ["--model", model] if command == "evaluate" else ["--out", "out"]
    code, _, line = call(command, "--city", "springfield.yaml", "--data", "trips.csv", *options)
    assert (code, line) == (
        2, "farebox: trips.csv: column day: city.weekdays=monday_0 does not fit: 14% of the rows have other numbers "
        "(such as 7); monday_1 or sunday_1 fit\n",
    )  # fmt: skip
    assert not (place / "out" / "runs").exists()


def test_run_refuses_a_folder_that_does_not_exist(place):
    """Through the command itself."""
    ended = farebox("run", "--city", "springfield.yaml", "--data", "gone/")
    assert (ended.returncode, ended.stderr) == (2, "farebox: gone/: no such file or folder\n")


def test_run_refuses_a_broken_city_file(place, refused):
    (place / "springfield.yaml").write_text("city: {name: springfield\ngates: {}\n")
    assert refused("--city", "springfield.yaml").startswith("springfield.yaml: line 2: ")


def test_run_refuses_a_place_that_cannot_be_written(place, refused):
    (place / "trips.csv").write_text(HEADER + GOOD)
    (place / "out").touch()
    line = refused("--city", "springfield.yaml", "--data", "trips.csv")
    assert line == "out/runs/springfield cannot be written: Not a directory\n"


def test_what_ends_a_command_is_a_code_and_a_line(capsys):
    """Bad input, a refusal; a bug keeps its traceback."""

    def raising(error: Exception) -> object:
        raise error

    assert process.code_of(lambda: None) == 0
    assert process.code_of(lambda: raising(InputError("x=1 must be 2"))) == 2
    assert process.code_of(lambda: raising(GateError("drift.fare=0.2", []))) == 3
    assert capsys.readouterr().err == "farebox: x=1 must be 2\nfarebox: refused: drift.fare=0.2\n"
    with pytest.raises(KeyError):
        process.code_of(lambda: raising(KeyError("fare")))


@pytest.mark.parametrize("as_json", [False, True])
def test_refused_data_have_their_reason_once(place, call, monkeypatch, as_json):
    """On the screen, or on stderr if the screen is not for people."""
    (place / "trips.csv").write_text(HEADER + GOOD)
    (summary := place / "runs/springfield/latest/summary.json").parent.mkdir(parents=True)
    summary.write_text("{}\n")
    checks = [Check("rows", 14_495, 20_000, ok=False, detail="train 11616", hint="give more trips", at_least=True)]

    def refuse(*_, **__):
        raise GateError("DataGate: rows=14,495 must be at least 20,000", checks)

    monkeypatch.setattr(runs, "run", refuse)
    arguments = ["run", "--city", "springfield.yaml", "--data", "trips.csv"]
    code, out, err = call(*arguments, *(["--json"] if as_json else []))
    assert code == process.REFUSED
    assert ("refused by rows: 14,495, bound 20,000 (train 11616)" in out) != as_json
    assert (err == "farebox: refused: DataGate: rows=14,495 must be at least 20,000\n") == as_json == bool(err)
