"""What a tick finds new, makes its window of and decides, without running a pipeline; its journal, lock and words."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import shutil
import subprocess
import sys

import pytest

from farebox.components.errors import InputError
from farebox.pipeline.commands import retrain
from farebox.pipeline.retraining import deciding, tick
from farebox.pipeline.retraining.journal import Journal, Record, Spans
from farebox.pipeline.retraining.policy import Situation, decide
from farebox.pipeline.settings.load import SettingsError, load_settings
from farebox.pipeline.settings.spans import SpanSettings

START = datetime.datetime(2024, 3, 4, 3, tzinfo=datetime.timezone.utc)  # of a city's first tick


def spans_of(record: Record) -> dict[str, list]:
    """Without versions where they are 1."""
    return {
        name: [each if name == "missing" or each[1] > 1 else each[0] for each in spans]
        for name, spans in dataclasses.asdict(record.spans).items()
        if spans
    }


def test_the_first_tick_takes_the_newest_window_and_no_older_span(city):
    for span in range(1, 6):
        city.deliver(span)
    first, second = city.tick(), city.tick()
    assert spans_of(first) == {"new": [3, 4, 5], "window": [3, 4, 5]}
    assert (first.decision, first.causes) == ("retrain", ("new_data",))
    assert (second.decision, second.causes, spans_of(second)) == ("keep", (), {"window": [3, 4, 5]})
    assert second.reasons == ("nothing has come that the last run does not know",)


def test_a_tick_per_day_rolls_the_window(city):
    windows = []
    for span in range(1, 6):
        city.deliver(span)
        windows.append(spans_of(city.tick())["window"])
    assert windows == [[1], [1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]


def test_a_late_span_inside_the_window_retrains(city):
    for span in (1, 2, 4):
        city.deliver(span)
    assert spans_of(city.tick()) == {"new": [2, 4], "window": [2, 4], "missing": [3]}
    city.deliver(3)
    late = city.tick()
    assert spans_of(late) == {"new": [3], "late": [3], "window": [2, 3, 4]}
    assert late.decision == "retrain" and "late or delivered again" in late.reasons[0]
    assert city.tick().decision == "keep"


def test_a_late_span_older_than_the_window_is_recorded_and_not_trained_on(city):
    for span in (1, 2, 4, 5, 6):
        city.deliver(span)
        city.tick()
    city.deliver(3)
    late = city.tick()
    assert spans_of(late) == {"new": [3], "late": [3], "window": [4, 5, 6]}
    assert late.decision == "keep"
    assert "span 3 is older than the window: recorded, not trained on" in late.reasons
    assert spans_of(city.tick()) == {"window": [4, 5, 6]}


def test_a_missing_span_is_a_hole_until_the_window_has_passed(city):
    missing = []
    for span in (1, 2, 4, 5, 6):
        city.deliver(span)
        missing.append(spans_of(city.tick()).get("missing"))
    assert missing == [None, None, [3], [3], None]


@pytest.mark.parametrize("same_folder", [False, True])
def test_a_span_delivered_again_counts_as_a_new_version_once(city, same_folder):
    """As version 2, or as other content in the folder of version 1."""
    for span in (1, 2, 3):
        city.deliver(span)
    city.tick()
    city.deliver(2, 1 if same_folder else 2, trips="fare\n9\n")
    again = city.tick()
    assert spans_of(again) == {"new": [(2, 2)], "window": [1, (2, 2), 3]}
    assert again.decision == "retrain"
    assert city.tick().decision == "keep"


@pytest.mark.parametrize("version", [1, 2])
def test_equal_content_delivered_again_is_nothing_new(city, version):
    """Written anew in its place, or as version 2."""
    city.deliver(1)
    city.tick()
    shutil.rmtree(city.folder / "data/span-1")
    city.deliver(1, version, trips="fare\n1.1\n")
    assert spans_of(city.tick()) == {"window": [1]}


def test_content_that_comes_back_is_a_third_version(city):
    city.deliver(1)
    city.tick()
    for trips, expected in (("fare\n2\n", (1, 2)), ("fare\n1.1\n", (1, 3))):
        city.deliver(1, trips=trips)
        assert spans_of(city.tick())["window"] == [expected]


def test_a_refused_span_blocks_no_other_and_waits_for_a_new_version(city):
    city.deliver(1)
    city.tick()
    city.deliver(2, trips="")
    refused = city.tick(refused=(2,))
    assert spans_of(refused) == {"new": [2], "refused": [2], "window": [1]}
    assert refused.decision == "keep" and "span 2 refused: empty" in refused.reasons
    assert spans_of(city.tick()) == {"window": [1]}
    city.deliver(3)
    assert spans_of(city.tick()) == {"new": [3], "window": [1, 3]}
    city.deliver(2, 2)
    assert spans_of(city.tick()) == {"new": [(2, 2)], "window": [1, (2, 2), 3]}


def test_a_refused_version_leaves_the_one_before_it_in_the_window(city):
    city.deliver(1)
    city.tick()
    city.deliver(1, 2, trips="")
    assert spans_of(city.tick(refused=(1,))) == {"new": [(1, 2)], "refused": [(1, 2)], "window": [1]}


def test_after_downtime_every_span_is_new_and_one_run_takes_the_window(city):
    city.deliver(1)
    city.tick()
    for span in range(2, 8):
        city.deliver(span)
    record = city.tick(refused=(2,))  # one that no window will hold is ingested, too
    assert spans_of(record) == {"new": [2, 3, 4, 5, 6, 7], "window": [5, 6, 7], "refused": [2]}
    assert city.tick().decision == "keep"


def test_spans_gone_from_the_folder_stay_in_the_window(city):
    """As where a store keeps trips for some days only: their examples are in MLMD."""
    for span in (1, 2):
        city.deliver(span)
    city.tick()
    shutil.rmtree(city.folder / "data/span-1")
    city.deliver(3)
    assert spans_of(city.tick()) == {"new": [3], "window": [1, 2, 3]}


def test_an_incomplete_version_hides_no_complete_one(city):
    city.overrides = ("spans.marker=_SUCCESS",)
    for version in (1, 2):
        city.deliver(1, version)
    (city.folder / "data/span-1/v-1/_SUCCESS").touch()
    assert spans_of(city.tick())["window"] == [1]
    (city.folder / "data/span-1/v-2/_SUCCESS").touch()
    assert spans_of(city.tick())["window"] == [(1, 2)]


def test_a_failed_run_leaves_its_spans_untried(city):
    city.deliver(1)
    assert city.tick(outcome="failed").decision == "retrain"
    assert city.tick(outcome="refused").decision == "retrain"
    assert city.tick().decision == "keep"


def test_a_week_of_spans_is_one_cause(city):
    """Three new spans, counted across a hole and beyond the window; a hole must not keep it from ever being reached."""
    city.overrides = ("spans.min_new_spans=4",)
    decisions = {}
    for span in (1, 2, 4, 5, 6, 7, 8, 9, 10):
        city.deliver(span)
        decisions[span] = city.tick().decision
    assert [span for span, decision in decisions.items() if decision == "retrain"] == [1, 6, 10]


def test_drift_is_a_cause_where_new_data_are_none(city):
    city.overrides = ("spans.min_new_spans=null",)
    city.deliver(1)
    assert city.tick().causes == ("new_data",)  # there is no model yet
    city.deliver(2)
    assert city.tick().reasons == ("1 new span but no drift",)
    city.deliver(3)
    drifted = city.tick(drift=0.08)
    assert (drifted.decision, drifted.causes, drifted.drift) == ("retrain", ("drift",), {"fare": 0.08})
    assert drifted.reasons == ("span 3 is off the data of the last blessed run: fare by 0.080, more than 0.040",)
    city.overrides += ("spans.drift=false",)
    city.deliver(4)
    assert city.tick(drift=0.08).decision == "keep"


@pytest.fixture
def drifted(city):
    """A model of spans 1 to 3, then fares that rise: span 4 is off them, span 5 no more off the mixture of both."""
    city.overrides = ("spans.min_new_spans=null",)
    for span in (1, 2, 3):
        city.deliver(span)
    city.tick()
    city.deliver(4)
    assert city.tick(drift=0.08).causes == ("drift",)
    city.deliver(5)
    assert city.tick().causes == ()
    city.deliver(6)
    return city


def test_a_window_that_has_outlasted_a_drift_is_a_cause_once(drifted):
    after = drifted.tick()
    assert (after.decision, after.causes) == ("retrain", ("after_drift",))
    assert spans_of(after)["window"] == [4, 5, 6]
    assert after.reasons == ("nothing from before the drift of span 4 is in the window any more",)
    for span in (7, 8):
        drifted.deliver(span)
        assert drifted.tick().decision == "keep"


def test_a_window_that_has_outlasted_a_drift_is_trained_on_until_a_run_does_not_fail(drifted):
    assert drifted.tick(outcome="failed").causes == ("after_drift",)
    assert drifted.tick(outcome="refused").causes == ("after_drift",)
    assert drifted.tick().decision == "keep"


def test_each_drifted_span_is_outlasted(drifted):
    """Span 6 is off the mixture, too: the window 4 to 6 follows span 4, and 6 to 8 span 6."""
    assert drifted.tick(drift=0.08).causes == ("drift", "after_drift")
    causes = []
    for span in (7, 8, 9):
        drifted.deliver(span)
        causes.append(drifted.tick().causes)
    assert causes == [(), ("after_drift",), ()]


def test_where_drift_is_no_cause_its_end_is_none(drifted):
    drifted.overrides += ("spans.drift=false",)
    assert drifted.tick().decision == "keep"


def test_drift_of_a_run_that_failed_is_measured_again(city):
    city.overrides = ("spans.min_new_spans=null",)
    city.deliver(1)
    city.tick()
    city.deliver(2)
    city.tick(drift=0.08, outcome="failed")
    again = city.tick(drift=0.08)
    assert (again.spans.new, again.causes) == ((), ("drift",))


def test_a_late_spans_distance_is_no_drift(city):
    """It is older than the model's data by nature."""
    city.overrides = ("spans.min_new_spans=null",)
    for span in (1, 3):
        city.deliver(span)
    city.tick()
    city.deliver(2)
    assert city.tick(drift=0.3).causes == ()


