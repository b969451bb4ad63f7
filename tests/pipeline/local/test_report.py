"""The files of a run's page, and the list of all runs."""

from __future__ import annotations

import dataclasses
import json
import re
import types

import pytest
import report_page

from farebox.components.atomic_pusher import push, versions
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import InputError
from farebox.pipeline.commands import report as command
from farebox.pipeline.commands import run_history
from farebox.pipeline.local import launch, report, run
from farebox.pipeline.local.folder import point_latest
from farebox.pipeline.local.meter import Cost
from farebox.pipeline.local.run import RunSummary
from farebox.pipeline.retraining.journal import Journal, Record
from farebox.pipeline.settings.load import load_settings

RUN, NEXT = "20260102-030405-006", "20260103-030405-006"


def settings_in(out, *overrides):
    settings = load_settings("chicago", None, str(out), overrides)
    return dataclasses.replace(settings, city=dataclasses.replace(settings.city, name="lisbon", currency="EUR"))


@pytest.fixture
def past(tmp_path):
    """(run id, kind of page, overrides) -> the page of a run that left its files in tmp_path/runs/lisbon."""

    def write(run_id, kind="shipped", *overrides):
        settings, page = settings_in(tmp_path, *overrides), report_page.page(kind)
        folder = settings.runs_dir / run_id
        folder.mkdir(parents=True)
        summary = RunSummary("lisbon", run_id, "EUR", page.figures, {}, {}, "A")
        (folder / "summary.json").write_text(json.dumps(summary.to_json()))
        artifact = tmp_path / f"artifact-{run_id}"
        artifact.mkdir()
        (artifact / "content.json").write_text(json.dumps(page.sections))
        produced = {"report": [types.SimpleNamespace(uri=str(artifact))]} if page.figures.measured else {}
        costs = {"Trainer": Cost(9.0, 900.0, 12.5), "Pusher": Cost(0.1, 900.0, 0.2, is_cached=True)}
        path = report.write(settings, run_id, page.figures, produced, costs)
        point_latest(settings.runs_dir, run_id)
        return path

    return write


def test_a_page_is_written_again_as_it_was(past):
    page = past(RUN)
    before = page.read_text()
    assert "run 20260102-030405-006 · 2026-01-02" in before and "12.5" in before
    page.unlink()
    assert report.write_again(page.parent) == page and page.read_text() == before


def test_a_refused_run_has_a_page(past):
    text = past(RUN, "no model").read_text()
    assert "Not shipped" in text and "No model was trained" in text


def test_settings_read_as_in_a_city_file():
    shown = {key: report.as_yaml(value) for key, value, _ in report.differing(load_settings("chicago"))}
    assert shown["city.landmarks"] == "{loop: {longitude: -87.6298, latitude: 41.8819}}"
    assert (shown["city.tariff_changes"], shown["gates.max_rmse"]) == ("[2016-01-01]", "4.5")


def test_a_value_that_an_older_version_recorded_has_not_changed(past):
    """It wrote values as Python does."""
    page = past(RUN)
    file, settings = page.parent / "report.json", load_settings("chicago")
    content = json.loads(file.read_text())
    kept = content["facts"]["settings"]
    for key, value, _ in report.differing(settings):
        kept[key] = str(value) if key != "city.name" else kept[key]
    file.write_text(json.dumps(content))
    facts = json.loads((past(NEXT, "shipped", "training.seed=7").parent / "report.json").read_text())["facts"]
    assert kept["city.tariff_changes"] != facts["settings"]["city.tariff_changes"]
    assert list(facts["changed"]) == ["training.seed"]


