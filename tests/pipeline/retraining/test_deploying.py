"""Ticks whose live errors are those of real files on encoded examples: rollback, canary, cause, kill and resume."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from live_trips import columns_of, predicted, write_examples
from prometheus_client.parser import text_string_to_metric_families

from farebox.components.atomic_pusher import canary, push
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import LocalStore
from farebox.pipeline.commands import retrain
from farebox.pipeline.retraining import live_error, tick
from farebox.pipeline.retraining.deploying import pushed_versions
from farebox.pipeline.retraining.journal import Journal

N = 600
NO_OTHER_CAUSE = ("spans.min_new_spans=null", "spans.drift=false")
METRICS = {"rmse": 1.0, "mae": 0.8, "bias": 0.0}  # of normal noise of 1 USD


@pytest.fixture(scope="module")
def files(convert_tflite, fare_tflite) -> dict[str, bytes]:
    """right: predicts the trips' fares without their noise; others are off."""
    steps = {"3 high": lambda fare: fare + 3.0, "0.5 high": lambda fare: fare + 0.5, "tenth": lambda fare: fare * 1.1}
    return {"right": fare_tflite, **{name: convert_tflite(step) for name, step in steps.items()}}


@pytest.fixture
def served(city, tmp_path):
    """A city with a trained span 1, whose later spans have examples: `rise` multiplies their fares."""
    city.overrides, city.rise, city.said = NO_OTHER_CAUSE, 1.0, []
    city.deliver(1)
    city.tick()

    def live(span):
        settings = city.settings()
        columns = columns_of(settings, N, seed=span[0])
        noise = np.random.default_rng(span[0]).normal(size=N)
        columns["fare"] = (city.rise * predicted(columns) + noise).astype(np.float32)
        folder = tmp_path / f"examples-{span[0]}"
        examples = str(folder) if folder.exists() else write_examples(folder, columns)
        return live_error.live_errors(settings, span, examples, pushed_versions(settings), city.said.append)

    city.live = live
    return city


def store_of(city) -> LocalStore:
    return LocalStore(city.settings().models_dir)


def ship(city, content: bytes, metrics=METRICS, **settings) -> str:
    return push.push(content, store_of(city), {"metrics": metrics}, PushSettings(**settings))


def test_without_a_change_nothing_is_retrained_or_rolled_back(served, files):
    right = ship(served, files["right"])
    for span in range(2, 12):
        served.deliver(span)
        record = served.tick()
        (live,) = record.live
        assert (record.decision, record.deployment, live.version, live.broken) == ("keep", None, right, ())
        assert (live.span, live.errors["all trips"]["rows"], live.promise["all trips"]["rows"]) == ((span, 1), N, 0)
    assert len(served.runs) == 1


@pytest.mark.parametrize("rise", [1.3, 0.85])
def test_a_step_in_fares_is_a_cause_on_its_first_day(served, files, rise):
    right = ship(served, files["right"])
    served.rise = rise
    served.deliver(2)
    record = served.tick()
    assert (record.causes, record.deployment, len(served.runs)) == (("live_error",), None, 2)
    assert record.reasons[0].startswith(f"version {right} breaks its promise on span 2: rmse ")
    served.overrides = (*NO_OTHER_CAUSE, "spans.live_error=false")
    served.deliver(3)
    record = served.tick()
    assert (record.decision, bool(record.live[0].broken)) == ("keep", True)


@pytest.mark.parametrize("metrics", [METRICS, {}])
def test_a_planted_version_is_rolled_back_by_the_next_tick(served, files, metrics):
    """Whether it promises as the version before, or nothing: then it is held to that version's promise."""
    right, planted = ship(served, files["right"]), ship(served, files["3 high"], metrics)
    served.deliver(2)
    record = served.tick()
    assert (record.deployment.action, record.deployment.version, record.deployment.latest) == (
        "rolled_back",
        planted,
        right,
    )
    assert (record.decision, len(served.runs)) == ("keep", 1)  # the version before holds its promise
    history = push.read_history(store_of(served))
    assert push.latest_name(store_of(served)) == right and history.rolled_back == (planted,)
    assert history.notes[planted].startswith("rolled back: it breaks its promise on span 2, where MAE of ")
    (line,) = (line for line in retrain.lines(record, served.settings()) if "rolled back" in line)
    assert f"{planted} is rolled back to {right}: it breaks its promise on span 2, where MAE of {right} is" in line
    served.deliver(3)
    assert served.tick().deployment is None  # and nothing is before it