def test_backfill_sees_nothing_that_came_later(city):
    for span in range(1, 6):
        city.deliver(span)
    assert [spans_of(city.tick(upto=span))["window"] for span in (3, 4, 5)] == [[1, 2, 3], [2, 3, 4], [3, 4, 5]]


def test_backfill_does_not_go_behind_the_pushed_model(city):
    for span in (1, 2, 3):
        city.deliver(span)
    city.tick()
    with pytest.raises(InputError, match="^from=2 must be above 3, the newest span of the last run's window"):
        list(tick.backfill(city.settings(), 2, 5))


SPANS = tuple((span, 1) for span in (1, 2, 3))


@pytest.mark.parametrize(
    ("age", "tried", "causes", "reason"),
    [
        (8.0, SPANS[:2], ["max_age"], "the model is 8.0 days old, more than 7"),
        (6.0, SPANS[:2], [], "1 new span but no drift"),
        (None, SPANS[:2], [], "1 new span but no drift"),
        (8.0, SPANS, [], "the model is 8.0 days old, but nothing has come since that it does not know"),
    ],
)
def test_age_is_a_cause_where_anything_is_new(age, tried, causes, reason):
    """A run on what it was trained on before would come from the cache, tick after tick."""
    newer = tuple(each for each in SPANS if each not in tried)
    settings = SpanSettings(pattern="{SPAN}", min_new_spans=None, max_age_days=7)
    decision = decide(Situation(SPANS, tried, newer, age), settings, str)
    assert decision == (causes, [reason])


