"""MLMD on real PostgreSQL and MariaDB servers, started on loopback: who is let in, many at once, whole runs."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farebox.components.errors import InputError
from farebox.pipeline.metadata import connection as database
from farebox.pipeline.settings.load import Settings, load_settings
from farebox.pipeline.settings.metadata import MetadataSettings

FAREBOX = Path(sys.executable).with_name("farebox")
KINDS = ("mysql", "postgresql")
PASSWORD, ADMIN_PASSWORD = "s3cret-of-farebox", "of-the-admin"  # found nowhere else
LACKING = "no {} on this machine: `make test-system`, as root on Debian or Ubuntu, installs what the tests need"
FEW_EPOCHS = (
    "training.epochs=15", "reducer.fine_tune_epochs=3", "pruner.ramp_epochs=2", "pruner.recover_epochs=3",
    "gates.max_ratio_to_yardstick=1.2",  # on 590 trips, after 15 of 40 epochs
)  # fmt: skip
QUITO = """
city:
  name: quito
  columns: {fare: total, pickup_longitude: x0, pickup_latitude: y0, dropoff_longitude: x1, dropoff_latitude: y1,
            passenger_count: people, pickup_time: started}
  time_format: epoch
  times: local
  box: {west: -78.62, east: -78.33, south: -0.40, north: 0.02}
  fare: {min: 1.5, max: 100}
"""

# Servers


@dataclasses.dataclass(frozen=True)
class Server:
    """A server that listens on 127.0.0.1; its administrator is `admin`."""

    kind: str
    port: int

    def connect(self, name: str | None = None) -> Any:
        if self.kind == "mysql":
            import pymysql

            return pymysql.connect(
                host="127.0.0.1", port=self.port, user="admin", password=ADMIN_PASSWORD, database=name, autocommit=True
            )
        import pg8000.dbapi

        connection = pg8000.dbapi.connect(
            "admin", host="127.0.0.1", port=self.port, password=ADMIN_PASSWORD, database=name or "postgres"
        )
        connection.autocommit = True
        return connection

    def execute(self, *statements: str, name: str | None = None) -> list[tuple]:
        """Rows of the last statement, if it gives any."""
        with contextlib.closing(self.connect(name)) as connection, contextlib.closing(connection.cursor()) as cursor:
            for statement in statements:
                cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def url(self, name: str, user: str = "farebox", port: int | None = None) -> str:
        return f"{self.kind}://{user}@127.0.0.1:{port or self.port}/{name}"

    def create_user(self, user: str, more: str = "") -> None:
        clause = f"@'%' IDENTIFIED BY '{PASSWORD}' {more}" if self.kind == "mysql" else f" LOGIN PASSWORD '{PASSWORD}'"
        self.execute(f"CREATE USER {user}{clause}")

    def create_database(self, name: str) -> None:
        """As docs/metadata.md says."""
        if self.kind == "mysql":
            self.execute(f"CREATE DATABASE {name}", f"GRANT ALL ON {name}.* TO farebox@'%'")
        else:
            self.execute(f"CREATE DATABASE {name} OWNER farebox")

    def rows(self, name: str) -> str:
        """All that MLMD has written, as text."""
        condition = "table_schema = " + (f"'{name}'" if self.kind == "mysql" else "'public'")
        tables = self.execute(f"SELECT table_name FROM information_schema.tables WHERE {condition}", name=name)
        return "\n".join(repr(self.execute(f"SELECT * FROM {table}", name=name)) for (table,) in tables)


def demoted() -> dict[str, Any]:
    """As whom a server runs: neither refuses nobody, PostgreSQL refuses root."""
    if os.getuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def binary(name: str) -> Path:
    """On PATH, in /usr/sbin, or where Debian keeps PostgreSQL; skips the test where it is not."""
    debian = sorted(str(folder) for folder in Path("/usr/lib/postgresql").glob("*/bin"))
    path = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", *reversed(debian)]))
    if not path:
        pytest.skip(LACKING.format(name))
    return Path(path).resolve()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started(command: list[str], server: Server, log: Path, stop: signal.Signals) -> Iterator[Server]:
    """Runs it until it has answered a first query; ends it afterwards."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, **demoted()) as process:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                server.execute("SELECT 1")
                break
            time.sleep(0.05)
        else:
            process.kill()
            pytest.fail(f"{command[0]} did not start: {log.read_text()[-2000:]}")
        try:
            yield server
        finally:
            process.send_signal(stop)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def folder_of_servers() -> Iterator[Path]:
    """Outside pytest's folders, which nobody else may enter."""
    with tempfile.TemporaryDirectory() as folder:
        if user := demoted():
            os.chown(folder, user["user"], user["group"])
        yield Path(folder)


