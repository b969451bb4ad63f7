"""The MLMD (ML Metadata) database of runs: its connection, whether it can be used, and what many runs share there."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from farebox.components.files import locked, write_atomically
from farebox.pipeline.metadata import server as database_server
from farebox.pipeline.process import output_to_log
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.settings.metadata import IN_RUNS

PLACES_FILE = "databases.json"


def connection_config(settings: Settings) -> Any:
    """MLMD's config. It holds no password: MLMD's client libraries read MYSQL_PWD and PGPASSWORD by themselves."""
    from ml_metadata.proto import metadata_store_pb2

    config = metadata_store_pb2.ConnectionConfig()
    server = settings.metadata.server
    if server is None:
        path = sqlite_file(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        config.sqlite.filename_uri = str(path)
        config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    elif server.kind == "mysql":
        config.mysql.host = (
            "127.0.0.1" if server.host == "localhost" else server.host
        )  # localhost would be a socket file
        config.mysql.port, config.mysql.user, config.mysql.database = server.port, server.user, server.database
        config.mysql.skip_db_creation = True
        if server.ssl:
            config.mysql.ssl_options.verify_server_cert = False  # with True, MLMD refuses every certificate
    else:
        config.postgresql.host, config.postgresql.port = server.host, str(server.port)
        config.postgresql.user, config.postgresql.dbname = server.user, server.database
        config.postgresql.skip_db_creation = True
    return config


def opened(config: Any) -> Any:
    """TFX's handle of MLMD, a context manager, for `connection_config`."""
    from tfx.orchestration.metadata import Metadata

    if config.HasField("postgresql"):
        from farebox.pipeline.metadata.postgresql import PostgresqlMetadata

        return PostgresqlMetadata(config)
    return Metadata(config)


def sqlite_file(settings: Settings) -> Path:
    """Absolute: the one in runs/, or that of the settings."""
    return (settings.metadata.file or settings.runs_dir / "metadata.sqlite").resolve()


def check(settings: Settings) -> None:
    """Makes MLMD's tables on a server that has none yet; imports no TFX.

    Raises InputError where the server cannot be reached, does not let the user in, or not read and write.
    """
    server = settings.metadata.server
    if server is None:
        return
    from ml_metadata.metadata_store import metadata_store

    with database_server.locked(server) as connection:
        try:
            with output_to_log(Path(os.devnull)):  # PostgreSQL's client prints every step
                metadata_store.MetadataStore(connection_config(settings))
        except RuntimeError as error:
            raise database_server.refused_by_mlmd(server, error) from error
        database_server.check_rights(server, connection)


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """No other run prepares the database meanwhile. Raises InputError."""
    server = settings.metadata.server
    if server:
        with database_server.locked(server):
            yield
        return
    with locked(Path(f"{sqlite_file(settings)}.lock")):
        yield


def register_types(settings: Settings, config: Any, pipeline: Any) -> None:
    """Registers all types of a compiled pipeline before its nodes do.

    Of two runs that register a type at once, each would have its own in PostgreSQL, which knows no unique names there;
    MLMD then finds the artifacts of one of them only. In the sqlite file of its own folder a run is alone.
    """
    if settings.metadata.url == IN_RUNS:
        return
    from tfx.orchestration.portable.mlmd.common_utils import register_type_if_not_exist

    with alone(settings), opened(config) as handle:
        for kind in types_of(pipeline):
            register_type_if_not_exist(handle, kind)


def types_of(pipeline: Any) -> list[Any]:
    """The types of a compiled pipeline's contexts, executions and artifacts, each once."""
    from ml_metadata.proto.metadata_store_pb2 import ContextType
    from tfx.orchestration.portable.mlmd.context_lib import CONTEXT_TYPE_EXECUTION_CACHE

    found = [ContextType(name=CONTEXT_TYPE_EXECUTION_CACHE)]
    for node in (each.pipeline_node for each in pipeline.nodes):
        found.append(node.node_info.type)
        found += [context.type for context in node.contexts.contexts]
        found += [output.artifact_spec.type for output in node.outputs.outputs.values()]
    return list({(type(kind).__name__, kind.name): kind for kind in found}.values())


def place_of(settings: Settings, config: Any) -> str | None:
    """Names this runs/<city> in a database that other folders and machines use as well; None where it is not shared.

    Artifacts lie in the folder of a run, so another folder's must be neither its cache nor its baseline. The name is
    kept in runs/<city>, and drawn anew where the database does not know it: then the ids of its executions, by which
    the folders of artifacts are named, begin anew, too.
    """
    if settings.metadata.url == IN_RUNS:
        return None
    where = str(settings.metadata.server or sqlite_file(settings))
    path = settings.runs_dir / PLACES_FILE
    places = json.loads(path.read_text()) if path.is_file() else {}
    if where in places:
        with opened(config) as handle:
            name = pipeline_name(settings, places[where])
            if handle.store.get_context_by_type_and_name("pipeline", name):
                return str(places[where])
    places[where] = secrets.token_hex(4)
    write_atomically(path, json.dumps(places, indent=2))
    return str(places[where])


def pipeline_name(settings: Settings, place: str | None) -> str:
    """The name by which MLMD tells pipelines apart."""
    return f"farebox-{settings.city.name}" + (f"-{place}" if place else "")


@contextlib.contextmanager
def losses(settings: Settings) -> Iterator[None]:
    """Turns what MLMD says of a server that does not answer any more into one line. Raises InputError."""
    from ml_metadata import errors

    try:
        yield
    except (RuntimeError, errors.StatusError):
        if settings.metadata.server:
            database_server.connect(settings.metadata.server).close()
        raise
