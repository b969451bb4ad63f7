"""Spans with wrong numbers and names: they take nothing over, are told, listed, and can be taken back."""

from __future__ import annotations

import dataclasses
import datetime
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from farebox.components.errors import InputError
from farebox.pipeline.commands import retrain
from farebox.pipeline.retraining import forgetting, listing
from farebox.pipeline.retraining.journal import Content, Journal, Record, Spans
from farebox.pipeline.retraining.live_record import Live

FAREBOX = Path(sys.executable).with_name("farebox")
WRONG = 33603  # days from 1970 to 2062-01-01


def farebox(city, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed command on the city's folders."""
    places = ("--data", str(city.folder / "data"), "--out", str(city.folder / "out"))
    pattern = ("spans.pattern=span-{SPAN}/v-{VERSION}", "spans.window=3", "spans.quiet_s=0", *city.overrides)
    options = [part for override in pattern for part in ("--set", override)]
    command = [str(FAREBOX), *arguments, *places, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def windows_of(record: Record) -> list[int]:
    return [span for span, _ in record.spans.window]


@pytest.fixture
def poisoned(city):
    """A city whose journal, of before there were rules, has span 2062 beside 1 to 3: it pushed a model of it alone."""
    for span in (1, 2, 3):
        city.deliver(span)
    city.tick()
    record = Record(
        "2024-03-04T12:00:00+00:00", "chicago", "retrain", ("new_data",),
        spans=Spans(new=((2062, 1),), window=((2062, 1),)), outcome="pushed", version="bad",
        contents={"2062/1": Content("bad", "stamp", "span-2062/v-1")},
    )  # fmt: skip
    Journal(city.settings().runs_dir).finish(record)
    city.ingested.append((2062, 1))
    return city


def test_one_wrong_number_takes_nothing_over(city):
    """Neither at once nor later, and its name is in every record; a second one behind it is believed."""
    for span in (1, 2, 3, 2062):
        city.deliver(span)
    first = city.tick()
    assert (windows_of(first), first.outcome, first.spans.left) == ([1, 2, 3], "pushed", ("span-2062/v-1",))
    assert any(reason.startswith("span-2062/v-1 is left out: it is 2059 after span 3") for reason in first.reasons)
    city.deliver(4)
    assert windows_of(city.tick()) == [2, 3, 4]
    again = city.tick()
    assert (again.decision, again.spans.left) == ("keep", ("span-2062/v-1",))
    city.deliver(2063)
    assert windows_of(city.tick()) == [2062, 2063]


def test_the_command_says_what_it_leaves_out_and_goes_on(city):
    """A span of 2062 beside a month of days, through the installed command; nothing is ingested."""
    city.overrides = ("spans.pattern={YYYY}-{MM}-{DD}",)
    for name in ("2024-03-01", "2024-03-02", "2062-01-01", "2024-03-0l"):
        (city.folder / "data" / name).mkdir(parents=True)
        (city.folder / "data" / name / "trips.csv").write_text(f"fare\n{name}\n")
    assert len(windows_of(city.tick())) == 2
    ended = farebox(city, "retrain")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[:2] == [
        "farebox: chicago: keep: the model stays",
        "  new spans none; window 2024-03-01 to 2024-03-02",
    ]
    tomorrow = datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=1)
    assert "  2062-01-01 is left out: it is dated after tomorrow, " in ended.stdout
    assert str(tomorrow.year) in ended.stdout
    assert "  2024-03-0l is left out: its name is no span of {YYYY}-{MM}-{DD}" in ended.stdout
    listed = json.loads(farebox(city, "spans", "--json").stdout)
    assert listed["counts"] == {"window": 2, "left": 2}
    assert [(each["path"], each["state"]) for each in listed["spans"]] == [
        ("2024-03-01", "window"), ("2024-03-02", "window"), ("2062-01-01", "left"), ("2024-03-0l", "left"),
    ]  # fmt: skip


def test_a_folder_of_wrong_names_alone_is_bad_input(city):
    (city.folder / "data" / "span-O1" / "v-1").mkdir(parents=True)
    ended = farebox(city, "retrain")
    assert ended.returncode == 2 and "span-O1/v-1 is left out: its name is no span of" in ended.stdout
    line = f"farebox: data={city.folder}/data must hold a span that can be used, got 1 names, span-O1/v-1 first\n"
    assert ended.stderr == line


def test_a_tick_of_useless_spans_says_which(city):
    """The names that rules leave out are not why it ends with 2."""
    city.deliver(1)
    city.tick()
    (city.folder / "data" / "span-O2" / "v-1").mkdir(parents=True)
    city.deliver(2)
    record = city.tick(refused=(2,))
    assert retrain.exit_code(record, has_model=True) == 2 and record.spans.left
    assert retrain.complaint(record) == "a new span that can be used; span 2 refused: empty"


def test_a_record_names_the_gap_and_the_span_of_each_error(city):
    errors = {"all trips": {"rows": 100, "rmse": [2.0], "mae": [1.0], "bias": [0.0]}}
    lives = tuple(Live((span, 1), "latest", "0123456789ab", errors, {}) for span in (3, 5))
    spans = Spans(window=((3, 1), (5, 1)), missing=(4,))
    record = Record("2024-03-04T03:00:00", "chicago", "keep", spans=spans, live=lives)
    lines = retrain.lines(record, city.settings())
    assert lines[1] == "  new spans none; window 3 to 5 without 4"
    assert [line.partition(" of 0123")[0] for line in lines[2:]] == [
        "  live error on span 3", "  live error on span 5"
    ]  # fmt: skip
    alone = retrain.lines(dataclasses.replace(record, live=lives[:1]), city.settings())
    assert alone[2].startswith("  live error of 0123456789ab (latest): RMSE 2.00")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--from", "3", "--to", "2"), "--from=3 must not be after --to=2"),
        (("--from", "3"), "--from=3 must have --to beside it"),
        (("--to", "3"), "--to=3 must have --from beside it"),
    ],
)
def test_a_backfill_needs_both_ends_in_order(city, arguments, line):
    city.deliver(2)
    ended = farebox(city, "retrain", *arguments)
    assert (ended.returncode, ended.stderr) == (2, f"farebox: {line}\n")