def test_a_planted_version_stays_where_no_rollback_is_wanted_or_the_one_before_is_no_better(served, files):
    ship(served, files["right"])
    planted = ship(served, files["3 high"])
    served.overrides = (*NO_OTHER_CAUSE, "spans.rollback=false")
    served.deliver(2)
    record = served.tick()
    assert (record.deployment, record.causes) == (None, ("live_error",))
    served.overrides, served.rise = NO_OTHER_CAUSE, 1.3  # higher fares: the planted version errs less
    served.deliver(3)
    record = served.tick()
    assert (record.deployment, record.causes, push.latest_name(store_of(served))) == (None, ("live_error",), planted)


@pytest.mark.parametrize(("name", "action"), [("0.5 high", "dropped"), ("right", "promoted")])
def test_a_candidate_is_promoted_or_dropped_by_the_next_span(served, files, name, action):
    latest = ship(served, files["tenth" if name == "right" else "right"])
    candidate = ship(served, files[name], canary=True)
    assert served.tick().deployment is None  # no new span: it waits
    served.deliver(2)
    record = served.tick()
    store = store_of(served)
    assert (record.deployment.action, record.deployment.version) == (action, candidate)
    assert [live.role for live in record.live] == ["latest", "candidate"]
    assert push.latest_name(store) == (candidate if action == "promoted" else latest)
    assert push.candidate_name(store) is None and push.read_history(store).notes[candidate].startswith(f"{action}: MAE")
    assert ("live_error" in record.causes) is False


@pytest.mark.parametrize(
    ("latest", "newest", "is_candidate", "called_with"),
    [("tenth", "right", True, "newest"), ("right", "3 high", False, "latest"), ("right", "0.5 high", True, None)],
    ids=["promoted", "rolled back", "dropped"],
)
def test_a_change_of_latest_calls_the_hook(served, files, tmp_path, latest, newest, is_candidate, called_with):
    """After LATEST names the version, which is told to the hook; a failure is a warning."""
    shipped = {"latest": ship(served, files[latest]), "newest": ship(served, files[newest], canary=is_candidate)}
    code = (
        "import os, sys; latest = open(sys.argv[1] + '/../LATEST').read().strip(); "
        f"open({str(tmp_path / 'called')!r}, 'a').write(latest + os.environ['FAREBOX_ROLE']); sys.exit('denied')"
    )
    served.overrides = (*NO_OTHER_CAUSE, f"push.hook={json.dumps([sys.executable, '-c', code])}")
    served.deliver(2)
    served.tick()
    called = (tmp_path / "called").read_text() if (tmp_path / "called").exists() else None
    assert called == (called_with and f"{shipped[called_with]}latest")
    assert [each.split(";")[0] for each in served.warnings] == ["push.hook: exit code 1: denied"] * bool(called_with)


@pytest.mark.parametrize("fault", ["it predicts NaN", "it asks for a column that no trip has"])
def test_predictions_that_are_no_numbers_lose(served, files, convert_tflite, fault):
    right = ship(served, files["right"])
    nan = {"last_step": lambda fare: fare * float("nan")} if "NaN" in fault else {"types": {"toll": "float32"}}
    nothing = ship(served, convert_tflite(**nan))
    served.deliver(2)
    record = served.tick()
    assert (record.deployment.action, record.deployment.version) == ("rolled_back", nothing)
    assert push.latest_name(store_of(served)) == right
    assert ("column toll is missing" in "".join(served.said)) is ("column" in fault)
    text = Journal(served.settings().runs_dir).path.read_text()
    assert "NaN" not in text and "Infinity" not in text


