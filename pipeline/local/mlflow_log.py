"""The log of a run on an MLflow server, by its REST API: MLflow itself is not needed here.

https://mlflow.org/docs/latest/api_reference/rest-api.html; runs on MLflow 3 and, as far as its API is the same, on 2.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farebox.components.errors import InputError
from farebox.components.reporter import verdict
from farebox.components.reporter.figures import PAGE_FILE, Figures
from farebox.pipeline.local import report, tensorboard_logs
from farebox.pipeline.local.folder import SUMMARY_FILE
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.settings.notify import HTTP_RULE, is_http

if TYPE_CHECKING:
    from farebox.pipeline.local.meter import Cost

URI, TOKEN, USER, PASSWORD = (f"MLFLOW_TRACKING_{name}" for name in ("URI", "TOKEN", "USERNAME", "PASSWORD"))
API, ARTIFACTS, PROXY = "api/2.0/mlflow", "api/2.0/mlflow-artifacts/artifacts", "mlflow-artifacts:/"
TIMEOUT_S = 20.0
BATCH, PARAMS, VALUE = 1000, 100, 500  # what a server takes at once: metrics, parameters, characters of a value
MISSING = "RESOURCE_DOES_NOT_EXIST"


def write(
    settings: Settings, run_id: str, figures: Figures, produced: Mapping[str, list[Any]], costs: Mapping[str, Cost]
) -> None:
    """Logs a finished run: settings as parameters, figures and learning curves as metrics, page and summary as files.

    Raises InputError if the server cannot be reached or refuses.
    """
    server = Server(settings.tracking.uri or os.environ.get(URI, ""))
    tags = tags_of(settings, run_id, figures)
    experiment = server.experiment(settings.tracking.experiment or f"farebox-{settings.city.name}")
    started = time.time() - sum(cost.wall_s for cost in costs.values())
    info = server.call("runs/create", {
        "experiment_id": experiment, "run_name": run_id, "start_time": round(started * 1000), "tags": tags,
    })["run"]["info"]  # fmt: skip
    now, run = round(time.time() * 1000), info["run_id"]
    metrics = list(metrics_of(figures, produced, costs, now))
    chosen = [{"key": key, "value": report.as_yaml(value)[:VALUE]} for key, value, _ in report.differing(settings)]
    for at in range(0, len(chosen), PARAMS):
        server.call("runs/log-batch", {"run_id": run, "params": chosen[at : at + PARAMS]})
    for at in range(0, len(metrics), BATCH):
        server.call("runs/log-batch", {"run_id": run, "metrics": metrics[at : at + BATCH]})
    server.upload(info["artifact_uri"], [settings.runs_dir / run_id / name for name in (PAGE_FILE, SUMMARY_FILE)])
    server.call("runs/update", {"run_id": run, "status": "FINISHED", "end_time": now})


def tags_of(settings: Settings, run_id: str, figures: Figures) -> list[dict[str, str]]:
    """Facts by which a list of runs is filtered."""
    facts = {
        "farebox.city": settings.city.name,
        "farebox.run_id": run_id,
        "farebox.outcome": "shipped" if verdict.is_shipped(figures) else "refused",
        "farebox.version": Path(figures.pushed).name if figures.pushed else "",
        "mlflow.note.content": verdict.sentence(figures, settings.city.currency),
    }
    return [{"key": key, "value": value} for key, value in facts.items() if value]


def metrics_of(
    figures: Figures, produced: Mapping[str, list[Any]], costs: Mapping[str, Cost], now: int
) -> Iterator[dict[str, Any]]:
    """The scalars of TensorBoard's logs, under names that MLflow takes."""
    for log, scalars in tensorboard_logs.scalars_by_log(figures, produced, costs).items():
        for tag, step, value in scalars:
            name = re.sub(r"[^\w./: -]", "_", tag if log == tensorboard_logs.RUN else f"{log}/{tag}")
            yield {"key": name, "value": float(value), "timestamp": now, "step": step}


class Server:
    """An MLflow server at an http(s) address."""

    def __init__(self, uri: str) -> None:
        if not is_http(uri):
            raise InputError(f"tracking.uri={uri or 'null'} {HTTP_RULE}, or {URI} must be set to one")
        self.uri = uri.rstrip("/")

    def experiment(self, name: str) -> str:
        """The id of an experiment, which is made if needed."""
        query = urllib.parse.urlencode({"experiment_name": name})
        found = self._answer(f"{API}/experiments/get-by-name?{query}", None, "GET", allowed=MISSING)
        if found is not None:
            return str(found["experiment"]["experiment_id"])
        return str(self.call("experiments/create", {"name": name})["experiment_id"])

    def call(self, what: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a POST."""
        return self._answer(f"{API}/{what}", json.dumps(content).encode(), "POST") or {}

    def upload(self, artifact_uri: str, files: Sequence[Path]) -> None:
        """Puts files beside a run, if the server keeps artifacts itself: other stores want their own clients."""
        if artifact_uri.startswith(PROXY):
            folder = urllib.parse.quote(artifact_uri.removeprefix(PROXY).strip("/"))
            for file in files:
                if file.is_file():
                    self._answer(f"{ARTIFACTS}/{folder}/{file.name}", file.read_bytes(), "PUT")

    def _answer(self, path: str, body: bytes | None, method: str, *, allowed: str = "") -> dict[str, Any] | None:
        """The answer as JSON; None for the error that is allowed. Raises InputError for any other."""
        kind = "application/octet-stream" if method == "PUT" else "application/json"
        headers = {"Content-Type": kind, "User-Agent": "farebox", **authorization()}
        request = urllib.request.Request(f"{self.uri}/{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return json.loads(answer.read() or b"{}")  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            with error:
                code, text = told(error.read())
            if allowed and code == allowed:
                return None
            raise InputError(f"tracking.uri={self.uri} answers HTTP {error.code}: {text or error.reason}") from error
        except (OSError, ValueError) as error:  # URLError is an OSError; ValueError: no JSON
            reason = getattr(error, "reason", error)
            raise InputError(f"tracking.uri={self.uri} must be an MLflow server, got {reason}") from error


def authorization() -> dict[str, str]:
    """The header of MLflow's own variables for a token, or for a name and a password; none without them."""
    if token := os.environ.get(TOKEN):
        return {"Authorization": f"Bearer {token}"}
    if user := os.environ.get(USER):
        pair = f"{user}:{os.environ.get(PASSWORD, '')}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def told(body: bytes) -> tuple[str, str]:
    """Code and message of an answer that tells of an error."""
    try:
        content = json.loads(body)
        return str(content.get("error_code", "")), str(content.get("message", ""))[:VALUE]
    except (ValueError, AttributeError):
        return "", ""