def test_a_wrong_span_of_an_old_journal_is_doubted(poisoned):
    poisoned.deliver(4)
    record = poisoned.tick()
    assert windows_of(record) == [2062]
    assert "span 2062, which an earlier tick took, is 2058 after span 4: forget it if that is wrong" in record.reasons


def test_a_dated_span_of_an_old_journal_is_doubted_although_it_is_alone(city):
    city.overrides = ("spans.pattern={YYYY}-{MM}-{DD}",)
    record = Record(
        "2024-03-05T03:00:00+00:00", "chicago", "retrain", spans=Spans(new=((WRONG, 1),), window=((WRONG, 1),)),
        outcome="pushed", contents={f"{WRONG}/1": Content("bad", "stamp", "2062-01-01")},
    )  # fmt: skip
    city.settings().runs_dir.mkdir(parents=True)
    Journal(city.settings().runs_dir).finish(record)
    reasons = city.tick().reasons
    assert "span 2062-01-01, which an earlier tick took, is dated after tomorrow: forget it if that is wrong" in reasons


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_span_that_is_forgotten_has_never_been(poisoned, is_gone):
    """Whether its folder is gone or not: the window is that of the others, and is trained on at once."""
    poisoned.overrides = ("spans.min_new_spans=null",)
    poisoned.deliver(4)
    if not is_gone:
        poisoned.deliver(2062)
    assert windows_of(poisoned.tick()) == [2062]
    record = forgetting.forget(poisoned.settings(), 2062)
    versions = ((2062, 1),) if is_gone else ((2062, 1), (2062, 2))
    assert (record.outcome, record.spans.forgotten) == ("forgotten", versions)
    after = poisoned.tick()
    assert (windows_of(after), after.decision, after.outcome) == ([2, 3, 4], "retrain", "pushed")
    assert after.spans.left == (() if is_gone else ("span-2062/v-1",))
    assert poisoned.tick().decision == "keep"
    poisoned.deliver(5)
    assert windows_of(poisoned.tick()) == [3, 4, 5]


def test_a_city_whose_first_span_was_wrong_takes_its_older_ones(city):
    """Everything below the first tick's window is ignored, as if it had never been wanted."""
    city.deliver(2062)
    city.tick()
    for span in range(1, 6):
        city.deliver(span)
    assert windows_of(city.tick()) == [2062]
    forgetting.forget(city.settings(), 2062)
    shutil.rmtree(city.folder / "data/span-2062")
    assert windows_of(city.tick()) == [3, 4, 5]


def test_other_content_of_a_forgotten_span_is_a_new_version(city):
    for span in (1, 2, 3):
        city.deliver(span)
    city.tick()
    forgetting.forget(city.settings(), 3)
    assert windows_of(city.tick()) == [1, 2]
    city.deliver(3, trips="fare\n9\n")
    record = city.tick()
    assert (record.spans.new, record.spans.window[-1]) == (((3, 2),), (3, 2))


