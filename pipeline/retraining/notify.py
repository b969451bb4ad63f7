"""What the world hears of a tick: its record, POSTed to a webhook, and a file of metrics. Neither can fail a tick."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from farebox.pipeline.retraining import metrics_file
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.settings.notify import HTTP_RULE, is_http

RECORDS_FILE = "retraining.jsonl"
TIMEOUT_S = 10.0  # of each attempt, for the connection and for the answer
WAITS_S = (1.0, 2.0, 4.0)  # before the second attempt, the third and the fourth
SIGNATURE = "X-Farebox-Signature"


class UndeliveredError(Exception):
    """A record that a webhook did not take; names the host, never the address, which may hold a secret."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is sent elsewhere would arrive as a GET: a redirect is an answer like any other."""

    def redirect_request(self, *_: Any) -> None:
        return None


def after_tick(settings: Settings, record: Mapping[str, Any]) -> None:
    """Tells the webhook and rewrites the metrics; what goes wrong is a line on stderr.

    record: the tick's, as in retraining.jsonl, whether it stands there already or not.
    """
    notify = settings.notify
    if record.get("outcome") in notify.outcomes:
        try:
            if (url := _variable(notify.webhook_env) or notify.webhook) is not None:
                post(url, record, _variable(notify.signing_key_env), WAITS_S)
        except UndeliveredError as error:
            _warn(str(error))
    if notify.metrics_file is not None:
        try:
            metrics_file.write_metrics(notify.metrics_file, read_records(settings, record))
        except OSError as error:
            _warn(f"notify.metrics_file={notify.metrics_file} cannot be written: {error.strerror or error}")


def post(url: str, record: Mapping[str, Any], key: str | None = None, waits: Sequence[float] = ()) -> None:
    """POSTs a record as JSON. Raises UndeliveredError.

    waits: seconds before each further attempt, made after 429, 5xx and connections that fail.
    key: its HMAC-SHA256 over the body goes along as `X-Farebox-Signature: sha256=HEX`. A record may arrive twice
    where an answer was lost: `city` and `time` tell.
    """
    if not is_http(url):
        raise UndeliveredError(f"notify: the webhook {HTTP_RULE}")
    host = urllib.parse.urlsplit(url).hostname
    body = json.dumps(record).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "farebox"}
    if key is not None:
        headers[SIGNATURE] = "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    for wait in (*waits, None):
        fault, again = _attempt(urllib.request.Request(url, body, headers))
        if not fault:
            return
        if not again or wait is None:
            raise UndeliveredError(f"notify: the webhook at {host} did not take the record: {fault}")
        time.sleep(wait)


def _attempt(request: urllib.request.Request) -> tuple[str, bool]:
    """What went wrong, if anything, and whether another attempt may help."""
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


def read_records(settings: Settings, newest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All ticks of a city, `newest` last, whether it is in the file yet or not; lines torn by a kill are left out."""
    path = settings.runs_dir / RECORDS_FILE
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    found = [record for record in map(_record, lines) if record is not None]
    if not found or found[-1]["time"] != newest.get("time"):
        found.append(dict(newest))
    return found


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
        metrics_file.timestamp(record)
    except (ValueError, TypeError, KeyError):
        return None
    return record


def _variable(name: str | None) -> str | None:
    """An environment variable's value. Raises UndeliveredError where it is named and not set."""
    if name is None:
        return None
    if not os.environ.get(name):
        raise UndeliveredError(f"notify: the environment variable {name} must be set, got none")
    return os.environ[name]


def _warn(text: str) -> None:
    print(f"farebox: warning: {text}", file=sys.stderr)