@pytest.mark.parametrize("dies_in", ["carry_out", "finish"])
def test_a_tick_that_dies_between_decision_and_record_is_ended_by_the_next(served, files, monkeypatch, dies_in):
    """Before LATEST changes, or after it: the next tick makes the change once, and its record tells it."""
    right, planted = ship(served, files["right"]), ship(served, files["3 high"])
    served.deliver(2)
    place = tick if dies_in == "carry_out" else Journal
    with monkeypatch.context() as patch:
        patch.setattr(place, dies_in, lambda *_: raise_killed())
        with pytest.raises(KeyboardInterrupt):
            served.tick()
    assert push.latest_name(store_of(served)) == (planted if dies_in == "carry_out" else right)
    record = served.tick()
    assert (record.deployment.action, record.deployment.version) == ("rolled_back", planted)
    assert push.latest_name(store_of(served)) == right
    assert [each.deployment for each in Journal(served.settings().runs_dir).records()] == [None, record.deployment]


def raise_killed():
    raise KeyboardInterrupt


def test_what_a_person_changed_meanwhile_stays(served, files, monkeypatch):
    ship(served, files["right"])
    candidate = ship(served, files["0.5 high"], canary=True)
    served.deliver(2)
    with monkeypatch.context() as patch:
        patch.setattr(tick, "carry_out", lambda *_: raise_killed())
        with pytest.raises(KeyboardInterrupt):
            served.tick()
    canary.promote(store_of(served), candidate)
    served.tick()
    assert push.latest_name(store_of(served)) == candidate
    assert served.warnings == [f"{candidate} is not dropped: LATEST has changed meanwhile"]


def test_a_version_that_knows_the_span_or_is_damaged_is_not_scored(served, files):
    right = push.push(files["right"], store_of(served), {"metrics": METRICS, "spans": [2]})
    served.deliver(2)
    assert served.tick().live == ()
    (store_of(served).base / right / "fare.tflite").write_bytes(b"damaged")
    served.deliver(3)
    assert served.tick().live == ()
    assert len(served.said) == 1 and served.said[0].startswith(f"version {right} cannot be scored: model=")


def test_a_record_reads_as_it_was_written(served, files):
    ship(served, files["right"])
    ship(served, files["3 high"])
    served.deliver(2)
    record = served.tick()
    journal = Journal(served.settings().runs_dir)
    assert journal.records()[-1] == record
    line = json.loads(journal.path.read_text().splitlines()[-1])
    assert line["live"][1]["difference"]["upper"] < 0 and line["deployment"]["action"] == "rolled_back"


def test_metrics_and_webhook_tell_the_live_errors_by_version(served, files, listening, tmp_path):
    right, planted = ship(served, files["right"]), ship(served, files["3 high"])
    served.deliver(2)
    with listening() as hook:
        file = tmp_path / "farebox.prom"
        served.overrides = (*NO_OTHER_CAUSE, f"notify.webhook={hook.url}", f"notify.metrics_file={file}")
        record = served.tick()
    ((_, _, body),) = hook.taken
    posted = json.loads(body)
    assert [live["version"] for live in posted["live"]] == [planted, right]
    assert posted["deployment"]["version"] == planted
    samples = samples_of(file)
    for version, role, holds in ((planted, "latest", 0), (right, "before", 1)):
        mae = next(live for live in record.live if live.version == version).mae
        assert samples["farebox_promise_holds", version, role] == holds
        assert samples["farebox_live_error", version, role, "mae"] == mae
    assert samples["farebox_promised_error", right, "before", "mae"] == 0.8
    served.tick()
    assert samples_of(file)["farebox_live_error", right, "before", "mae"] == mae  # as last measured


def samples_of(file) -> dict[tuple, float]:
    """Values by name and labels, without the city's, of a file in Prometheus' format."""
    families = text_string_to_metric_families(file.read_text())
    return {
        (
            sample.name,
            *(sample.labels[name] for name in ("version", "role", "error") if name in sample.labels),
        ): sample.value
        for family in families
        for sample in family.samples
    }
