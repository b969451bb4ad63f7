"""Tells others how a tick ended: POSTs its record to a webhook and writes a metrics file."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from farebox.pipeline.retraining import metrics_file
from farebox.pipeline.retraining.journal import JOURNAL_FILE
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.settings.notify import HTTP_RULE, is_http

TIMEOUT_S = 10.0  # for the connection and for the answer of each attempt
WAITS_S = (1.0, 2.0, 4.0)  # before the second, third and fourth attempt
SIGNATURE = "X-Farebox-Signature"


class UndeliveredError(Exception):
    """A webhook did not take a record. The text names the host, never the address, which may hold a secret."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a POST that is redirected would arrive as a GET."""

    def redirect_request(self, *_: Any) -> None:
        return None


def after_tick(settings: Settings, record: Mapping[str, Any], warn: Callable[[str], None]) -> None:
    """Posts a tick's record to the webhook and rewrites the metrics file; `warn` takes a line if that fails.

    record: as in retraining.jsonl. A tick that could not start has a record, too, which is not in that file.
    """
    notify = settings.notify
    if record.get("outcome") in notify.outcomes:
        try:
            if (url := _variable(notify.webhook_env) or notify.webhook) is not None:
                post(url, record, _variable(notify.signing_key_env), WAITS_S)
        except UndeliveredError as error:
            warn(str(error))
    if notify.metrics_file is not None:
        try:
            metrics_file.write_metrics(notify.metrics_file, record, read_records(settings))
        except OSError as error:
            warn(f"notify.metrics_file={notify.metrics_file} cannot be written: {error.strerror or error}")
        except (TypeError, ValueError):
            journal = settings.runs_dir / JOURNAL_FILE
            warn(f"notify.metrics_file={notify.metrics_file} cannot be written: {journal} has a wrong value")


def post(url: str, record: Mapping[str, Any], key: str | None = None, waits: Sequence[float] = ()) -> None:
    """POSTs a record as JSON. Raises UndeliveredError.

    waits: seconds before each further attempt, which follows 429, 5xx and a connection that fails.
    key: signs the body; the header `X-Farebox-Signature: sha256=HEX` carries the HMAC-SHA256. If an answer is lost, the
    record arrives twice, with the same `city` and `time`.
    """
    if not is_http(url):
        raise UndeliveredError(f"notify: the webhook {HTTP_RULE}")
    host = urllib.parse.urlsplit(url).hostname
    body = json.dumps(record).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "farebox"}
    if key is not None:
        headers[SIGNATURE] = "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    for wait in (*waits, None):
        fault, may_help = _attempt(urllib.request.Request(url, body, headers))
        if not fault:
            return
        if not may_help or wait is None:
            raise UndeliveredError(f"notify: the webhook at {host} did not take the record: {fault}")
        time.sleep(wait)


def _attempt(request: urllib.request.Request) -> tuple[str, bool]:
    """The fault, empty if there is none, and whether another attempt may help."""
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=TIMEOUT_S):
            return "", False
    except urllib.error.HTTPError as error:
        with error:
            return f"HTTP {error.code}", error.code == 429 or error.code >= 500
    except urllib.error.URLError as error:
        reason = error.reason
        return str(reason.strerror or reason) if isinstance(reason, OSError) else str(reason), True
    except OSError as error:  # while the answer is read
        return error.strerror or str(error), True
    except http.client.HTTPException as error:
        return type(error).__name__, True


def read_records(settings: Settings) -> list[dict[str, Any]]:
    """The journal of a city, oldest record first, without lines that are no record, such as one torn by a kill."""
    path = settings.runs_dir / JOURNAL_FILE
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return [record for record in map(_record, lines) if record is not None]


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
        metrics_file.timestamp(record)
    except (ValueError, TypeError, KeyError):
        return None
    return dict(record)


def _variable(name: str | None) -> str | None:
    """The value of an environment variable, None without a name. Raises UndeliveredError if it is not set."""
    if name is None:
        return None
    if not os.environ.get(name):
        raise UndeliveredError(f"notify: the environment variable {name} must be set, got none")
    return os.environ[name]
