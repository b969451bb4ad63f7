"""After a tick: a real server takes the POST, Prometheus' own parser reads the file, and each fault is one line."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import hmac
import json
import socket
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from farebox.pipeline.retraining import metrics_file, notify
from farebox.pipeline.retraining.journal import JOURNAL_FILE
from farebox.pipeline.settings.load import Settings, SettingsError, load_settings

RECORD = {
    "time": "2026-11-25T03:00:04Z", "city": "chicago", "decision": "retrain", "causes": ["drift"],
    "reasons": ["fare moved by 0.05"],
    "spans": {"new": [[8, 1]], "window": [[7, 1], [8, 1]], "late": [], "missing": [6], "refused": [[5, 2]]},
    "drift": {"fare": 0.05, "pickup_hour": 0.25}, "run_id": "20261125-030004-000", "outcome": "pushed",
    "version": "33c120b730eb", "rmse": 3.71, "seconds": 61.5,
}  # fmt: skip
NOON = int(datetime.datetime(2026, 11, 25, 12, 0, 4, tzinfo=datetime.timezone.utc).timestamp())
SECRET = "T0KEN"


@pytest.fixture
def settings_with(tmp_path, monkeypatch):
    """Builds settings of chicago with these of `notify`; no proxy is between us and a server."""
    monkeypatch.setenv("no_proxy", "*")

    def build(**notify: object) -> Settings:
        settings = load_settings("chicago", None, str(tmp_path))
        return dataclasses.replace(settings, notify=dataclasses.replace(settings.notify, **notify))

    return build


def refuse(line: str) -> None:
    raise AssertionError(line)


def warnings_of(settings: Settings) -> list[str]:
    warnings: list[str] = []
    notify.after_tick(settings, RECORD, warnings.append)
    return warnings


def history(settings: Settings, *records: dict | str) -> None:
    settings.runs_dir.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (settings.runs_dir / JOURNAL_FILE).write_text("\n".join(lines) + "\n")


def test_the_record_arrives_as_json(settings_with, capfd, listening):
    with listening() as hook:
        notify.after_tick(settings_with(webhook=hook.url), RECORD, refuse)
    ((path, headers, body),) = hook.taken
    assert path == f"/{SECRET}?key={SECRET}"
    assert (json.loads(body), headers["Content-Type"], headers["User-Agent"]) == (RECORD, "application/json", "farebox")
    assert notify.SIGNATURE not in headers
    assert capfd.readouterr() == ("", "")


def test_address_and_key_from_the_environment(settings_with, monkeypatch, capfd, listening):
    with listening() as hook:
        monkeypatch.setenv("HOOK", hook.url)
        monkeypatch.setenv("KEY", "k3y")
        notify.after_tick(settings_with(webhook_env="HOOK", signing_key_env="KEY"), RECORD, refuse)
    ((_, headers, body),) = hook.taken
    assert headers["X-Farebox-Signature"] == "sha256=" + hmac.new(b"k3y", body, hashlib.sha256).hexdigest()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("answers", [(503, 500), ("drop", 429), ("mumble", 502)])
def test_tries_again(answers, monkeypatch, listening):
    monkeypatch.setenv("no_proxy", "*")
    with listening(*answers) as hook:
        notify.post(hook.url, RECORD, waits=(0, 0))
    assert [json.loads(body) for _, _, body in hook.taken] == [RECORD] * 3


@pytest.mark.parametrize(
    ("answers", "attempts", "fault"),
    [
        ([404], 1, "HTTP 404"),
        ([401], 1, "HTTP 401"),
        ([302], 1, "HTTP 302"),  # as a GET it would be lost, and its target is not in the settings
        ([307], 1, "HTTP 307"),
        ([500] * 9, 3, "HTTP 500"),
        (["drop"] * 9, 3, "Remote end closed connection without response"),
        (["mumble"] * 9, 3, "BadStatusLine"),
    ],
)
def test_gives_up(answers, attempts, fault, monkeypatch, listening):
    monkeypatch.setenv("no_proxy", "*")
    with listening(*answers) as hook, pytest.raises(notify.UndeliveredError) as caught:
        notify.post(hook.url, RECORD, waits=(0, 0))
    assert str(caught.value) == f"notify: the webhook at 127.0.0.1 did not take the record: {fault}"
    assert len(hook.taken) == attempts


def test_a_server_that_never_answers(monkeypatch):
    """It accepts the connection, and that is all."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(notify, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(notify.UndeliveredError, match=": timed out$"):
        notify.post(f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}", RECORD, waits=(0,))