def install(command: list[str]) -> None:
    environment = {"PATH": os.environ["PATH"] + ":/usr/sbin", "LC_ALL": "C"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, **demoted())
    assert result.returncode == 0, result.stdout + result.stderr


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[Server]:
    places, port = folder / "postgresql", free_port()
    postgres, initdb, password = binary("postgres"), binary("initdb"), folder / "password"
    password.write_text(ADMIN_PASSWORD)
    install([str(initdb), "-D", str(places), "-U", "admin", "-A", "scram-sha-256", f"--pwfile={password}", "--no-sync",
             "-E", "UTF8", "--locale=C"])  # fmt: skip
    command = [str(postgres), "-D", str(places), "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
    with started(command, Server("postgresql", port), folder / "postgresql.log", signal.SIGINT) as server:
        yield server


@contextlib.contextmanager
def mariadb(folder: Path) -> Iterator[Server]:
    places, port, first = folder / "mariadb", free_port(), folder / "first.sql"
    mariadbd, install_db = binary("mariadbd"), binary("mariadb-install-db")
    install([str(install_db), "--no-defaults", f"--datadir={places}", "--skip-test-db"])
    first.write_text(f"GRANT ALL ON *.* TO admin@'127.0.0.1' IDENTIFIED BY '{ADMIN_PASSWORD}' WITH GRANT OPTION;")
    command = [str(mariadbd), "--no-defaults", f"--datadir={places}", f"--port={port}", "--bind-address=127.0.0.1",
               f"--socket={folder}/mariadb.sock", f"--pid-file={folder}/mariadb.pid", f"--init-file={first}",
               "--skip-name-resolve", "--innodb-flush-method=nosync"]  # fmt: skip
    with started(command, Server("mysql", port), folder / "mariadb.log", signal.SIGTERM) as server:
        yield server


@pytest.fixture(scope="module", params=KINDS)
def server(request, folder_of_servers) -> Iterator[Server]:
    """Its user `farebox` has the password PASSWORD and no rights yet."""
    with (mariadb if request.param == "mysql" else postgresql)(folder_of_servers) as running:
        running.create_user("farebox")
        yield running


@pytest.fixture(autouse=True)
def password(monkeypatch) -> None:
    monkeypatch.setenv("MYSQL_PWD", PASSWORD)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)


NUMBERS = itertools.count()


@pytest.fixture
def name(server) -> str:
    """Of a new, empty database of farebox's."""
    name = f"mlmd_{next(NUMBERS)}"
    server.create_database(name)
    return name


def settings_of(url: str, out: Path | str = ".") -> Settings:
    return load_settings("chicago", None, str(out), [f"metadata={url}"])


# Who is let in


def test_an_empty_database_gets_mlmds_tables(server, name, capfd):
    for _ in range(2):
        database.check_database(settings_of(server.url(name)))
    assert server.execute("SELECT count(*) FROM MLMDEnv", name=name) == [(1,)]
    assert capfd.readouterr() == ("", "")


