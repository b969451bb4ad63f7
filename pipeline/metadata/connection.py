"""The database of MLMD (ML Metadata), which records runs: connection, checks, and what runs share there."""

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

FOLDER_IDS_FILE = "databases.json"


def connection_config(settings: Settings) -> Any:
    """MLMD's connection config. It holds no password: MLMD's clients read MYSQL_PWD and PGPASSWORD themselves."""
    from ml_metadata.proto import metadata_store_pb2

    config = metadata_store_pb2.ConnectionConfig()
    server = settings.metadata.server
    if server is None:
        path = sqlite_file(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        config.sqlite.filename_uri = str(path)
        config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    elif server.kind == "mysql":
        is_local = server.host == "localhost"  # which MySQL's client takes for a socket file
        config.mysql.host = "127.0.0.1" if is_local else server.host
        config.mysql.port, config.mysql.user, config.mysql.database = server.port, server.user, server.database
        config.mysql.skip_db_creation = True
        if server.ssl:
            config.mysql.ssl_options.verify_server_cert = False  # with True, MLMD refuses every certificate
    else:
        config.postgresql.host, config.postgresql.port = server.host, str(server.port)
        config.postgresql.user, config.postgresql.dbname = server.user, server.database
        config.postgresql.skip_db_creation = True
    return config


def open_metadata(config: Any) -> Any:
    """TFX's handle of MLMD, a context manager, for a `connection_config`."""
    from tfx.orchestration.metadata import Metadata

    if config.HasField("postgresql"):
        from farebox.pipeline.metadata.postgresql import PostgresqlMetadata

        return PostgresqlMetadata(config)
    return Metadata(config)


def sqlite_file(settings: Settings) -> Path:
    """Absolute path of the settings' sqlite file, or of the one in runs/."""
    return (settings.metadata.file or settings.runs_dir / "metadata.sqlite").resolve()


def check_database(settings: Settings) -> None:
    """Creates MLMD's tables on a server that has none yet; imports no TFX. Does nothing for a sqlite file.

    Raises InputError if the server cannot be reached, or refuses the user, or the user may not read and write.
    """
    server = settings.metadata.server
    if server is None:
        return
    from ml_metadata.metadata_store import metadata_store

    with database_server.preparation_lock(server) as connection:
        try:
            with output_to_log(Path(os.devnull)):  # PostgreSQL's client prints every step
                metadata_store.MetadataStore(connection_config(settings))
        except RuntimeError as error:
            raise database_server.error_of_mlmd(server, error) from error
        database_server.check_rights(server, connection)


@contextlib.contextmanager
def preparation_lock(settings: Settings) -> Iterator[None]:
    """Keeps other runs from preparing the database at the same time. Raises InputError."""
    server = settings.metadata.server
    if server:
        with database_server.preparation_lock(server):
            yield
        return
    with locked(Path(f"{sqlite_file(settings)}.lock")):
        yield


def register_types(settings: Settings, config: Any, pipeline: Any) -> None:
    """Registers all types of a compiled pipeline before its nodes do. The default sqlite file has one writer.

    Two runs that register a type at once would create it twice in PostgreSQL, where MLMD's tables require no unique
    names; MLMD then finds the artifacts of only one of them.
    """
    if settings.metadata.url == IN_RUNS:
        return
    from tfx.orchestration.portable.mlmd.common_utils import register_type_if_not_exist

    with preparation_lock(settings), open_metadata(config) as handle:
        for each in types_of(pipeline):
            register_type_if_not_exist(handle, each)


def types_of(pipeline: Any) -> list[Any]:
    """The types of a compiled pipeline's contexts, executions and artifacts, each once."""
    from ml_metadata.proto.metadata_store_pb2 import ContextType
    from tfx.orchestration.portable.mlmd.context_lib import CONTEXT_TYPE_EXECUTION_CACHE

    types = [ContextType(name=CONTEXT_TYPE_EXECUTION_CACHE)]
    for node in (each.pipeline_node for each in pipeline.nodes):
        types.append(node.node_info.type)
        types += [context.type for context in node.contexts.contexts]
        types += [output.artifact_spec.type for output in node.outputs.outputs.values()]
    return list({(type(each).__name__, each.name): each for each in types}.values())


def folder_id(settings: Settings, config: Any) -> str | None:
    """Identifies this runs/<city> in a database that other folders and machines share; None if it is not shared.

    Artifacts are files in the run's folder, so another folder's artifacts must be neither cache nor baseline. The id is
    kept in runs/<city>. It is drawn again if the database does not have it: then the ids of executions, which name the
    folders of artifacts, also start again.
    """
    if settings.metadata.url == IN_RUNS:
        return None
    database = str(settings.metadata.server or sqlite_file(settings))
    path = settings.runs_dir / FOLDER_IDS_FILE
    ids: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    if database in ids:
        with open_metadata(config) as handle:
            name = pipeline_name(settings, ids[database])
            if handle.store.get_context_by_type_and_name("pipeline", name):
                return ids[database]
    ids[database] = secrets.token_hex(4)
    write_atomically(path, json.dumps(ids, indent=2))
    return ids[database]


def pipeline_name(settings: Settings, folder: str | None) -> str:
    """The pipeline's name in MLMD; folder: its `folder_id`."""
    return f"farebox-{settings.city.name}" + (f"-{folder}" if folder else "")


@contextlib.contextmanager
def explain_lost_server(settings: Settings) -> Iterator[None]:
    """Turns MLMD's errors into one line if the server no longer answers. Raises InputError."""
    from ml_metadata import errors

    try:
        yield
    except (RuntimeError, errors.StatusError):
        if settings.metadata.server:
            database_server.connect(settings.metadata.server).close()
        raise