def test_a_fault_is_one_line_without_the_secret(settings_with, monkeypatch, capfd):
    """Nobody listens; a variable that is missing; an address in it that is none; a folder that is none."""
    monkeypatch.setattr(notify, "WAITS_S", ())
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    cases = [
        (
            settings_with(webhook=f"http://127.0.0.1:{port}/{SECRET}"),
            "the webhook at 127.0.0.1 did not take the record: ",
        ),
        (settings_with(webhook_env="HOOK"), "the environment variable HOOK must be set, got none"),
        (
            settings_with(metrics_file="gone/x.prom"),
            "metrics_file=gone/x.prom cannot be written: No such file or directory",
        ),
    ]
    for settings, line in cases:
        (warning,) = warnings_of(settings)
        assert warning.startswith("notify") and line in warning
        assert (warning.count("\n"), SECRET in warning) == (0, False)
    for address in (f"ftp://h/{SECRET}", f"https://u:{SECRET}@h/", f"http://h/{SECRET} x", f"http://h:x/{SECRET}"):
        monkeypatch.setenv("HOOK", address)
        (warning,) = warnings_of(settings_with(webhook_env="HOOK"))
        assert "must be an http:// or https:// add" in warning
        assert (warning.count("\n"), SECRET in warning) == (0, False)
    assert capfd.readouterr() == ("", "")


def test_only_the_outcomes_asked_for(settings_with, listening):
    with listening() as hook:
        settings = settings_with(webhook=hook.url, outcomes=("refused", "failed"))
        for outcome in ("pushed", "kept", "refused"):
            notify.after_tick(settings, {**RECORD, "outcome": outcome}, refuse)
    assert [json.loads(body)["outcome"] for _, _, body in hook.taken] == ["refused"]


def samples(path: Path) -> dict[tuple[str, ...], float]:
    """By (name, further labels' values); each has the city."""
    values = {}
    for family in text_string_to_metric_families(path.read_text()):
        assert family.documentation and family.samples, family.name
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("city") == "chicago"
            values[(sample.name.removeprefix("farebox_"), *labels.values())] = sample.value
    return values


