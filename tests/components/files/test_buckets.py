"""s3:// and minio:// against moto's server, an implementation of S3 on this machine: files, pushes, and ingest."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from throwaway import throwaway_python

from farebox.components.atomic_pusher import manifest, push
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.errors import GateError, InputError

pytestmark = pytest.mark.slow  # the server's environment, and TFX's import


def request(address: str, method: str = "GET") -> None:
    urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=20).close()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    """The address of a store with an empty bucket `bucket`."""
    python = throwaway_python(tmp_path_factory.mktemp("moto") / "venv", "moto[server]>=5,<6")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python.with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            answers_within(60, lambda: request(f"{address}/bucket", "PUT"))
            yield address
        finally:
            process.terminate()


def answers_within(seconds: float, call: Callable[[], None]) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < deadline, "moto_server does not answer"
            time.sleep(0.1)


@pytest.fixture
def bucket(server, monkeypatch, request, tmp_path) -> str:
    """An address in that bucket, of its own for each test, which this process may use."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    variables = {"AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    for name, value in {**variables, "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    return f"{getattr(request, 'param', 's3')}://bucket/{tmp_path.name}"


@pytest.mark.parametrize("bucket", ["s3", "minio"], indirect=True)
def test_tfxs_fileio_has_files_and_folders_there(bucket):
    from farebox.components.files.buckets import fileio

    with fileio.open(f"{bucket}/one.txt", "w") as file:
        file.write("é\n")
    with fileio.open(f"{bucket}/sub/two.bin", "wb") as file:
        file.write(b"123")
    assert fileio.open(f"{bucket}/one.txt").read() == "é\n" and fileio.stat(f"{bucket}/one.txt").length == 3
    with fileio.open(f"{bucket}/sub/two.bin", "rb") as file:
        file.seek(1)
        assert (file.read(1), file.read()) == (b"2", b"3")
    assert [*fileio.walk(bucket)] == [(bucket, ["sub"], ["one.txt"]), (f"{bucket}/sub", [], ["two.bin"])]
    assert fileio.glob(f"{bucket}/s?b/*.bin") == [f"{bucket}/sub/two.bin"] and fileio.isdir(f"{bucket}/sub")
    assert fileio.glob(f"{bucket}/one.txt") == [f"{bucket}/one.txt"] and fileio.glob(f"{bucket}/*.csv") == []
    with pytest.raises(OSError, match="exists already"):
        fileio.copy(f"{bucket}/one.txt", f"{bucket}/sub/two.bin")
    fileio.rename(f"{bucket}/one.txt", f"{bucket}/sub/two.bin", overwrite=True)
    assert fileio.listdir(bucket) == ["sub"] and fileio.open(f"{bucket}/sub/two.bin").read() == "é\n"
    fileio.rmtree(f"{bucket}/sub")
    assert not fileio.exists(f"{bucket}/sub") and fileio.listdir(f"{bucket}/sub") == []
    with pytest.raises(fileio.NotFoundError):
        fileio.stat(f"{bucket}/one.txt")
    with pytest.raises(fileio.NotFoundError):
        fileio.open(f"{bucket}/one.txt", "rb")


def test_what_the_store_refuses_is_one_line(bucket, monkeypatch):
    from farebox.components.files.buckets import fileio

    with pytest.raises(InputError, match="^s3://none/x must be an address that AWS_ENDPOINT_URL and AWS's credentials"):
        fileio.open("s3://none/x", "wb")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with pytest.raises(InputError, match="^AWS_ENDPOINT_URL must be set for minio:// addresses, such as"):
        fileio.exists("minio://bucket/x")


@pytest.mark.parametrize("bucket", ["s3", "minio"], indirect=True)
def test_versions_are_pushed_repaired_kept_and_refused_there(bucket):
    from farebox.components.atomic_pusher.object_store import ObjectStore
    from farebox.components.files.buckets import fileio

    store = ObjectStore(f"{bucket}/models/chicago")
    assert (push.latest_name(store), store.versions()) == (None, [])
    a, b, c = (push.push(bytes([n]) * 100, store, {}, PushSettings(keep=2), golden=b"{}") for n in range(3))
    assert store.versions() == sorted([b, c]) and push.latest_name(store) == c
    assert not manifest.faults(c, store.version(c)) and store.version(a) == {}
    fileio.remove(f"{store.base}/{c}/golden.json")
    assert push.push(bytes([2]) * 100, store, {}, PushSettings(keep=2), golden=b"{}") == c
    assert store.version(c)["golden.json"] == b"{}"
    store.write("HISTORY", b'{"named": ["%s"], "rolled_back": ["%s"]}' % (b.encode(), c.encode()))
    with pytest.raises(GateError, match=f"version {c} was rolled back in {bucket}"):
        push.push(bytes([2]) * 100, store, {})


def test_the_baseline_is_read_from_there(bucket, tmp_path):
    from tfx.utils import io_utils

    from farebox.components.atomic_pusher.object_store import store_at
    from farebox.components.baselines.latest_pushed import LatestPushedExecutor, LatestPushedSpec

    outputs = {key: [channel.type()] for key, channel in LatestPushedSpec.OUTPUTS.items()}
    for key, (artifact,) in outputs.items():
        artifact.uri = str(tmp_path / key)
    name = push.push(b"a model", store_at(f"{bucket}/models"), {}, statistics=b"of train")
    LatestPushedExecutor().Do({}, outputs, {"models_dir": f"{bucket}/models", "code_digest": ""})
    assert [file.read_bytes() for file in (tmp_path / "model").rglob("*tflite")] == [b"a model"]
    assert [file.read_bytes() for file in (tmp_path / "statistics").rglob("*.pb")] == [b"of train"]
    io_utils.copy_dir(f"{bucket}/models/{name}", str(tmp_path / "copied"))  # as Pusher does
    assert {file.name for file in (tmp_path / "copied").iterdir()} == {"fare.tflite", "manifest.json", "statistics.pb"}


def test_trips_are_found_and_read_there_as_they_are_here(bucket, tmp_path):
    """CSV, packed CSV and Parquet, in a tree; the same rows as from this machine's folder."""
    import gzip

    import pyarrow.parquet as pq
    from pyarrow import csv

    from farebox.components.files.buckets import fileio
    from farebox.components.trip_example_gen import reader
    from farebox.components.trip_example_gen.sources.reading import OpenFile, find_files, plan_chunks
    from farebox.components.trip_example_gen.sources.remote_files import file_system_of
    from farebox.pipeline.settings.load import load_settings

    settings = load_settings("chicago")
    (source,) = [file for file in find_files(settings.data) if file.endswith(".csv")][:1]
    lines = Path(source).read_bytes().splitlines(keepends=True)[:200]
    here = tmp_path / "trips"
    (here / "deep").mkdir(parents=True)
    (here / "a.csv").write_bytes(b"".join(lines))
    (here / "deep" / "b.csv.gz").write_bytes(gzip.compress(b"".join([lines[0], *lines[100:150]])))
    pq.write_table(csv.read_csv(here / "a.csv").slice(0, 50), here / "c.parquet")
    for file in here.rglob("*.*"):
        with fileio.open(f"{bucket}/trips/{file.relative_to(here)}", "wb") as copy:
            copy.write(file.read_bytes())
    found = find_files(f"{bucket}/trips", (), file_system_of(bucket))
    assert [file.removeprefix(bucket) for file in found] == ["/trips/a.csv", "/trips/c.parquet", "/trips/deep/b.csv.gz"]

    def trips(files: list[str], open_file: OpenFile) -> list[dict]:
        chunks = plan_chunks(files, settings.city, open_file=open_file)
        parts = [part for chunk in chunks for part in reader.read_chunk(chunk, settings.city, open_file)]
        return [part.examples.to_pydict() for part in parts]

    expected = trips(find_files(str(here)), open)
    assert sum(len(part["fare"]) for part in expected) > 200 and trips(found, fileio.open) == expected
