"""A local HTTP server that keeps its requests, fails as a network or a service does, and advances a run's nodes.

`fake_kubeflow` and `fake_vertex` build on it. It imitates no service itself, so it has no version.
"""

from __future__ import annotations

import dataclasses
import datetime
import http.server
import json
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from toy_spec import NODES


@dataclasses.dataclass(frozen=True)
class ReceivedRequest:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclasses.dataclass
class Fault:
    """A fault of the next `times` requests of this method and path.

    what: a status to refuse with, `lost` (no answer after the work), `drop` (no connection), `late` (`body` s).
    """

    method: str
    path: str
    what: int | str
    body: Any = ""
    times: int = 1


class RefusedError(Exception):
    """An error answer: status, message."""


def timestamp(order: int) -> str:
    return (datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=order)).strftime("%Y-%m-%dT%H:%M:%SZ")


class FakeService:
    """rows: created items by kind and id. looks: requests for each run; its nodes advance with each."""

    NOT_FOUND = "not found"

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.crashes: list[str] = []
        self.faults: list[Fault] = []
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}
        self.looks: dict[str, int] = {}
        self.failing_node: str | None = None
        self.frozen = False  # nodes do not advance
        self.gate: tuple[str, str, threading.Barrier] | None = None  # (method, path, barrier): these requests wait
        self.before: dict[str, Callable[[], Any]] = {}  # called once before the answer to `METHOD path`
        self.lock = threading.RLock()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True
        self.http.handle_error = self._crashed  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def _crashed(self, *_request: Any) -> None:
        """A client may hang up; every other error is a bug of the double."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            self.crashes.append(traceback.format_exc())

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        assert self.crashes == []

    def fail(self, method: str, path: str, what: int | str, body: Any = "", times: int = 1) -> None:
        self.faults.append(Fault(method, path, what, body, times))

    def seen(self, method: str, path: str) -> list[ReceivedRequest]:
        return [each for each in self.requests if each.method == method and re.search(path, each.path)]

    def kept(self, kind: str) -> list[dict[str, Any]]:
        return list(self.rows.get(kind, {}).values())

    def keep(self, kind: str, key: str, row: dict[str, Any]) -> dict[str, Any]:
        return self.rows.setdefault(kind, {}).setdefault(key, row)

    def row_of(self, kind: str, key: str) -> dict[str, Any]:
        try:
            return self.rows[kind][key]
        except KeyError:
            raise RefusedError(404, f"{kind} {key} {self.NOT_FOUND}") from None

    def states(self, run_id: str, words: tuple[str, str, str, str]) -> tuple[str, list[tuple[str, str]]]:
        """(run's state, [(node, state)] of started nodes) at this look; words: running, succeeded, skipped, failed."""
        running, succeeded, skipped, failed = words
        look = self.looks[run_id] = 1 if self.frozen else self.looks.get(run_id, 0) + 1
        nodes = []
        for at, name in enumerate(NODES[:look]):
            done = at < look - 1
            state = (skipped if at == 0 else succeeded) if done else running
            if name == self.failing_node and done:
                return failed, [*nodes, (name, failed)]
            nodes.append((name, state))
        return (succeeded if look > len(NODES) else running), nodes

    def answer(self, request: ReceivedRequest) -> Any:
        raise NotImplementedError

    def error(self, status: int, message: str) -> Any:
        raise NotImplementedError

    def _fault(self, request: ReceivedRequest) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method == request.method and re.search(fault.path, request.path):
                fault.times -= 1
                return fault
        return None

    def _handler(server) -> type[http.server.BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

            def log_message(self, *arguments: Any) -> None:
                pass

            def serve(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = ReceivedRequest(self.command, unquote(parts.path), query, headers, body)
                if server.gate and server.gate[0] == request.method and request.path.endswith(server.gate[1]):
                    server.gate[2].wait(20)
                with server.lock:
                    server.requests.append(request)
                    server.before.pop(f"{request.method} {request.path.rpartition('/')[2]}", lambda: None)()
                    fault = server._fault(request)
                    if fault and isinstance(fault.what, int):
                        body = fault.body or server.error(fault.what, "out of order")
                        return self.reply(fault.what, body)
                    if fault and fault.what == "drop":
                        self.close_connection = True
                        return self.connection.close()
                    try:
                        status, content = 200, server.answer(request)
                    except RefusedError as refusal:
                        status, content = refusal.args[0], server.error(*refusal.args)
                if fault and fault.what == "lost":
                    self.close_connection = True
                    return self.connection.close()
                if fault and fault.what == "late":
                    time.sleep(fault.body)
                return self.reply(status, content)

            def reply(self, status: int, content: Any) -> None:
                text = content if isinstance(content, str) else json.dumps(content)
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if text.startswith("<") else "application/json")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_DELETE = do_PATCH = serve  # noqa: N815

        return Handler


def error_of(state: str) -> dict[str, Any]:
    """The error field of a node in this state; empty unless it failed."""
    return {"error": {"code": 9, "message": "the mean fare\n is no number"}} if state == "FAILED" else {}