def test_metrics_of_a_history(settings_with, tmp_path, capfd):
    """Pushed, kept, torn, refused: each figure from the record that it belongs to."""
    settings = settings_with(metrics_file=str(tmp_path / "farebox.prom"))
    kept = {**RECORD, "time": "2026-11-25T12:00:04+00:00", "outcome": "kept", "rmse": None, "drift": None}
    spans = {"new": [], "window": [[8, 1]], "late": [[6, 1]], "missing": [], "refused": [[5, 2], [4, 1]]}
    refused = {**kept, "time": "2026-11-26T12:00:04.500+00:00", "outcome": "refused", "spans": spans, "seconds": 7.25}
    history(settings, RECORD, kept, '{"time": "2026-11', "[]", '{"time": "soon"}', refused)
    notify.after_tick(settings, refused, refuse)
    assert samples(tmp_path / "farebox.prom") == {
        ("last_tick_timestamp_seconds",): NOON + 86400.5,
        ("last_success_timestamp_seconds",): NOON,
        ("tick_duration_seconds",): 7.25,
        ("model_pushed_timestamp_seconds",): NOON - 9 * 3600,
        ("model_rmse",): 3.71,
        ("spans_window",): 1, ("spans_missing",): 0, ("spans_late",): 1, ("spans_refused",): 2, ("spans_left",): 0,
        ("ticks_total", "pushed"): 1, ("ticks_total", "kept"): 1,
        ("ticks_total", "refused"): 1, ("ticks_total", "failed"): 0,
        ("drift_distance", "fare"): 0.05, ("drift_distance", "pickup_hour"): 0.25,
    }  # fmt: skip
    assert [path.name for path in tmp_path.glob("*prom*")] == ["farebox.prom"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("is_recorded", [True, False])
def test_metrics_of_a_first_tick_that_failed(settings_with, tmp_path, is_recorded):
    """Nothing was ever pushed: there is no success, model or distance, rather than zeros.

    A tick without a record in the journal does not count: a counter must not fall when the next one is written.
    """
    record = {**RECORD, "outcome": "failed", "rmse": None, "drift": None, "spans": None, "version": None}
    settings = settings_with(metrics_file=str(tmp_path / "farebox.prom"))
    if is_recorded:
        history(settings, record)
    notify.after_tick(settings, record, refuse)
    assert samples(tmp_path / "farebox.prom") == {
        ("last_tick_timestamp_seconds",): NOON - 9 * 3600, ("tick_duration_seconds",): 61.5,
        ("spans_window",): 0, ("spans_missing",): 0, ("spans_late",): 0, ("spans_refused",): 0, ("spans_left",): 0,
        ("ticks_total", "failed"): int(is_recorded),
        **{("ticks_total", outcome): 0 for outcome in ("pushed", "kept", "refused")},
    }  # fmt: skip


def test_a_new_tick_replaces_the_file(tmp_path):
    """A reader that opened the old one keeps it whole."""
    path = tmp_path / "farebox.prom"
    metrics_file.write_metrics(str(path), RECORD, [RECORD])
    with path.open() as reader:
        metrics_file.write_metrics(str(path), {**RECORD, "seconds": 1.0}, [RECORD])
        assert 'farebox_tick_duration_seconds{city="chicago"} 61.5' in reader.read()
    assert samples(path)["tick_duration_seconds",] == 1.0


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("notify.webhook=ftp://h/T0KEN", "notify.webhook must be an http:// or https:// address of ASCII characters"),
        ("notify.webhook=https://u:T0KEN@h/", "notify.webhook must be an http:// or https:// address of ASCII char"),
        ("notify.webhook=http://h:99999/T0KEN", "notify.webhook must be an http:// or https:// address of ASCII char"),
        ("notify.webhook=http://[T0KEN/", "notify.webhook must be an http:// or https:// address of ASCII characters"),
        ("notify.webhook=http://h/T0KENß", "notify.webhook must be an http:// or https:// address of ASCII characters"),
        ("notify.webhook_env=https://h/T0KEN", "notify.webhook_env must be an environment variable's name, not its"),
        ("notify.signing_key_env=T0KEN-", "notify.signing_key_env must be an environment variable's name, not its"),
        ("notify.signing_key_env=KEY", "notify.signing_key_env=KEY must go with a webhook"),
        ("notify.metrics_file=x.txt", "notify.metrics_file=x.txt must end in .prom"),
        ("notify.outcomes=[won]", "notify.outcomes.0=won must be 'pushed', 'refused', 'failed' or 'kept'"),
    ],
)
def test_settings_refuse(override, text):
    with pytest.raises(SettingsError) as caught:
        load_settings("chicago", None, overrides=[override])
    assert text in str(caught.value) and SECRET not in str(caught.value)


def test_one_address_only():
    with pytest.raises(SettingsError, match="notify.webhook_env=H must be left out if notify.webhook is given"):
        load_settings("chicago", None, overrides=["notify.webhook=http://h/", "notify.webhook_env=H"])


def test_settings_do_not_show_the_address(settings_with):
    assert SECRET not in repr(settings_with(webhook=f"https://h/{SECRET}"))
