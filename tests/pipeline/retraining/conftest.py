"""A city whose ticks run without TFX, and a webhook that listens."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import http.server
import socket
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from farebox.components.errors import Check, GateError, InputError, Severity
from farebox.components.span_window.steps_file import WindowSteps
from farebox.pipeline.retraining import tick
from farebox.pipeline.retraining.ingesting import JudgedSpan
from farebox.pipeline.retraining.journal import Journal, Record
from farebox.pipeline.retraining.live_record import Live
from farebox.pipeline.retraining.planning import key
from farebox.pipeline.retraining.steps import Steps
from farebox.pipeline.settings.load import load_settings

START = datetime.datetime(2024, 3, 4, 3, tzinfo=datetime.timezone.utc)


@dataclasses.dataclass
class City:
    """A folder of spans, and ticks over it whose runs end as a test says."""

    folder: Path
    overrides: tuple[str, ...] = ()
    ticks: int = 0
    runs: list = dataclasses.field(default_factory=list)
    ingested: list = dataclasses.field(default_factory=list)
    warnings: list = dataclasses.field(default_factory=list)
    live: Callable[[tuple[int, int]], tuple[Live, ...]] = lambda _: ()  # live errors on a span

    def settings(self):
        pattern = "spans.pattern=span-{SPAN}/v-{VERSION}"
        spans = (pattern, "spans.window=3", "spans.quiet_s=0", *self.overrides)
        (self.folder / "data").mkdir(exist_ok=True)
        return load_settings("chicago", str(self.folder / "data"), str(self.folder / "out"), spans)

    def deliver(self, span: int, version: int = 1, trips: str | None = None) -> None:
        path = self.folder / "data" / f"span-{span}" / f"v-{version}"
        path.mkdir(parents=True, exist_ok=True)
        if trips != "":
            (path / "trips.csv").write_text(trips or f"fare\n{span}.{version}\n")

    def tick(self, refused: tuple[int, ...] = (), outcome: str = "pushed", drift: float = 0.0, upto=None) -> Record:
        """The record of a real tick, whose ingest refuses the spans `refused` and whose run has the outcome."""
        try:
            (result,) = self.results(refused, outcome, drift, upto)
        except RunFailedError:
            return Journal(self.settings().runs_dir).records()[-1]
        return result.record

    def results(
        self, refused: tuple[int, ...] = (), outcome: str = "pushed", drift: float = 0.0, upto=None
    ) -> list[tick.TickResult]:
        self.ticks += 1
        now = START + datetime.timedelta(days=self.ticks - 1)
        return tick.retrain(self.settings(), upto=upto, now=now, steps=self.steps(refused, outcome, drift))

    def steps(self, refused: tuple[int, ...] = (), outcome: str = "pushed", drift: float = 0.0) -> Steps:
        """Without TFX; `runs` and `ingested` remember what was done."""

        def ingest(_settings, _run_id, deliveries):
            measured = (Check("drift.fare", drift, 0.04, drift <= 0.04),)
            reasons = {each.span: "empty" if each.span in refused else None for each in deliveries}
            judged = [JudgedSpan(each, measured, reasons[each.span], self.live(key(each))) for each in deliveries]
            self.ingested += [key(each.delivery) for each in judged if each.refusal is None]
            return judged

        def run(_settings, run_id, spans):
            self.runs.append((run_id, spans.window))
            return self.endings[outcome](run_id)

        return Steps(ingest, lambda _settings, _run_id: set(self.ingested), run, self.warnings.append)

    @property
    def endings(self):
        """The result or the exception of a run, by outcome."""
        return {
            "pushed": lambda run_id: ended_run(f"models/chicago/{run_id}"),
            "refused": lambda _: ended_run(gates=(gate("max_rmse"), gate("max_bias", "warn"))),
            "data refused": lambda _: raise_error(GateError("DataGate refused", [gate("min_rows")])),
            "failed": lambda _: raise_error(RunFailedError("no space")),
            "bad input": lambda _: raise_error(InputError("another run is going on")),
        }


class RunFailedError(Exception):
    """A bug, or a full disk."""


def raise_error(error: Exception):
    raise error


def ended_run(pushed: str | None = None, gates: tuple[Check, ...] = ()) -> types.SimpleNamespace:
    """The part of a `Run` that a tick reads."""
    return types.SimpleNamespace(rmse=3.5, pushed=Path(pushed) if pushed else None, gates=gates, steps=WindowSteps())


def gate(name: str, severity: Severity = "stop") -> Check:
    return Check(name, 2.0, 1.0, ok=False, severity=severity)


@pytest.fixture
def city(tmp_path) -> City:
    return City(tmp_path)


class Hook(http.server.ThreadingHTTPServer):
    """A webhook: answers with one status after the other, then with 204; `taken` holds (path, headers, body)."""

    def __init__(self, statuses: list[int | str]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.statuses, self.taken = statuses, []
        self.url = f"http://127.0.0.1:{self.server_port}/T0KEN?key=T0KEN"


class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, dict(self.headers), body))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        if status == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if status == "mumble":
            self.wfile.write(b"hello\r\n\r\n")
            return
        self.send_response(status)
        if status in (302, 307):
            self.send_header("Location", "/elsewhere/T0KEN")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.taken.append((self.path, dict(self.headers), b""))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _listening(*statuses: int | str) -> Iterator[Hook]:
    with Hook(list(statuses)) as hook:
        threading.Thread(target=hook.serve_forever, args=(0.01,), daemon=True).start()
        yield hook
        hook.shutdown()


@pytest.fixture
def listening(monkeypatch):
    """Starts a webhook that answers with these statuses; no proxy is between us and it."""
    monkeypatch.setenv("no_proxy", "*")
    return _listening