def test_the_page_names_settings_that_changed(past, tmp_path):
    past(RUN)
    page = past(NEXT, "shipped", "training.seed=7", "gates.max_rmse=4")
    facts = json.loads((page.parent / "report.json").read_text())["facts"]
    assert facts["changed"] == {"training.seed": ["17, the default", "7"], "gates.max_rmse": ["4.5", "4.0"]}
    assert (facts["defaults"]["training.seed"], facts["seeds"]["training.seed"]) == ("17", 7)
    assert facts["defaults"]["city.landmarks"] == facts["defaults"]["city.source"] == "none"
    assert "city.box.west" in facts["settings"].keys() - facts["defaults"].keys()
    assert facts["settings"]["training.seed"] == "7" and "training.epochs" not in facts["settings"]
    assert report.seconds_by_node(tmp_path / "runs/lisbon") == {"Trainer": 12.5}


def test_secrets_stay_out_of_the_page(past):
    secret = "https://example.com/hook-4711"
    page = past(RUN, "shipped", f"notify.webhook={secret}")
    for path in page.parent.iterdir():
        assert "hook-4711" not in path.read_text()


def test_a_run_without_its_files(past):
    page = past(RUN)
    (page.parent / "report.json").write_text("{")
    with pytest.raises(InputError, match=r"must have files of JSON, got Expecting"):
        report.write_again(page.parent)
    (page.parent / "report.json").unlink()
    with pytest.raises(InputError, match=r"run=.*/20260102-030405-006 must have report.json"):
        report.write_again(page.parent)


def test_the_last_time_of_a_node_may_be_some_runs_ago(past, tmp_path):
    """In the run after, Trainer came from the cache; a damaged file tells nothing."""
    past(RUN)
    facts = past(NEXT).parent / "report.json"
    content = json.loads(facts.read_text())
    content["facts"]["nodes"] = [{"name": "Trainer", "wall_s": 0.1, "is_cached": True},
                                 {"name": "Pusher", "wall_s": 0.3, "is_cached": False}]  # fmt: skip
    facts.write_text(json.dumps(content))
    assert report.seconds_by_node(tmp_path / "runs/lisbon") == {"Trainer": 12.5, "Pusher": 0.3}
    facts.write_text("{")
    assert report.seconds_by_node(tmp_path / "runs/lisbon") == {"Trainer": 12.5}


def test_no_node_took_time_before_the_first_run(tmp_path):
    assert report.seconds_by_node(tmp_path) == {}


@pytest.mark.parametrize(("name", "found"), [("latest", NEXT), ("20260102", RUN), (NEXT, NEXT)])
def test_a_run_is_found_by_the_beginning_of_its_id(past, tmp_path, name, found):
    past(RUN), past(NEXT)
    assert run_history.run_folder(tmp_path / "runs/lisbon", name).name == found


@pytest.mark.parametrize("name", ["2026", "1999", "latest"])
def test_no_such_run(past, tmp_path, name):
    runs_dir = tmp_path / "runs/lisbon"
    if name != "latest":
        past(RUN), past(NEXT)
    with pytest.raises(InputError, match=rf"run={name} must be the beginning of one run in .*, or latest, got "):
        run_history.run_folder(runs_dir, name)


def test_the_history_tells_what_became_of_each_run(past, tmp_path, capsys):
    past(RUN), past(NEXT, "refused")
    Journal(tmp_path / "runs/lisbon").finish(Record("2026", "lisbon", "retrain", ("drift",), run_id=NEXT))
    command.history(city="lisbon", out=str(tmp_path))
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells == [
        ["run", "day", "trips", "RMSE", "interval", "bytes", "outcome", "decision"],
        [RUN, "2026-01-02", "2,000", "3.600", "2.900 to 4.300", "10,064", "pushed abc"],
        [NEXT, "2026-01-03", "2,000", "3.600", "2.900 to 4.300", "10,064", "refused: max_rmse", "retrain (drift)"],
    ]


def test_the_state_of_a_version_is_that_of_its_folder(tmp_path):
    """Two pushes, then back to the first."""
    store = LocalStore(tmp_path / "models")
    first, second = (push.push(content, store, {}, PushSettings()) for content in (b"one", b"two"))
    assert run_history.version_states(store.base) == {first: "", second: "latest"}
    (store.base / "CANDIDATE").write_text(first)
    assert run_history.version_states(store.base) == {first: "candidate", second: "latest"}
    (store.base / "CANDIDATE").unlink()
    versions.rollback(store.base)
    assert run_history.version_states(store.base) == {first: "latest", second: "rolled back"}
    assert run_history.version_states(tmp_path / "nothing") == {}