def test_a_pending_decision_is_kept_unless_the_span_is_in_it(city):
    """A span that only the pending decision knows is recorded as seen, so that it is not new again."""
    for span in (1, 2, 3):
        city.deliver(span)
    city.tick()
    city.deliver(4)
    with pytest.raises(InputError):
        city.results(outcome="bad input")
    journal = Journal(city.settings().runs_dir)
    assert windows_of(journal.pending()) == [2, 3, 4]
    forgetting.forget(city.settings(), 1)
    assert journal.pending() is not None
    record = forgetting.forget(city.settings(), 4)
    assert journal.pending() is None and record.spans.new == record.spans.forgotten == ((4, 1),)
    assert [windows_of(result.record) for result in city.results()] == [[2, 3]]


def test_a_tick_that_failed_before_a_span_was_forgotten_is_tried_again(city):
    """The drift that was its cause is measured again, as after any failed run."""
    city.overrides = ("spans.min_new_spans=null",)
    for span in (1, 2):
        city.deliver(span)
    city.tick()
    city.deliver(3)
    assert city.tick(drift=0.08, outcome="failed").causes == ("drift",)
    forgetting.forget(city.settings(), 1)
    assert city.tick(drift=0.08).causes == ("drift",)


@pytest.mark.parametrize("twice", [True, False])
def test_a_span_that_no_tick_has_taken_cannot_be_forgotten(poisoned, twice):
    if twice:
        forgetting.forget(poisoned.settings(), 2062)
    with pytest.raises(InputError, match="^span=.* must be one that a tick has taken, and that is not forgotten"):
        forgetting.forget(poisoned.settings(), 2062 if twice else 9)


def test_forgetting_waits_for_no_tick(poisoned):
    with Journal(poisoned.settings().runs_dir).exclusive() as is_free, pytest.raises(InputError, match="is at work$"):
        assert is_free
        forgetting.forget(poisoned.settings(), 2062)


def test_forgetting_through_the_command(poisoned):
    ended = farebox(poisoned, "spans", "forget", "2062")
    assert (ended.returncode, ended.stdout) == (0, "farebox: chicago: span 2062 is forgotten\n")
    ended = farebox(poisoned, "spans", "forget", "2062")
    assert (ended.returncode, ended.stdout) == (2, "") and len(ended.stderr.splitlines()) == 1
    listed = farebox(poisoned, "spans").stdout
    assert listed.splitlines()[-1] == "chicago: 3 window, 1 forgotten"


def test_the_list_says_what_happens_to_each_span(city):
    """Window 2 to 4: 1 is older, 2 came twice, 3 cannot be used; 5 is new, 6 incomplete, 99 a jump."""
    city.overrides = ("spans.marker=_DONE",)
    for span in (1, 2):
        deliver(city, span)
    city.tick()
    deliver(city, 2, version=2)
    deliver(city, 3)
    deliver(city, 4)
    city.tick(refused=(3,))
    shutil.rmtree(city.folder / "data/span-4")
    shutil.rmtree(city.folder / "data/span-3")
    for span in (0, 5, 99):
        deliver(city, span)
    city.deliver(6)
    listed = listing.list_spans(city.settings())
    assert [(each.path, each.state, each.why) for each in listed.spans] == [
        ("span-0/v-1", "left", "it is older than the first window"),
        ("span-1/v-1", "taken", "it is older than the window"),
        ("span-2/v-1", "taken", "version 2 replaces it"),
        ("span-2/v-2", "window", ""),
        ("span-3/v-1", "refused", "empty; it is gone from the folder"),
        ("span-4/v-1", "window", "it is gone from the folder, its examples are kept"),
        ("span-5/v-1", "new", ""),
        ("span-6/v-1", "waits", "_DONE is not there"),
        ("span-99/v-1", "left", "it is 94 after span 5, more than spans.window=3: it is taken once another span "
         "follows it within the window"),
    ]  # fmt: skip
    assert listed.counts == {"left": 2, "taken": 2, "window": 2, "refused": 1, "new": 1, "waits": 1}


def deliver(city, span: int, version: int = 1) -> None:
    city.deliver(span, version)
    (city.folder / "data" / f"span-{span}" / f"v-{version}" / "_DONE").touch()


@pytest.mark.parametrize(
    ("text", "line"),
    [("spans.pattern={YYYY}-{MM}-{DD}", "{YYYY}-{MM}-{DD}"), ("spans.pattern={SPAN}", "{SPAN}")],
)
def test_a_pattern_needs_no_quotes_in_quotes(text, line):
    from farebox.pipeline.settings.load import load_settings

    assert load_settings("chicago", overrides=[text]).spans.pattern == line
    assert (
        retrain.span_number("12" if "SPAN" in line else "1970-01-13", load_settings("chicago", overrides=[text])) == 12
    )
