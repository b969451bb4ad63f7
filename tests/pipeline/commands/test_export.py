"""`farebox export`: files from a version, its golden rows run in C, and refusals that leave nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.metadata import described
from farebox.pipeline.commands.export import TEST_COMMANDS


@pytest.fixture
def toy(tmp_path, monkeypatch, fare_tflite, trip_rows):
    """models/toy with one version of `fare_tflite` and golden rows beside it."""
    monkeypatch.chdir(tmp_path)
    hour = TensorDescription("pickup_hour", "local time", minimum=0, maximum=23)
    content = described(fare_tflite, Description(inputs=(hour,), output=TensorDescription("fare", unit="EUR")))
    push.push(content, LocalStore(tmp_path / "models/toy"), {}, PushSettings())
    (version,) = (folder for folder in (tmp_path / "models/toy").iterdir() if folder.is_dir())
    inputs = {name: [each.item() for each in values] for name, values in trip_rows.items() if name != "fare"}
    (version / "golden.json").write_text(json.dumps({"inputs": inputs, "outputs": {"fare": [15.0, 3.0, 19.5]}}))
    return version


@pytest.mark.parametrize("language", TEST_COMMANDS)
def test_export_writes_source_and_says_how_to_test_it(toy, tmp_path, call, language):
    code, printed, _ = call("export", "models/toy", "--to", language, "--out", "kit")
    *files, hint = printed.splitlines()
    assert code == 0 and hint.startswith("test it: ")
    assert sorted(line.split()[0] for line in files) == sorted(
        f"kit/{each.name}" for each in (tmp_path / "kit").iterdir()
    )
    if shutil.which(hint.split()[2]):
        ended = subprocess.run(
            hint.removeprefix("test it: "), shell=True, cwd="kit", capture_output=True, text=True, check=False
        )
        assert ended.stdout.startswith("3 rows, largest difference 0"), ended.stderr


@pytest.mark.parametrize(
    ("language", "table"),
    [("c", "fare_locations.h"), ("js", "fare_locations.mjs"), ("python", "fare_locations.py"),
     ("rust", "fare_locations.rs"), ("kotlin", "FareLocations.kt"), ("swift", "FareLocations.swift")],
)  # fmt: skip
def test_the_table_of_zones_is_exported_too(tmp_path, monkeypatch, call, fare_tflite, language, table):
    monkeypatch.chdir(tmp_path)
    locations = b'{"132": [-73.78653, 40.64699, "JFK Airport"]}'
    push.push(fare_tflite, LocalStore(tmp_path / "models/zoned"), {}, locations=locations)
    code, printed, _ = call("export", "models/zoned", "--to", language, "--out", "kit")
    assert code == 0 and printed.splitlines()[-1] == "no test program: golden.json is not beside the model"
    text = (tmp_path / "kit" / table).read_text()
    assert "JFK Airport" in text and "-73.78653" in text


def test_the_file_tells_meaning_bounds_and_currency(toy, tmp_path, call):
    call("export", str(toy), "--to", "c")
    header = (tmp_path / "fare.h").read_text()
    assert "pickup_hour        int64     local time, 0 to 23\n" in header and "Output: float32 [EUR]\n" in header
    assert "pickup_longitude   float32\n" in header


def test_a_file_without_golden_rows_has_no_test_program(toy, tmp_path, call):
    (tmp_path / "7 days.tflite").write_bytes((toy / "fare.tflite").read_bytes())
    code, printed, _ = call("export", "7 days.tflite", "--to", "python")
    assert code == 0 and printed.splitlines()[-1] == "no test program: golden.json is not beside the model"
    assert (tmp_path / "x_7_days.py").exists()


def test_a_second_export_replaces_the_first(toy, tmp_path, call):
    (tmp_path / "fare.h").write_text("old")
    assert call("export", "models/toy", "--to", "c")[0] == 0
    assert "old" not in (tmp_path / "fare.h").read_text()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("models/toy", "--to", "perl"), "--to=perl must be one of c, js, kotlin, swift, python, rust or app"),
        (("nowhere.tflite", "--to", "c"), "nowhere.tflite"),
        (("note.txt", "--to", "c"), "model=note.txt must be a TFLite file, got 5 bytes of something else"),
        (("models/toy", "--to", "c", "--out", "note.txt"), "--out=note.txt must be a folder that can be written: "),
        (
            ("models/toy", "--to", "c", "--out", "note.txt/in"),
            "--out=note.txt/in must be a folder that can be written: ",
        ),
    ],
)
def test_export_refuses_in_one_line_and_writes_nothing(toy, tmp_path, call, arguments, line):
    (tmp_path / "note.txt").write_text("hello")
    before = sorted(os.listdir(tmp_path))
    code, printed, error = call("export", *arguments)
    assert code == 2 and line in error and error.count("\n") == 1 and not printed
    assert sorted(os.listdir(tmp_path)) == before


def test_a_folder_in_the_place_of_a_file_leaves_the_other_files_unwritten(toy, tmp_path, call):
    (tmp_path / "kit/fare.c").mkdir(parents=True)
    code, _, error = call("export", "models/toy", "--to", "c", "--out", "kit")
    assert code == 2 and "--out=kit must be a folder that can be written: fare.c in it is a folder" in error
    assert os.listdir(tmp_path / "kit") == ["fare.c"]


def test_damaged_golden_rows_are_refused(toy, tmp_path, call):
    (toy / "golden.json").write_text("{}")
    code, _, error = call("export", "models/toy", "--to", "c", "--out", "kit")
    assert code == 2 and "golden.json must have the rows of inputs" in error and not (tmp_path / "kit").exists()


def test_export_from_python(toy, tmp_path):
    from farebox import export

    assert export("models/toy", "rust", tmp_path / "kit") == [tmp_path / "kit/fare.rs", tmp_path / "kit/fare_test.rs"]
