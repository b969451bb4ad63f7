"""`farebox submit --runner kubeflow` with kfp's client against a local server of its API: what arrives and is shown."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
from pathlib import Path

import pytest


def test_a_run_arrives_with_spec_parameters_and_root_and_its_nodes_are_shown(to_kubeflow, kubeflow, spec_file):
    code, out, err = to_kubeflow(spec_file(), "--parameter=rows=5", "--parameter=epochs=7")
    assert (code, err) == (0, "")
    (run,) = kubeflow.kept("runs")
    assert run["runtime_config"] == {
        "parameters": {"epochs": 7, "budget": 0.5, "span": "1", "rows": 5},
        "pipeline_root": "gs://bucket/runs",
    }
    assert run["display_name"].startswith("farebox-toy-abc1234-") and "commit abc1234" in run["description"]
    (version,) = kubeflow.kept("versions")
    assert version["pipeline_spec"] == json.loads(Path(spec_file()).read_text())["pipelineSpec"]
    shown = [line.split()[1:] for line in out.splitlines()[1:-1]]
    assert shown == [
        ["TripExampleGen", "running"],
        ["TripExampleGen", "succeeded"],  # from the cache: its inner task alone is skipped
        ["Trainer", "running"],
        ["Trainer", "succeeded"],
        ["Pusher", "running"],
        ["Pusher", "succeeded"],
    ]
    assert out.splitlines()[-1] == f"{run['run_id']} succeeded"


def test_pipeline_version_and_experiment_are_made_once(to_kubeflow, kubeflow, spec_file):
    for rows in (5, 6):
        assert to_kubeflow(spec_file(), f"--parameter=rows={rows}", "--no-wait")[0] == 0
    assert to_kubeflow(spec_file(image="farebox:def5678"), "--parameter=rows=5", "--no-wait")[0] == 0
    assert [row["display_name"] for row in kubeflow.kept("experiments")] == ["farebox"]
    (pipeline,) = kubeflow.kept("pipelines")
    versions = kubeflow.kept("versions")
    assert {row["pipeline_id"] for row in versions} == {pipeline["pipeline_id"]}
    assert [row["display_name"].partition("-")[0] for row in versions] == ["abc1234", "def5678"]
    used = [run["pipeline_version_reference"]["pipeline_version_id"] for run in kubeflow.kept("runs")]
    assert used == [versions[0]["pipeline_version_id"]] * 2 + [versions[1]["pipeline_version_id"]]


@pytest.mark.parametrize("path", ["/experiments$", "/pipelines$", "/upload_version$"])
@pytest.mark.parametrize("what", ["lost", "drop", 503])
def test_what_a_run_needs_is_made_once_however_often_it_is_asked_for(to_kubeflow, kubeflow, spec_file, path, what):
    kubeflow.fail("POST", path, what)
    code, _, err = to_kubeflow(spec_file(), "--parameter=rows=5")
    assert code == 0, err
    assert {kind: len(rows) for kind, rows in kubeflow.rows.items()} == dict.fromkeys(
        ("experiments", "pipelines", "versions", "runs"), 1
    )


@pytest.mark.parametrize("is_2_0", [False, True])
def test_what_someone_else_uploads_meanwhile_is_taken(to_kubeflow, kubeflow, spec_file, is_2_0):
    """409 after it was looked for in vain; 2.0 says 500."""
    kubeflow.is_2_0 = is_2_0
    spec = json.loads(Path(spec_file()).read_text())["pipelineSpec"]

    def rival() -> None:
        name, pipeline_id = kubeflow.requests[-1].query["name"], kubeflow.kept("pipelines")[0]["pipeline_id"]
        row = {"display_name": name, "pipeline_spec": spec, "pipeline_id": pipeline_id}
        kubeflow._named("versions", "pipeline_version_id", row)

    kubeflow.before["POST upload_version"] = rival
    assert to_kubeflow(spec_file(), "--parameter=rows=5")[0] == 0
    assert len(kubeflow.seen("POST", "upload_version")) == 1


def test_a_send_that_arrives_late_after_all_is_stopped_while_the_run_is_watched(to_kubeflow, kubeflow, spec_file):
    """The first send gets no answer and is not there when it is looked for; it arrives when the second one runs."""
    kubeflow.fail("POST", "/runs$", "drop")

    def arrives() -> None:
        kubeflow._new("runs", "run_id", {**kubeflow.seen("POST", "/runs$")[0].json, "state": "PENDING"})

    def watched() -> None:
        kubeflow.before[f"GET {kubeflow.kept('runs')[0]['run_id']}"] = arrives

    kubeflow.before["POST runs"] = lambda: kubeflow.before.update({"POST runs": watched_next})

    def watched_next() -> None:
        kubeflow.before["GET runs"] = watched

    code, out, err = to_kubeflow(spec_file(), "--parameter=rows=5")
    assert code == 0, err
    first, second = kubeflow.kept("runs")
    assert (first["state"], second["state"]) == ("SUCCEEDED", "CANCELING")
    assert f"{second['run_id']} was a second run of {first['display_name']} and is stopped" in out


def test_namespace_goes_with_what_is_in_one(to_kubeflow, kubeflow, spec_file):
    kubeflow.multi_user = True
    code, _, err = to_kubeflow(spec_file(), "--parameter=rows=5")
    assert code == 2 and "give your namespace" in err and err.count("\n") == 1
    assert to_kubeflow(spec_file(), "--parameter=rows=5", "--namespace=team-a")[0] == 0
    assert {kubeflow.kept(kind)[0]["namespace"] for kind in ("experiments", "pipelines")} == {"team-a"}


def test_a_login_page_is_no_api(to_kubeflow, kubeflow, spec_file):
    kubeflow.fail("GET", "/experiments$", 200, "<html>log in</html>", times=9)
    code, _, err = to_kubeflow(spec_file(), "--parameter=rows=5")
    assert code == 2 and "answers with a web page, not with an API; does it need a login?" in err


def test_a_spec_for_vertex_is_not_sent(to_kubeflow, kubeflow, spec_file):
    code, _, err = to_kubeflow(spec_file("2.0.0"), "--parameter=rows=5")
    assert (
        code == 2 and "schemaVersion=2.0.0 must be 2.1.0 for Kubeflow Pipelines; compile it for runner=kubeflow" in err
    )
    assert kubeflow.rows == {}


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("https://me:hunter2@kubeflow.example.org", "--host=https://kubeflow.example.org must hold no user, password"),
        ("https://kubeflow.example.org?token=hunter2", "--host=https://kubeflow.example.org must hold no user"),
        ("ftp://kubeflow.example.org", "--host=ftp://kubeflow.example.org must be an address"),
        ("https://", "--host=https:// must be an address"),
    ],
)
@pytest.mark.usefixtures("clean_environment")
def test_a_wrong_host_is_one_line_without_its_password(call, spec_file, host, message):
    code, out, err = call("submit", spec_file(), "--parameter=rows=5", f"--host={host}")
    assert code == 2 and err.startswith(f"farebox: {message}") and "hunter2" not in out + err


@pytest.mark.usefixtures("clean_environment")
def test_a_host_must_be_given(call, spec_file):
    assert call("submit", spec_file(), "--parameter=rows=5")[2].startswith("farebox: --host must be given")


def test_a_token_file_is_read_anew_for_each_request(to_kubeflow, kubeflow, spec_file, tmp_path, monkeypatch):
    """Kubernetes renews it while a run is watched."""
    file = tmp_path / "token"
    file.write_text("first\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    kubeflow.tokens = ("first", "second")
    kubeflow.before["POST runs"] = lambda: file.write_text("second\n")
    code, _, err = to_kubeflow(spec_file(), "--parameter=rows=5")
    assert code == 0, err
    sent = [(request.method, request.path.rpartition("/")[2]) for request in kubeflow.requests].index(("POST", "runs"))
    tokens = [request.headers["authorization"] for request in kubeflow.requests]
    assert set(tokens[: sent + 1]) == {"Bearer first"} and set(tokens[sent + 1 :]) == {"Bearer second"}


@pytest.mark.parametrize("name", ["KF_PIPELINES_TOKEN", "KF_PIPELINES_SA_TOKEN_PATH"])
def test_a_token_that_the_server_repeats_is_not_shown(*, to_kubeflow, kubeflow, spec_file, tmp_path, monkeypatch, name):
    (tmp_path / "token").write_text("tiger-77\n")
    monkeypatch.setenv(name, "tiger-77" if name == "KF_PIPELINES_TOKEN" else str(tmp_path / "token"))
    kubeflow.tokens = ("another",)
    code, out, err = to_kubeflow(spec_file(), "--parameter=rows=5")
    assert code == 2 and "401 Unauthenticated: Bearer *** is no valid token: ***; put" in err
    assert kubeflow.requests[-1].headers["authorization"] == "Bearer tiger-77" and "tiger-77" not in out + err


def test_a_token_file_that_is_not_there_is_one_line(to_kubeflow, spec_file, monkeypatch):
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", "/nowhere/token")
    code, _, err = to_kubeflow(spec_file(), "--parameter=rows=5")
    assert (code, err) == (2, "farebox: KF_PIPELINES_SA_TOKEN_PATH=/nowhere/token must be a file that can be read\n")


@pytest.fixture
def certificate(tmp_path) -> Path:
    """Of 127.0.0.1, signed by itself, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / "certificate.pem"
    file.write_bytes(built.public_bytes(pem) + secret)
    return file