def test_localhost_is_not_a_socket_file(server, name):
    database.check_database(settings_of(server.url(name).replace("127.0.0.1", "localhost")))


def refusal(url: str, capfd) -> str:
    with pytest.raises(InputError) as refused:
        database.check_database(settings_of(url))
    assert capfd.readouterr() == ("", ""), "MLMD's own words"
    line = str(refused.value)
    assert line.startswith(f"metadata={url}") and "\n" not in line and PASSWORD not in line
    return line


def test_a_wrong_password(server, name, monkeypatch, capfd):
    variable = {"mysql": "MYSQL_PWD", "postgresql": "PGPASSWORD"}[server.kind]
    monkeypatch.setenv(variable, "wrong")
    line = refusal(server.url(name), capfd)
    assert " must let user farebox in, got " in line and "is not set" not in line
    assert line.endswith(f": set {variable} to the user's password")
    monkeypatch.delenv(variable)
    assert f"; {variable} is not set: set {variable}" in refusal(server.url(name), capfd)


def test_no_such_database(server, capfd):
    """MariaDB does not tell those who have no rights whether it exists."""
    server.execute(*(["GRANT SELECT ON *.* TO farebox@'%'"] if server.kind == "mysql" else []))
    line = refusal(server.url("nothere"), capfd)
    assert ": database nothere must exist, got " in line and line.endswith(": create it, see docs/metadata.md")
    server.execute(*(["REVOKE SELECT ON *.* FROM farebox@'%'"] if server.kind == "mysql" else []))


def test_no_rights(server, name, capfd):
    user = f"stranger_{name}"
    server.create_user(user)
    line = refusal(server.url(name, user), capfd)
    assert f" must let user {user} create tables in {name}, read and write, got " in line
    assert line.endswith(": grant that, see docs/metadata.md")


def test_a_user_who_may_only_read(server, name, capfd):
    database.check_database(settings_of(server.url(name)))
    user = f"reader_{name}"
    server.create_user(user)
    if server.kind == "mysql":
        server.execute(f"GRANT SELECT ON {name}.* TO {user}@'%'")
    else:
        server.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}", name=name)
    assert f" must let user {user} create tables in {name}, read and write, got " in refusal(
        server.url(name, user), capfd
    )


def test_tables_of_a_run_that_died_while_it_made_them(server, name, capfd):
    database.check_database(settings_of(server.url(name)))
    server.execute("DROP TABLE ParentType", "DROP TABLE Event", name=name)
    line = refusal(server.url(name), capfd)
    assert line.endswith(f" must hold all of MLMD's tables or none, got some: a run died while it created them: "
                         f"drop and create database {name}")  # fmt: skip


def test_nobody_listens(server, capfd):
    product = {"mysql": "MySQL or MariaDB", "postgresql": "PostgreSQL"}[server.kind]
    port = free_port()
    line = refusal(server.url("mlmd", port=port), capfd)
    assert line.endswith(
        f" must be a {product} server that runs at 127.0.0.1, port {port}, got Connection refused: "
        "start it, or correct host and port"
    )


def test_no_such_host(server, capfd):
    url = server.url("mlmd").replace("127.0.0.1", "nowhere.invalid")
    assert f" server that runs at nowhere.invalid, port {server.port}, got " in refusal(url, capfd)


def test_a_login_method_that_mlmd_does_not_have(server, name, capfd):
    """One of MariaDB's own; MySQL 8 has another."""
    if server.kind == "postgresql":
        pytest.skip("MLMD has PostgreSQL's default method")
    server.execute("INSTALL SONAME 'auth_ed25519'",
                   f"CREATE USER modern@'%' IDENTIFIED VIA ed25519 USING PASSWORD('{PASSWORD}')",
                   f"GRANT ALL ON {name}.* TO modern@'%'")  # fmt: skip
    line = refusal(server.url(name, "modern"), capfd)
    assert " must let user modern in by mysql_native_password, the only methods of MLMD, got " in line


