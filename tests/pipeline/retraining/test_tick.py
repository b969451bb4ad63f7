"""Ticks with ingest and run replaced: what a tick runs, records, resumes, returns and notifies of."""

from __future__ import annotations

import dataclasses
import json

import pytest

import farebox
from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import InputError
from farebox.components.span_window.steps_file import MovedRows, WindowSteps
from farebox.pipeline.retraining import ingesting, notify, tick
from farebox.pipeline.retraining.ingesting import JudgedSpan
from farebox.pipeline.retraining.journal import Journal


def journal_of(city) -> Journal:
    return Journal(city.settings().runs_dir)


def notified(hook) -> list[dict]:
    return [json.loads(body) for _, _, body in hook.taken]


def test_a_cause_is_one_run_on_the_window_and_no_cause_is_none(city):
    for span in (1, 2):
        city.deliver(span)
    (result,) = city.results()
    ((run_id, window),) = city.runs
    assert (window, run_id) == (((1, 1), (2, 1)), result.record.run_id)
    (kept,) = city.results()
    assert (len(city.runs), kept.record.outcome, kept.record.run_id, kept.run) == (1, "kept", None, None)
    city.overrides = ("spans.min_new_spans=2",)
    city.deliver(3)  # one new span of two: ingested, not trained on
    assert (city.tick().outcome, len(city.runs), (3, 1) in city.ingested) == ("kept", 1, True)
    city.deliver(4)
    assert (city.tick().outcome, len(city.runs)) == ("pushed", 2)


def test_what_a_pushed_run_records_and_returns(city):
    city.deliver(1)
    (result,) = city.results()
    record = result.record
    assert (record.outcome, record.version, record.rmse) == ("pushed", record.run_id, 3.5)
    assert str(result.run.pushed) == f"models/chicago/{record.run_id}"
    assert record.reasons == ("no run has been trained on spans yet: span 1",)
    assert journal_of(city).records() == [record] and not journal_of(city).pending()


def test_a_refusal_is_an_outcome_and_names_the_gates_that_refused(city):
    """Not those that only warn. If the data were refused, there is no run but DataGate's checks."""
    city.deliver(1)
    (refused,) = city.results(outcome="refused")
    assert (refused.record.outcome, refused.record.version, refused.record.rmse) == ("refused", None, 3.5)
    assert refused.record.reasons[-1] == "refused by max_rmse" and refused.run.pushed is None
    city.deliver(2)
    (refused,) = city.results(outcome="data refused")
    assert (refused.record.outcome, refused.record.rmse, refused.run) == ("refused", None, None)
    assert [check.name for check in refused.checks] == ["min_rows"]
    assert refused.record.reasons[-1] == "DataGate refused"
    assert city.tick().outcome == "kept"


def test_a_run_that_fails_is_recorded_and_raises(city):
    city.deliver(1)
    with pytest.raises(Exception, match="^no space$"):
        city.results(outcome="failed")
    (record,) = journal_of(city).records()
    assert (record.outcome, record.reasons[-1]) == ("failed", "RunFailedError: no space")
    assert not journal_of(city).pending()


def test_a_run_that_cannot_start_is_resumed_by_the_next_tick(city):
    """Its own result comes first; its decision, of the time when it was made, is not made again."""
    city.deliver(1)
    with pytest.raises(InputError, match="another run is going on"):
        city.results(outcome="bad input")
    assert journal_of(city).records() == []
    decision = journal_of(city).pending()
    (resumed,) = city.results()
    assert (resumed.record.time, resumed.record.causes) == (decision.time, ("new_data",))
    assert len(city.runs) == 2 and journal_of(city).records() == [resumed.record]
    city.deliver(2)
    with pytest.raises(InputError):
        city.results(outcome="bad input")
    city.deliver(3)
    first, second = city.results()
    assert [result.record.spans.window[-1] for result in (first, second)] == [(2, 1), (3, 1)]
    assert first.record.run_id != second.record.run_id and len(city.runs) == 5


def test_steps_are_measured_by_the_version_that_was_latest_at_the_decision_and_told(city):
    """Also when the tick dies, and another version has been pushed before the next tick ends its work."""
    store = LocalStore(city.settings().models_dir)
    first = push.push(b"first", store, {}, PushSettings())
    city.deliver(1)
    with pytest.raises(InputError):
        city.results(outcome="bad input")
    push.push(b"second", store, {}, PushSettings())
    asked = []

    def run(_settings, run_id, spans):
        asked.append(spans.latest)
        ended = city.endings["pushed"](run_id)
        ended.steps = WindowSteps(first, (MovedRows(0, 1, 0, -0.02, 1.3),))
        return ended

    (resumed,) = tick.retrain(city.settings(), steps=dataclasses.replace(city.steps(), run=run))
    assert asked == [str(store.base / first)]
    told = f"older fares moved to the level of span 1, by version {first}: span 0 1.300 x -0.02"
    assert resumed.record.reasons[-1] == told


def test_a_pending_decision_on_a_span_that_cannot_be_used_any_more_is_dropped(city):
    city.deliver(1)
    with pytest.raises(InputError):
        city.results(outcome="bad input")
    city.ingested.clear()  # the code has changed, and refuses it now
    (result,) = city.results(refused=(1,))
    assert (result.record.outcome, result.record.spans.refused, len(city.runs)) == ("kept", ((1, 1),), 1)


def test_spans_without_examples_are_ingested_again(city):
    for span in (1, 2):
        city.deliver(span)
        city.tick()
    city.ingested.clear()
    city.deliver(3)
    assert city.tick().outcome == "pushed"
    assert city.ingested == [(3, 1), (1, 1), (2, 1)]