def test_a_certificate_that_is_not_trusted_is_one_line_at_once(call, kubeflow, spec_file, certificate, monkeypatch):
    """And is trusted where SSL_CERT_FILE, OpenSSL's own variable, names it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    kubeflow.http.socket = context.wrap_socket(kubeflow.http.socket, server_side=True)
    arguments = (
        "submit",
        spec_file(),
        "--parameter=rows=5",
        f"--host={kubeflow.url.replace('http', 'https')}",
        "--no-wait",
    )
    code, out, err = call(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "certificate verify failed" in err and "; set SSL_CERT_FILE to a file of the authorities to trust" in err
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert call(*arguments)[0] == 0


@pytest.mark.slow
def test_the_real_graph_arrives_whole(to_kubeflow, kubeflow, tmp_path):
    """As `farebox compile` writes it; the server parses it into the proto."""
    from farebox import compile  # noqa: A004 - its public name
    from farebox.pipeline.settings.load import load_settings

    cluster = ["cluster.root=gs://bucket/farebox", "cluster.image=farebox:abc1234"]
    settings = load_settings("chicago", "gs://bucket/trips", overrides=cluster)
    compile(settings, path=tmp_path / "spec.json")
    code, _, err = to_kubeflow(str(tmp_path / "spec.json"), "--no-wait")
    assert code == 0, err
    (version,) = kubeflow.kept("versions")
    assert version["pipeline_spec"] == json.loads((tmp_path / "spec.json").read_text())["pipelineSpec"]


@pytest.mark.parametrize("what", ["lost", "drop", 503])
def test_a_second_run_is_stopped_once_however_often_it_is_asked_for(to_kubeflow, kubeflow, spec_file, what):
    """The service refuses to stop what is being stopped."""

    def rival() -> None:
        kubeflow._new("runs", "run_id", {**kubeflow.requests[-1].json, "state": "PENDING", "created_at": "2027"})

    kubeflow.before["POST runs"] = rival
    kubeflow.fail("POST", ":terminate$", what)
    code, out, err = to_kubeflow(spec_file(), "--parameter=rows=5")
    assert (code, err) == (0, ""), err
    assert sorted(run["state"][:6] for run in kubeflow.kept("runs")) == ["CANCEL", "SUCCEE"]
    assert out.count("was a second run of") == 1


def test_a_refusal_to_stop_a_run_that_goes_on_is_an_error(kubeflow):
    from farebox.components.errors import InputError
    from farebox.pipeline.cluster.kubeflow import Kubeflow
    from farebox.pipeline.cluster.service import ClusterTarget

    service = Kubeflow(ClusterTarget("kubeflow", host=kubeflow.url, patience=1), print)
    kubeflow.keep("runs", "run-1", {"run_id": "run-1", "display_name": "x", "state": "RUNNING"})
    kubeflow.fail("POST", ":terminate$", 400)
    with pytest.raises(InputError, match="400 out of order"):
        service.caller.patiently(service.stop, "run-1")


def test_a_long_tag_leaves_the_versions_name_short_enough(to_kubeflow, kubeflow, spec_file):
    tag = "v" * 128
    assert to_kubeflow(spec_file(image=f"farebox:{tag}"), "--parameter=rows=5", "--no-wait")[0] == 0
    (version,) = kubeflow.kept("versions")
    assert version["display_name"].rpartition("-")[0] == tag[:64]


def test_an_experiments_name_that_is_too_long_sends_nothing(to_kubeflow, kubeflow, spec_file):
    """The service counts bytes and calls it an internal error."""
    code, _, err = to_kubeflow(spec_file(), "--parameter=rows=5", f"--experiment={'é' * 65}")
    assert code == 2 and err.endswith("must be 1 to 128 bytes\n") and kubeflow.requests == []


@pytest.mark.parametrize("name", ["Taxi", "taxi fares", "-taxi", "t" * 129])
def test_a_pipelines_name_that_kubeflow_refuses_is_not_sent(to_kubeflow, kubeflow, spec_file, name):
    file = Path(spec_file())
    job = json.loads(file.read_text())
    job["pipelineSpec"]["pipelineInfo"]["name"] = name
    file.write_text(json.dumps(job))
    code, _, err = to_kubeflow(str(file), "--parameter=rows=5")
    assert code == 2 and f"pipelineInfo.name={name} must be 1 to 128 of a-z, 0-9 and -" in err
    assert kubeflow.rows == {}