def test_the_age_is_that_of_the_latest_version(city):
    """By the tick that pushed it, 2 days ago, also after a rollback; by its manifest where no tick has."""
    from farebox.components.atomic_pusher import push
    from farebox.components.atomic_pusher.store import LocalStore

    settings = city.settings()
    settings.runs_dir.mkdir(parents=True)
    journal = Journal(settings.runs_dir)
    now = deciding.TickContext(settings, journal, "run", START + datetime.timedelta(days=2))
    assert deciding.age_days(now) is None
    version = push.push(b"a model", LocalStore(settings.models_dir), {})
    manifest = json.loads((settings.models_dir / version / "manifest.json").read_text())
    created = datetime.datetime.fromisoformat(manifest["created"])
    assert deciding.age_days(now) == pytest.approx((now.now - created).total_seconds() / 86400)
    journal.finish(Record(START.isoformat(), "chicago", "retrain", outcome="pushed", version=version))
    journal.finish(Record(now.now.isoformat(), "chicago", "retrain", outcome="pushed", version="another"))
    assert deciding.age_days(now) == 2


def test_a_record_reads_as_it_was_written_and_has_the_keys_that_others_read(city):
    city.deliver(1)
    record = city.tick()
    journal = Journal(city.settings().runs_dir)
    assert journal.records() == [record]
    (line,) = journal.path.read_text().splitlines()
    content = json.loads(line)
    promised = "time city decision causes reasons spans drift run_id outcome version rmse seconds"
    assert set(promised.split()) < set(content)
    lists = ("late", "missing", "refused", "left", "forgotten")
    assert content["spans"] == {"new": [[1, 1]], "window": [[1, 1]], **{name: [] for name in lists}}
    assert (content["city"], content["outcome"]) == ("chicago", "pushed")