def test_a_window_that_has_left_the_folder_is_bad_input(city):
    city.deliver(1)
    with pytest.raises(InputError):
        city.results(outcome="bad input")
    (city.folder / "data/span-1").rename(city.folder / "moved")
    with pytest.raises(InputError, match=r"must hold a span of the window, got none of \(\(1, 1\),\)$"):
        city.results()


@pytest.mark.parametrize("outcome", ["pushed", "kept", "refused", "failed"])
def test_each_outcome_is_notified_once(city, listening, outcome):
    city.deliver(1)
    if outcome == "kept":
        city.tick()
    with listening() as hook:
        city.overrides = (f"notify.webhook={hook.url}", f"notify.metrics_file={city.folder}/m.prom")
        city.tick(outcome=outcome)
    assert notified(hook) == [json.loads(journal_of(city).path.read_text().splitlines()[-1])]
    assert notified(hook)[0]["outcome"] == outcome
    assert f'farebox_ticks_total{{city="chicago",outcome="{outcome}"}} 1.0' in (city.folder / "m.prom").read_text()
    assert city.warnings == []


def test_a_resumed_tick_is_notified_of_before_the_next(city, listening):
    city.deliver(1)
    with pytest.raises(InputError):
        city.results(outcome="bad input")
    city.deliver(2)
    with listening() as hook:
        city.overrides = (f"notify.webhook={hook.url}",)
        city.results()
    assert [record["spans"]["window"] for record in notified(hook)] == [[[1, 1]], [[1, 1], [2, 1]]]


def test_bad_input_and_a_crash_are_notified_as_failed_and_not_recorded(city, listening):
    """In the run, in ingest and before anything; the counters do not count what the journal does not have."""
    city.deliver(1)
    city.tick()
    city.deliver(2)
    with listening() as hook:
        city.overrides = (f"notify.webhook={hook.url}", f"notify.metrics_file={city.folder}/m.prom")
        with pytest.raises(InputError):
            city.results(outcome="bad input")
        steps = dataclasses.replace(city.steps(), find_ingested=lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tick.retrain(city.settings(), steps=steps)
        with pytest.raises(InputError, match=r"^data=.* must be a folder of spans"):
            tick.retrain(dataclasses.replace(city.settings(), data="gone"))
    assert [record["outcome"] for record in notified(hook)] == ["failed"] * 3
    assert [record["reasons"] for record in notified(hook)] == [
        ["another run is going on"], ["ZeroDivisionError: division by zero"], ["data=gone must be a folder of spans"],
    ]  # fmt: skip
    assert 'outcome="failed"} 0.0' in (city.folder / "m.prom").read_text()
    assert len(journal_of(city).records()) == 1 and journal_of(city).pending()


@pytest.mark.parametrize("outcome", ["pushed", "refused", "failed"])
def test_a_notification_that_fails_changes_nothing_but_warns(city, outcome):
    """The metrics file's folder is not there."""
    city.deliver(1)
    city.overrides = (f"notify.metrics_file={city.folder}/gone/m.prom",)
    assert city.tick(outcome=outcome).outcome == outcome
    assert city.warnings == [
        f"notify.metrics_file={city.folder}/gone/m.prom cannot be written: No such file or directory"
    ]


def test_metrics_of_a_journal_that_somebody_edited_are_a_warning(city):
    city.deliver(1)
    city.tick()
    path = journal_of(city).path
    path.write_text(path.read_text().replace('"rmse": 3.5', '"rmse": "low"'))
    city.overrides = (f"notify.metrics_file={city.folder}/m.prom",)
    assert city.tick().outcome == "kept"
    assert city.warnings == [f"notify.metrics_file={city.folder}/m.prom cannot be written: {path} has a wrong value"]


def test_a_bug_in_a_notification_is_a_warning_without_its_text(city, monkeypatch):
    """The text could hold the webhook's address."""
    monkeypatch.setattr(notify, "post", lambda *_: raise_error(RuntimeError("http://h/T0KEN")))
    city.deliver(1)
    city.overrides = ("notify.webhook=http://h/T0KEN",)
    assert city.tick().outcome == "pushed"
    assert city.warnings == ["notify: RuntimeError"]


def raise_error(error: Exception):
    raise error


def test_a_second_tick_at_once_is_no_outcome(city, listening):
    with listening() as hook, Journal(city.settings().runs_dir).exclusive() as is_free:
        city.overrides = (f"notify.webhook={hook.url}",)
        assert is_free and city.results() == []
    assert hook.taken == []


def test_the_library_prints_nothing_and_warns_by_logging(city, monkeypatch, caplog, capfd):
    """Nor does it redirect what others print."""
    monkeypatch.setattr(ingesting, "_ingest_span", lambda _settings, _run_id, each, output: spoken(each, output))
    monkeypatch.setattr(ingesting, "_find_ingested", lambda _settings: print("a library speaks") or {(1, 1)})
    city.deliver(1)
    city.overrides = (f"notify.metrics_file={city.folder}/gone/m.prom",)
    steps = dataclasses.replace(tick.DEFAULT_STEPS, run=city.steps().run)
    (result,) = farebox.retrain(city.settings(), steps=steps)
    assert result.record.outcome == "pushed"
    assert capfd.readouterr() == ("a library speaks\n", "")
    (warning,) = caplog.records
    assert (warning.name, warning.levelname) == ("farebox", "WARNING")
    assert warning.getMessage().startswith("notify.metrics_file=")


def spoken(delivery, output) -> JudgedSpan:
    with output("log") as screen:
        screen.say("a span")
        screen.working("TripExampleGen")
    return JudgedSpan(delivery)
