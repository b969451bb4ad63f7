"""The fake services, a toy spec, and `farebox submit` to each service, without this machine's credentials."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_kubeflow import FakeKubeflow
from fake_vertex import FakeVertex
from toy_spec import toy_job


@pytest.fixture
def spec_file(tmp_path) -> Callable[..., str]:
    def write(schema_version: str = "2.1.0", **options: Any) -> str:
        file = tmp_path / f"spec-{schema_version}.json"
        aside = tmp_path / f"{uuid.uuid4()}.json"
        aside.write_text(json.dumps(toy_job(schema_version, **options)))
        aside.replace(file)  # never half written: some tests submit it twice at once
        return str(file)

    return write


@pytest.fixture
def clean_environment(monkeypatch, tmp_path) -> None:
    """Hides this machine's credentials, the folders for them, and the project's name."""
    names = (
        "KF_PIPELINES_TOKEN", "KF_PIPELINES_SA_TOKEN_PATH", "KF_PIPELINES_ENDPOINT", "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_REGION",
    )  # fmt: skip
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "home"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # no request of google-auth leaves the machine
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def kubeflow(clean_environment) -> Iterator[FakeKubeflow]:
    server = FakeKubeflow()
    yield server
    server.close()


@pytest.fixture(scope="session")
def private_key():
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def key_file(private_key, tmp_path) -> Path:
    """A service account's key file, as Google Cloud's console writes it."""
    from cryptography.hazmat.primitives import serialization

    pem = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    content = {
        "type": "service_account", "project_id": "acme", "private_key_id": "k1", "private_key": pem.decode(),
        "client_email": "robot@acme.iam.gserviceaccount.com", "client_id": "1",
        "token_uri": "http://127.0.0.1:9/token",
    }  # fmt: skip
    file = tmp_path / "key.json"
    file.write_text(json.dumps(content))
    return file


@pytest.fixture
def vertex(clean_environment, private_key, key_file, monkeypatch) -> Iterator[FakeVertex]:
    from cryptography.hazmat.primitives import serialization

    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
    public = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    server = FakeVertex(public)
    yield server
    server.close()


@dataclasses.dataclass(frozen=True)
class Remote:
    """One of the two services: its server, `farebox submit` to it, its target; kind and path of its runs."""

    server: Any
    submit: Callable[..., tuple[int, str, str]]
    target: Any
    kind: str
    path: str

    @property
    def runs(self) -> list[dict[str, Any]]:
        return self.server.kept(self.kind)

    @staticmethod
    def id_of(row: dict[str, Any]) -> str:
        return row.get("run_id") or row["name"].rpartition("/")[2]


@pytest.fixture(params=["kubeflow", "vertex"])
def remote(request) -> Remote:
    from farebox.pipeline.cluster.service import ClusterTarget

    server = request.getfixturevalue(request.param)
    submit = request.getfixturevalue(f"to_{request.param}")
    if request.param == "kubeflow":
        return Remote(server, submit, ClusterTarget("kubeflow", host=server.url, patience=3), "runs", "/runs$")
    target = ClusterTarget("vertex", project="acme", region="us-central1", endpoint=server.url, patience=3)
    return Remote(server, submit, target, "jobs", "/pipelineJobs$")


@pytest.fixture
def to_kubeflow(kubeflow, call):
    def run(*arguments: str) -> tuple[int, str, str]:
        return call("submit", "--runner=kubeflow", f"--host={kubeflow.url}", "--poll=0.01", "--patience=3", *arguments)

    return run


@pytest.fixture
def to_vertex(vertex, call):
    def run(*arguments: str) -> tuple[int, str, str]:
        place = "--runner=vertex", "--project=acme", "--region=us-central1", f"--endpoint={vertex.url}"
        return call("submit", *place, "--poll=0.01", "--patience=3", *arguments)

    return run