def test_a_line_torn_by_a_dying_tick_is_no_record(city):
    city.deliver(1)
    first = city.tick()
    journal = Journal(city.settings().runs_dir)
    with journal.path.open("a") as file:
        file.write('{"time": "2024')
    assert journal.records() == [first]
    city.deliver(2)
    second = city.tick()
    assert journal.records() == [first, second]


def test_a_spoilt_journal_is_bad_input(city):
    city.deliver(1)
    city.tick()
    journal = Journal(city.settings().runs_dir)
    journal.path.write_text("no record\n" + journal.path.read_text())
    with pytest.raises(InputError, match=r"retraining.jsonl: line 1: must be a record of a tick"):
        city.tick()


def test_a_pending_decision_is_gone_once_it_is_recorded(tmp_path):
    journal, record = Journal(tmp_path), Record("2024-03-04T03:00:00+00:00", "chicago", "retrain", ("drift",))
    journal.begin(record)
    assert journal.pending() == record
    done = dataclasses.replace(record, outcome="pushed", rmse=1.5)
    journal.finish(done)
    journal.begin(record)  # as if the process had died between the line and the removal
    assert journal.pending() is None
    journal.finish(done)
    assert journal.records() == [done] and [path.name for path in tmp_path.iterdir()] == ["retraining.jsonl"]


def test_a_second_tick_says_so_and_ends_well(city, capfd):
    city.deliver(1)
    settings = city.settings()
    code = (
        "import pathlib; from farebox.pipeline.retraining.journal import Journal\n"
        f"journal = Journal(pathlib.Path({str(settings.runs_dir)!r}))\n"
        "with journal.exclusive() as alone: print(alone, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"True\n"
        assert retrain.run_ticks(settings, None, None, as_json=False) == 0
        assert capfd.readouterr().out == "farebox: another tick of chicago is at work\n"
        assert retrain.run_ticks(settings, None, None, as_json=True) == 0
        assert capfd.readouterr().out == ""
        process.kill()
    assert not Journal(settings.runs_dir).records()


def test_a_tick_that_finds_nothing_imports_no_tfx(city):
    city.deliver(1)
    city.tick()
    code = (
        "import sys; from farebox.pipeline.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, 'tfx' in sys.modules, 'tensorflow' in sys.modules)"
    )
    places = ("--data", str(city.folder / "data"), "--out", str(city.folder / "out"))
    overrides = ("spans.pattern=span-{SPAN}/v-{VERSION}", "spans.window=3", "spans.quiet_s=0")
    options = [part for override in overrides for part in ("--set", override)]
    command = [sys.executable, "-c", code, "retrain", *places, *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout.splitlines() == [
        "farebox: chicago: keep: the model stays",
        "  new spans none; window 1 to 1",
        "  nothing has come that the last run does not know",
        "0 False False",
    ], ended.stderr
    assert len(Journal(city.settings().runs_dir).records()) == 2


def ended(outcome: str, new=((1, 1),), refused=(), window=(), left=()) -> Record:
    spans = Spans(new=new, window=window, refused=refused, left=left)
    return Record("now", "chicago", "keep", spans=spans, outcome=outcome)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (ended("kept"), 0), (ended("pushed"), 0), (ended("refused"), 3),
        (ended("kept", refused=((1, 1),)), 2), (ended("kept", new=()), 0),
        (ended("pushed", new=((1, 1), (2, 1)), refused=((1, 1),)), 0), (ended("pushed", refused=((1, 1),)), 0),
    ],
)  # fmt: skip
def test_exit_codes(record, code):
    assert retrain.exit_code(record, has_model=True) == code