def test_a_removed_version_is_marked():
    figures = report_page.page().figures
    assert run_history.outcome_of(figures, {"abc": "rolled back"}) == "pushed abc (rolled back)"
    assert run_history.outcome_of(figures, {"def": "latest"}) == "pushed abc (removed)"


def test_static_pages_link_to_each_run(past, tmp_path, capsys):
    past(RUN), past(NEXT)
    command.history(city="lisbon", out=str(tmp_path), pages=tmp_path / "pages")
    index = tmp_path / "pages/index.html"
    assert capsys.readouterr().out.strip() == str(index)
    assert {path.name for path in index.parent.iterdir()} == {"index.html", f"{RUN}.html", f"{NEXT}.html"}
    assert f'<a href="{RUN}.html">' in index.read_text() and "RMSE by run" in index.read_text()


def test_pages_in_a_place_that_is_a_file(past, tmp_path):
    past(RUN)
    (tmp_path / "pages").touch()
    with pytest.raises(InputError, match=r"pages=.* cannot be written: "):
        command.history(city="lisbon", out=str(tmp_path), pages=tmp_path / "pages")


def test_a_city_without_runs(tmp_path):
    with pytest.raises(InputError, match=r"city=rome must have a run in .*, got none"):
        command.history(city="rome", out=str(tmp_path))


def test_a_damaged_summary(past, tmp_path):
    (past(RUN).parent / "summary.json").write_text("{}")
    with pytest.raises(InputError, match=r"summary.json must be a summary that a run wrote"):
        command.history(city="lisbon", out=str(tmp_path))


@pytest.mark.parametrize("fault", ["Reporter could not gather its contents: KeyError: 'fares'", "KeyError: 'ladder'"])
def test_a_shipped_run_whose_page_cannot_be_drawn_ends_well(monkeypatch, tmp_path, fault):
    """TFX's launcher is replaced by what Reporter leaves behind: a fault, or contents without a section."""
    settings, page = settings_in(tmp_path), report_page.page()
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact/figures.json").write_text(json.dumps(page.figures.to_json()))
    content = {"fault": "KeyError: 'fares'"} if "Reporter" in fault else {**page.sections, "ladder": {}}
    (tmp_path / "artifact/content.json").write_text(json.dumps(content))
    report_artifact = types.SimpleNamespace(uri=str(tmp_path / "artifact"))

    def finish(*_, on_end, **__):
        on_end("Reporter", {"report": [report_artifact]}, is_cached=False, cost=Cost(1.0, 900.0, 1.0))

    monkeypatch.setattr(launch, "run", finish)
    settings.runs_dir.mkdir(parents=True)
    result = run.run_once(settings, RUN)
    assert result.report is None and result.pushed and result.rmse == 3.6
    (said,) = result.faults
    assert said.startswith("the page could not be drawn: ") and said.endswith(f"see {settings.runs_dir / RUN}/log.txt")
    assert fault.partition(":")[0] in said
    assert (settings.runs_dir / "latest/summary.json").is_file() and (settings.runs_dir / "latest/tensorboard").is_dir()


def test_the_page_shows_the_runs_before_it(past, tmp_path):
    """The first run has none; a later one none that is newer, nor one with a damaged summary."""
    assert "No earlier run of this city is known here" in past(RUN).read_text()
    past(NEXT, "refused"), past("20260105-030405-006")
    damaged = past("20260104-030405-005").parent / "summary.json"
    damaged.write_text("{")
    text = past("20260104-030405-006").read_text()
    runs = re.findall(r'<th scope="row">(2026\d+-\d+-\d+)</th>\s*<td>([^<]*)</td>', text)
    assert runs == [("20260104-030405-006", "shipped"), (NEXT, "refused: max_rmse"), (RUN, "shipped")]
    assert "RMSE by run" in text
