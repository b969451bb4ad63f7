"""`farebox compare` on real files and trips: what A and B may be, the table, JSON, and refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import report_page

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.reporter.page.fare_charts import slice_name
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.metadata import described
from farebox.pipeline.local.run import RunSummary

CITY = """
city:
  name: springfield
  columns: {fare: paid, pickup_longitude: x0, pickup_latitude: y0, dropoff_longitude: x1, dropoff_latitude: y1,
            pickup_hour: hour, pickup_weekday: day}
  weekdays: monday_0
  box: {west: -1, east: 1, south: 50, north: 52}
  fare: {min: 1, max: 100}
"""


@pytest.fixture(scope="module")
def dearer_tflite(convert_tflite) -> bytes:
    """Asks 3 more than `fare_tflite`."""
    return convert_tflite(lambda fare: fare + 3)


@pytest.fixture
def versions(tmp_path, monkeypatch, fare_tflite, dearer_tflite, call) -> tuple[str, str]:
    """A city with trips and two versions, of which the second asks 3 more."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "springfield.yaml").write_text(CITY)
    call("data", "simulate", "--city", "springfield.yaml", "--rows", "900", "--dirt", "0", "--out", "trips.csv")
    store = LocalStore(tmp_path / "models/springfield")
    return push.push(fare_tflite, store, {}), push.push(dearer_tflite, store, {})


def compare(call, a: str, b: str, *more: str) -> tuple[int, str, str]:
    return call("compare", a, b, "--city", "springfield.yaml", "--data", "trips.csv", *more)


def test_a_table_by_slice_with_the_errors_of_evaluate(versions, call):
    old, new = versions
    code, out, err = compare(call, old[:6], new)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[:2] == [f"A: models/springfield/{old}/fare.tflite", f"B: models/springfield/{new}/fare.tflite"]
    assert lines[2].split("  ")[0] == "slice" and lines[3].startswith("all trips  ")
    errors = {}
    for version in versions:
        arguments = ("--city", "springfield.yaml", "--data", "trips.csv", "--json")
        errors[version] = json.loads(call("evaluate", "--model", f"models/springfield/{version}", *arguments)[1])
    shown = json.loads(compare(call, old, new, "--json")[1])
    overall = shown["slices"][0]
    assert overall["slice"] == "all trips" and overall["rows"] == shown["rows"]["used"] == errors[old]["rows"]["used"]
    for side, version in zip("ab", versions, strict=True):
        assert overall[side]["rmse"] == pytest.approx(errors[version]["rmse"])
        assert overall[side]["mae"] == pytest.approx(errors[version]["mae"])
    assert overall["b"]["bias"] - overall["a"]["bias"] == pytest.approx(3, abs=1e-5)
    assert overall["a"]["coverage"] is None
    assert {each["slice"].partition("=")[0] for each in shown["slices"][1:]} <= {
        "pickup_hour", "pickup_weekday", "distance_band", "airport", "pickup_area",
    }  # fmt: skip
    assert all(each["rows"] >= 100 for each in shown["slices"])


def test_a_model_does_not_differ_from_itself_however_it_is_named(versions, call, tmp_path):
    """By a run's id, by a file, by a folder and by models/CITY."""
    new = versions[1]
    summary = tmp_path / "runs/springfield/20260101-000000-000/summary.json"
    summary.parent.mkdir(parents=True)
    summary.write_text(json.dumps({"model": {"path": f"models/springfield/{new}/fare.tflite"}}))
    for name in ("20260101-000000-000", f"models/springfield/{new}/fare.tflite", f"models/springfield/{new}"):
        overall = json.loads(compare(call, name, "models/springfield", "--json")[1])["slices"][0]
        assert overall["difference"] == {"value": 0.0, "lower": 0.0, "upper": 0.0} and overall["better"] == ""