@pytest.mark.parametrize(
    ("window", "left", "has_model", "code"),
    [
        ((), ("2062-01-01",), False, 2), ((), ("2062-01-01",), True, 0), (((1, 1),), ("2062-01-01",), False, 0),
        ((), (), False, 0),
    ],
)  # fmt: skip
def test_a_folder_of_which_nothing_can_be_used_is_bad_input_until_there_is_a_model(window, left, has_model, code):
    assert retrain.exit_code(ended("kept", new=(), window=window, left=left), has_model) == code


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("spans.pattern=trips", "spans.pattern=trips must have either {SPAN} or"),
        ("spans.window=0", "spans.window=0 must be at least 1"),
        ("spans.marker=a/b", "spans.marker=a/b must be a file's name"),
        ("spans.quiet_s=-1", "spans.quiet_s=-1.0 must be at least 0"),
        ("spans.min_rows=0", "spans.min_rows=0 must be at least 1"),
        ("spans.min_new_spans=0", "spans.min_new_spans=0 must be at least 1"),
        ("spans.max_age_days=0", "spans.max_age_days=0.0 must be above 0"),
        ("spans.max_numeric=2", "spans.max_numeric=2.0 must be between 0 and 1"),
        ("spans.max_drift=0", "spans.max_drift=0.0 must be above 0"),
        ("spans.ignore_drift=[tips]", "spans.ignore_drift: tips must be one of"),
    ],
)
def test_settings_that_cannot_be_used(override, line, tmp_path):
    with pytest.raises(SettingsError, match=re.escape(f"overrides: {line}")):
        load_settings("chicago", None, str(tmp_path), [override])


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ((), "spans.pattern must be set"),
        (("spans.pattern=span-{SPAN}",), "must be a folder of spans"),
    ],
)
def test_a_tick_without_spans_is_bad_input(tmp_path, overrides, line):
    file = tmp_path / "trips.csv"
    file.write_text("fare\n")
    with pytest.raises(InputError, match=line):
        tick.retrain(load_settings("chicago", str(file), str(tmp_path), overrides))


def test_a_plain_run_of_spans_says_what_gathers_them(city):
    from farebox.pipeline.local import run

    with pytest.raises(InputError, match="must be null for a run of all trips: retrain takes spans"):
        run.run(city.settings())


@pytest.mark.parametrize(
    ("pattern", "text", "span"),
    [
        ("{SPAN}", "12", 12), ("{YYYY}-{MM}-{DD}", "1970-01-13", 12), ("{YYYY}/{MM}", "1971-01", 12),
        ("{SPAN}", "x", None), ("{YYYY}/{MM}", "x", None),
    ],
)  # fmt: skip
def test_a_span_on_the_command_line(city, pattern, text, span):
    settings = dataclasses.replace(city.settings(), spans=SpanSettings(pattern=pattern))
    if span is None:
        with pytest.raises(InputError, match="span=x must be a number or, if spans.pattern is dated, a day"):
            retrain.span_number(text, settings)
    else:
        assert retrain.span_number(text, settings) == span
