"""Schedules that the services keep: one per name, whatever the network does."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading

import pytest

from farebox.components.errors import InputError
from farebox.pipeline.cluster import schedules

NIGHTLY, ROWS = "0 3 * * *", ("rows=5",)


class Kept:
    """The schedules of one service's server."""

    def __init__(self, remote) -> None:
        self.remote = remote
        self.kind, self.noun = (
            ("recurringruns", "recurringruns") if remote.kind == "runs" else ("schedules", "schedules")
        )

    @property
    def rows(self):
        return self.remote.server.kept(self.kind)

    @property
    def path(self) -> str:
        return f"/{self.noun}$"

    def sent(self) -> int:
        return len(self.remote.server.seen("POST", self.path))


@pytest.fixture
def kept(remote) -> Kept:
    return Kept(remote)


@pytest.fixture
def create(remote, spec_file):
    file = spec_file()  # once: of two threads, one would read what the other has begun to write

    def call(name="nightly", cron=NIGHTLY, parameters=ROWS, **options):
        request = schedules.ScheduleRequest(file, cron, parameters, name=name, **options)
        return schedules.create(remote.target, request, say=lambda _: None)

    return call


def test_it_arrives_and_is_listed_and_deleted(remote, kept, create):
    made = create()
    assert (made.name, made.cron, len(kept.rows)) == ("nightly", NIGHTLY, 1)
    (row,) = kept.rows
    if remote.target.runner == "kubeflow":
        assert row["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
        assert (row["mode"], row["no_catchup"], int(row["max_concurrency"])) == ("ENABLE", True, 1)
        assert row["runtime_config"]["parameters"]["rows"] == 5
    else:
        assert (row["cron"], row["maxConcurrentRunCount"]) == ("TZ=UTC 0 3 * * *", "1")
        job = row["createPipelineJobRequest"]["pipelineJob"]
        assert job["runtimeConfig"]["parameterValues"]["rows"] == 5 and job["labels"]["commit"] == "abc1234"
        assert made.next_run == "2026-01-01T03:00:00Z"
    assert schedules.list_all(remote.target) == [made]
    assert schedules.delete(remote.target, "nightly") == [made]
    assert kept.rows == [] and schedules.list_all(remote.target) == []


def test_an_equal_one_is_found_and_an_unlike_one_refused_or_replaced(remote, kept, create, spec_file):
    made, spec = create(), spec_file()
    assert create() == made and kept.sent() == 1
    for unlike in ({"cron": "0 4 * * *"}, {"parameters": ["rows=6"]}):
        with pytest.raises(InputError, match="schedule=nightly exists already .*, 0 3 .* delete it first"):
            create(**unlike)
    with pytest.raises(InputError, match="with another spec, cron, time zone, account or parameters"):
        target = dataclasses.replace(remote.target, service_account="robot")
        schedules.create(target, schedules.ScheduleRequest(spec, NIGHTLY, ROWS, name="nightly"))
    assert create(cron="0 4 * * *", replace=True).cron == "0 4 * * *"
    assert len(kept.rows) == 1 and create(name="weekly", cron="0 3 * * 0").name == "weekly" and len(kept.rows) == 2


@pytest.mark.parametrize("what", ["lost", "drop", 503])
def test_a_failing_send_makes_one(remote, kept, create, what):
    remote.server.fail("POST", kept.path, what)
    create()
    assert len(kept.rows) == 1 and kept.sent() == (1 if what == "lost" else 2)


def test_two_at_once_leave_one(remote, kept, create):
    remote.server.gate = ("POST", f"/{kept.noun}", threading.Barrier(2))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: create(), range(2)))
    assert kept.sent() == 2 and len(kept.rows) == 1 and made[0] == made[1]


@pytest.mark.parametrize("what", ["lost", 503])
def test_a_failing_deletion_deletes(remote, kept, create, what):
    create()
    remote.server.fail("DELETE", f"/{kept.noun}/", what)
    schedules.delete(remote.target, "nightly", say=lambda _: None)
    assert kept.rows == []


def test_what_is_not_there_cannot_be_deleted(remote, create):
    """Kubeflow's server lists two a page."""
    for name in ("nightly", "weekly", "monthly"):
        create(name=name)
    with pytest.raises(InputError, match="schedule=daily must be one that exists: nightly, weekly, monthly"):
        schedules.delete(remote.target, "daily")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cron": "0 3 * *"}, "cron=0 3 . . must have the five fields"),
        ({"cron": "61 * * * *"}, "cron=61 .*: minute=61 must be between 0 and 59"),
        ({"cron": "0 3 */2 * 1"}, "cron=0 3 .*: day-of-month and day-of-week must not both be .* services differ"),
        ({"name": ""}, "schedule='' must be 1 to 128 printable characters"),
        ({"name": "x" * 129}, "schedule='x+' must be 1 to 128"),
        ({"name": "two\nlines"}, r"schedule='two\\nlines' must be 1 to 128"),
        ({"name": 'a" OR state="ACTIVE'}, "schedule='a.* must be 1 to 128 printable characters, no quotes"),
        ({"timezone": "Mars/Base"}, "timezone=Mars/Base must be an IANA name"),
        ({"timezone": "../etc/passwd"}, "timezone=../etc/passwd must be an IANA name"),
        ({"parameters": ["rows=many"]}, "parameter rows=many must be an integer"),
    ],
)
def test_a_wrong_one_is_a_line_and_sends_nothing(remote, create, wrong, message):
    with pytest.raises(InputError, match=f"^{message}"):
        create(**wrong)
    assert remote.server.requests == []


def test_a_time_zone_is_vertexs_alone(remote, kept, create):
    if remote.target.runner == "vertex":
        create(timezone="America/Chicago")
        assert kept.rows[0]["cron"] == "TZ=America/Chicago 0 3 * * *"
    else:
        (before,) = create() and kept.rows
        for replace in (False, True):
            with pytest.raises(InputError, match="timezone=America/Chicago must be UTC"):
                create(timezone="America/Chicago", replace=replace)
        assert kept.rows == [before]


def test_a_replacement_that_fails_says_what_is_gone(remote, kept, create):
    create()
    remote.server.fail("POST", kept.path, 403)
    with pytest.raises(InputError, match="403 .*; the old schedule=nightly .0 3 .* UTC. is deleted$"):
        create(cron="0 4 * * *", replace=True)
    assert kept.rows == []


@pytest.mark.parametrize("name", ["C++ fares", "100 % of trips", "50%25", "a&b=c"])
def test_a_name_is_found_whatever_it_holds(remote, kept, create, name):
    """Kubeflow's service decodes a filter twice."""
    assert create(name=name) == create(name=name) and kept.sent() == 1
    assert [each.name for each in schedules.delete(remote.target, name, say=lambda _: None)] == [name]


@pytest.mark.parametrize("name", ["", ".*", "night.*"])
def test_no_name_means_several(remote, kept, create, name):
    """The server reads a name of Vertex's filter as a pattern; without a name, both list all."""
    create()
    with pytest.raises(InputError, match="^schedule="):
        schedules.delete(remote.target, name)
    assert len(kept.rows) == 1


@pytest.mark.parametrize(
    ("cron", "sent"), [("0 3 * * 5-7", "0 3 * * 0,5-6"), ("@daily", "0 0 * * *"), (" */5  * * * mon ", "*/5 * * * mon")]
)
def test_cron_arrives_in_the_services_words(create, cron, sent):
    assert create(cron=cron).cron == sent


def test_a_refusal_is_a_line(remote, kept, create):
    remote.server.fail("POST", kept.path, 403)
    with pytest.raises(InputError, match="403 out of order; "):
        create()