@pytest.mark.parametrize(
    ("name", "summary", "line"),
    [
        ("fff", None, "version=fff must be the beginning of one version in models/springfield, got "),
        ("20260101", {"model": None}, "run=20260101 must have made a model: its data were refused"),
        ("20260101", {"model": {"path": "gone.tflite"}}, "run=20260101: its model gone.tflite is not there any more"),
        ("springfield.yaml", None, "model=springfield.yaml"),
    ],
)
def test_what_is_no_model_is_one_line(versions, call, tmp_path, name, summary, line):
    if summary is not None:
        (tmp_path / "runs/springfield" / name).mkdir(parents=True)
        (tmp_path / "runs/springfield" / name / "summary.json").write_text(json.dumps(summary))
    code, out, err = compare(call, name, versions[0])
    assert (code, out, err.count("\n")) == (2, "", 1) and err.startswith(f"farebox: {line}")


def test_without_versions_a_name_is_one_line(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("springfield.yaml").write_text(CITY)
    Path("trips.csv").write_text("paid\n")
    code, _, err = compare(call, "abc", "def")
    line = "model=abc must be a path, or a version in models/springfield or a run in runs/springfield"
    assert (code, err) == (2, f"farebox: {line}\n")


def test_a_model_of_another_currency_is_refused(versions, call, fare_tflite, tmp_path):
    words = Description(output=TensorDescription("fare", unit="EUR"))
    Path("euro.tflite").write_bytes(described(fare_tflite, words))
    code, _, err = compare(call, versions[0], "euro.tflite")
    assert code == 2 and err.startswith("farebox: city.currency=USD must be EUR")


def test_a_page_beside_the_table(versions, call, tmp_path):
    """Both versions are of known runs, whose settings differ in one."""
    facts = {run: {"facts": {"settings": {"training.seed": seed}}} for run, seed in (("r1", "1"), ("r2", "2"))}
    for (run, content), version in zip(facts.items(), versions, strict=True):
        folder, path = tmp_path / "runs/springfield" / run, tmp_path / "models/springfield" / version / "manifest.json"
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(json.dumps(content))
        path.write_text(json.dumps({**json.loads(path.read_text()), "run_id": run}))
    code, out, _ = compare(call, *versions, "--page", "pages/compare.html")
    assert code == 0 and out.splitlines()[-1] == "page: pages/compare.html"
    html = report_page.without_term_links((tmp_path / "pages/compare.html").read_text())
    lines = [line.split("  ")[0] for line in out.splitlines() if "=" in line]
    assert all(f'<th scope="row">{slice_name(line)}</th>' in html for line in lines) and len(lines) > 3
    assert " is better: RMSE " in html
    assert "Difference by weekday of pickup" in html and "weekday of pickup Monday" in html
    assert re.search(r"training.seed</th>\s*<td>1</td>\s*<td>2</td>", html) and versions[0] in html
    assert compare(call, *versions, "--page", "trips.csv/page.html")[0] == 2
    (tmp_path / "runs/springfield/r1/report.json").unlink()
    compare(call, *versions, "--page", "pages/compare.html")
    assert "cannot be compared" in (tmp_path / "pages/compare.html").read_text()


def test_two_cities_stand_side_by_side(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kinds = {"lisbon": ("shipped", "EUR"), "porto": ("shipped", "USD"), "faro": ("no model", "EUR")}
    for city, (kind, currency) in kinds.items():
        folder = tmp_path / "runs" / city / "latest"
        folder.mkdir(parents=True)
        summary = RunSummary(city, "20260102-030405-006", currency, report_page.page(kind).figures, {}, {}, "A")
        (folder / "summary.json").write_text(json.dumps(summary.to_json()))
    code, out, err = call("compare", "lisbon", "porto", "--page", "two.html")
    assert (code, err) == (0, "")
    rows = {line.split("  ")[0]: line.split() for line in out.splitlines()}
    assert rows["RMSE"] == ["RMSE", *(part for unit in ("EUR", "USD") for part in ("3.60", unit, "(2.9", "to", "4.3)"))]
    html = report_page.without_term_links(Path("two.html").read_text())
    assert "Error against predicting the mean" in html and "no interval" in html
    assert list(json.loads(call("compare", "lisbon", "faro", "--json")[1])) == ["lisbon", "faro"]
    assert call("compare", "lisbon", "faro", "--page", "two.html")[0] == 0
    assert "needs a model of both" in Path("two.html").read_text()
    (tmp_path / "runs/porto/latest/summary.json").write_text("{}")
    assert call("compare", "lisbon", "porto")[2].startswith("farebox: runs/porto/latest/summary.json must be a summary")