def test_the_command_says_it_in_one_line(server, tmp_path):
    """And before there is a folder of a run."""
    port = free_port()
    command = [str(FAREBOX), "run", "--out", str(tmp_path), "--set", f"metadata={server.url('mlmd', port=port)}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"farebox: metadata={server.url('mlmd', port=port)} must be a ")
    assert os.listdir(tmp_path) == []


# Many at once


def at_once(code: str, count: int, *arguments: str) -> list[subprocess.CompletedProcess]:
    """Runs `code` in as many processes; where it calls `together()`, each waits for all others."""
    wait = "def together(): print('ready', flush=True); sys.stdin.readline()\n"
    command = [sys.executable, "-c", f"import sys\n{wait}{code}", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(count)]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        return [subprocess.CompletedProcess(command, process.wait(60), *process.communicate()) for process in processes]
    finally:
        for process in processes:
            process.kill()


@pytest.mark.slow
def test_four_at_once_on_an_empty_database(server, name):
    code = """
from ml_metadata.metadata_store import metadata_store
from farebox.pipeline.metadata import connection as database
from farebox.pipeline.settings.load import load_settings
settings = load_settings("chicago", None, overrides=["metadata=" + sys.argv[1]])
together()
database.check_database(settings)
"""
    ended = at_once(code, 4, server.url(name))
    assert [(process.returncode, process.stderr) for process in ended] == [(0, "")] * 4
    assert server.execute("SELECT count(*) FROM MLMDEnv", name=name) == [(1,)]


@pytest.mark.slow
@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_types_are_registered_once(server, name):
    """PostgreSQL would take the same name twice: without a lock, 17 of 30 types of four processes were doubled."""
    code = """
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.proto.orchestration import pipeline_pb2
from tfx.orchestration.portable.mlmd import common_utils, context_lib
from farebox.pipeline.metadata import connection as database
from farebox.pipeline.settings.load import load_settings
settings = load_settings("chicago", None, overrides=["metadata=" + sys.argv[1]])
pipeline = pipeline_pb2.Pipeline()
for number in range(20):
    node = pipeline.nodes.add().pipeline_node
    node.node_info.type.name = f"Node{number}"
    node.contexts.contexts.add().type.name = f"Context{number}"
    node.outputs.outputs["out"].artifact_spec.type.name = f"Artifact{number}"
    node.outputs.outputs["out"].artifact_spec.type.properties["span"] = mlmd.INT
config = database.connection_config(settings)
database.check_database(settings)
together()
database.register_types(settings, config, pipeline)
"""
    ended = at_once(code, 2, server.url(name))
    assert [process.returncode for process in ended] == [0] * 2, [process.stderr for process in ended]
    counts = "SELECT name, type_kind, count(*) FROM Type GROUP BY name, type_kind"
    type_counts = {(kind, name): count for name, kind, count in server.execute(counts, name=name)}
    expected = {f"{kind}{number}" for kind in ("Node", "Context", "Artifact") for number in range(20)}
    assert expected | {"execution_cache"} <= {name for _, name in type_counts}
    assert set(type_counts.values()) == {1}


def test_a_held_lock_is_an_error(server, name, monkeypatch):
    from farebox.pipeline.metadata import server as database_server

    monkeypatch.setattr(database_server, "LOCK_S", 0.3)
    address = MetadataSettings(server.url(name)).server
    with database_server.preparation_lock(address):
        with (
            pytest.raises(InputError, match=r"another run has held its lock for 0 s: end that run"),
            database_server.preparation_lock(address),
        ):
            pass
        server.create_database(f"{name}_other")
        with database_server.preparation_lock(dataclasses.replace(address, database=f"{name}_other")):
            pass
    with database_server.preparation_lock(address):
        pass


# What MLMD keeps


@pytest.mark.slow
def test_strings_come_back_as_they_were_and_in_order(server, name):
    """As TFX reads them: outputs of an execution that was changed afterwards, in the order that they are asked for."""
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    texts = ['{"json": "in \\"json\\""}', "C:\\trips", "\\", "%5C", "%255C%25\\", "it's", "naïve €", "100 %"]
    settings = settings_of(server.url(name))
    database.check_database(settings)
    with database.open_metadata(database.connection_config(settings)) as handle:
        store = handle.store
        kind = mlmd.ArtifactType(name="Text", properties={"text": mlmd.STRING})
        kind.id = store.put_artifact_type(kind)
        artifacts = [mlmd.Artifact(type_id=kind.id, uri=f"/runs/{text}") for text in texts]
        for artifact, text in zip(artifacts, texts, strict=True):
            artifact.properties["text"].string_value = text
            artifact.custom_properties["text"].string_value = text
        ids = store.put_artifacts(artifacts)
        first = store.get_artifacts_by_id(ids[:1])[0]
        first.state = mlmd.Artifact.LIVE
        store.put_artifacts([first])
        stored_artifacts = store.get_artifacts_by_id(ids)
        assert [artifact.id for artifact in stored_artifacts] == ids
        assert [artifact.uri for artifact in stored_artifacts] == [f"/runs/{text}" for text in texts]
        for artifact, text in zip(stored_artifacts, texts, strict=True):
            assert artifact.properties["text"].string_value == artifact.custom_properties["text"].string_value == text
        assert [artifact.id for artifact in store.get_artifacts_by_uri(f"/runs/{texts[1]}")] == ids[1:2]
        assert sorted(artifact.id for artifact in store.get_artifacts()) == ids


@pytest.mark.slow
def test_a_folder_id_belongs_to_one_folder_and_ends_with_the_database(server, name, tmp_path):
    """Without executions in it there is nothing to come back to."""
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    def place(folder: str) -> str | None:
        settings = settings_of(server.url(name), tmp_path / folder)
        settings.runs_dir.mkdir(parents=True, exist_ok=True)
        folder_id = database.folder_id(settings, database.connection_config(settings))
        with database.open_metadata(database.connection_config(settings)) as handle:
            kind = handle.store.put_context_type(mlmd.ContextType(name="pipeline"))
            pipeline = mlmd.Context(type_id=kind, name=database.pipeline_name(settings, folder_id))
            with contextlib.suppress(Exception):  # it exists
                handle.store.put_contexts([pipeline])
        return folder_id

    here, there = place("here"), place("there")
    assert re.fullmatch("[0-9a-f]{8}", here) and here != there
    assert (place("here"), place("there")) == (here, there)
    server.execute(f"DROP DATABASE {name}")
    server.create_database(name)
    assert place("here") not in (here, there)


@pytest.mark.slow
def test_a_server_that_is_gone_in_mid_run(server, tmp_path):
    settings = settings_of(server.url("mlmd", port=free_port()), tmp_path)
    gone = database.open_metadata(database.connection_config(settings))
    with (
        pytest.raises(InputError, match="got Connection refused: start it"),
        database.explain_lost_server(settings),
        gone,
    ):
        pass


@pytest.mark.slow
def test_another_error_stays_what_it_is(server, name):
    import ml_metadata

    settings = settings_of(server.url(name))
    database.check_database(settings)
    there = database.open_metadata(database.connection_config(settings))
    with pytest.raises(ml_metadata.errors.NotFoundError), database.explain_lost_server(settings), there as handle:
        handle.store.get_artifact_type("none")


# Whole runs

UP_TO_DATA_GATE = """
import pathlib, sys
from farebox.pipeline.local import run as runs
from farebox.pipeline.metadata import connection as database
from farebox.pipeline.settings import load as settings
from farebox.pipeline.process import output_to_log
url, out = sys.argv[1:]
chosen = settings.load_settings("chicago", None, out, ["metadata=" + url])
database.check_database(chosen)
with runs.exclusive(chosen.runs_dir), output_to_log(pathlib.Path(out, "log.txt")) as stream:
    runs.run_graph(chosen, runs.new_run_id(), runs.RunConsole(stream), {}, last="DataGate")
"""


def up_to_data_gate(url: str, out: Path) -> subprocess.Popen:
    out.mkdir(exist_ok=True)
    command = [sys.executable, "-c", UP_TO_DATA_GATE, url, str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def whole_run(url: str, place: Path) -> subprocess.Popen:
    overrides = [part for setting in (*FEW_EPOCHS, f"metadata={url}") for part in ("--set", setting)]
    command = [str(FAREBOX), "run", "--city", "quito.yaml", "--data", "trips.csv", *overrides]
    return subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def lines_of(process: subprocess.Popen) -> dict[str, bool]:
    """Whether each node of a run came from the cache."""
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, output + errors
    return {node: spent == "cached" for node, spent in re.findall(r"✓ (\w+) +(cached|[\d.]+ s)", output)}


def artifacts_by_pipeline(server: Server, name: str) -> dict[str, set[str]]:
    """Where the artifacts of each pipeline lie."""
    query = """SELECT Context.name, Artifact.uri FROM Context
        JOIN Type ON Type.id = Context.type_id AND Type.name = 'pipeline'
        JOIN Attribution ON Attribution.context_id = Context.id
        JOIN Artifact ON Artifact.id = Attribution.artifact_id"""
    uris_by_pipeline: dict[str, set[str]] = {}
    for pipeline, uri in server.execute(query, name=name):
        uris_by_pipeline.setdefault(pipeline, set()).add(uri)
    return uris_by_pipeline


@pytest.mark.slow
def test_two_runs_at_once_on_an_empty_database(server, name, tmp_path):
    """Chicago up to DataGate. On MariaDB, Chicago in another folder as well, as on another machine; on PostgreSQL, a
    whole run of another city. Then Chicago again, and the other city again.
    """
    url, here, there = server.url(name), tmp_path / "here", tmp_path / "there"
    there.mkdir()
    if server.kind == "postgresql":
        (there / "quito.yaml").write_text(QUITO)
        simulate = [str(FAREBOX), "data", "simulate", "--city", "quito.yaml", "--rows", "6000", "--out", "trips.csv"]
        subprocess.run(simulate, cwd=there, check=True, capture_output=True)
    other = whole_run if server.kind == "postgresql" else up_to_data_gate
    first = [up_to_data_gate(url, here), other(url, there)]
    ran = [lines_of(process) for process in first]
    assert all(not any(nodes.values()) and {"TripExampleGen", "DataGate"} <= set(nodes) for nodes in ran)

    resolvers = {"LatestStatistics", "LatestBlessed"}  # TFX caches none
    again = lines_of(up_to_data_gate(url, here))
    assert {node for node, cached in again.items() if not cached} == resolvers & set(again)
    assert set(again) == set(ran[0])
    if server.kind == "postgresql":
        assert len(list((there / "models/quito").glob("*/fare.tflite"))) == 1
        again = lines_of(whole_run(url, there))
        assert {node for node, cached in again.items() if not cached} == resolvers

    uris_by_pipeline = artifacts_by_pipeline(server, name)
    assert len(uris_by_pipeline) == 2
    for folder in (here, there):
        (own,) = [uris for uris in uris_by_pipeline.values() if all(uri.startswith(f"{folder}/") for uri in uris)]
        assert len(own) >= 4
    assert all(count == 1 for *_, count in server.execute(
        "SELECT name, type_kind, count(*) FROM Type GROUP BY name, type_kind", name=name))  # fmt: skip
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(texts) > 20 and not any(PASSWORD.encode() in text for text in texts)
    rows = server.rows(name)
    assert "TripExampleGen" in rows and PASSWORD not in rows
