"""A database server through Python's own drivers: connection, lock, rights, and one line for each kind of refusal.

MLMD's own clients give no reason for a refusal (MySQL), or write it to their log only (PostgreSQL).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import time
from collections.abc import Iterator
from typing import Any

from farebox.components.errors import InputError
from farebox.pipeline.settings.metadata import Server

PRODUCTS = {"mysql": "MySQL or MariaDB", "postgresql": "PostgreSQL"}
ANSWER_S = 10.0  # a server must answer within it
LOCK_S, POLL_S = 120.0, 0.1  # how long others may hold the lock, and the pause between two attempts
NO_SERVER = (None, 2002, 2003, 2005, 2006, 2013)
NO_LOGIN, NO_PLUGIN = ("28P01", "28000", 1045), (1251, 2059)
NO_DATABASE, NO_RIGHTS = ("3D000", 1049), ("42501", 1044, 1142, 1143)
PROBES = (  # each needs a right and changes nothing
    "INSERT INTO Type (name, type_kind) SELECT name, type_kind FROM Type WHERE 1 = 0",
    "UPDATE Type SET name = name WHERE 1 = 0",
    "DELETE FROM Type WHERE 1 = 0",
)


@contextlib.contextmanager
def preparation_lock(server: Server) -> Iterator[Any]:
    """A connection that holds farebox's lock in this database; the server frees the lock when the connection ends.

    Raises InputError if the server refuses the user, or others hold the lock for two minutes.
    """
    with contextlib.closing(connect(server)) as connection:
        deadline = time.monotonic() + LOCK_S
        while not take_lock(server, connection):
            if time.monotonic() > deadline:
                raise InputError(f"metadata={server}: another run has held its lock for {LOCK_S:.0f} s: end that run")
            time.sleep(POLL_S)
        yield connection


def take_lock(server: Server, connection: Any) -> bool:
    """Whether the lock was free and is now held: an advisory lock, which only farebox asks for."""
    digest = hashlib.sha256(
        f"farebox {server.database}".encode()
    ).digest()  # MySQL's locks are shared by all its databases
    with errors_explained(server), contextlib.closing(connection.cursor()) as cursor:
        if server.kind == "mysql":
            cursor.execute("SELECT GET_LOCK(%s, 0)", (digest.hex()[:32],))
        else:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (int.from_bytes(digest[:8], "big", signed=True),))
        return bool(cursor.fetchone()[0])


def check_rights(server: Server, connection: Any) -> None:
    """Raises InputError if the user may not write in MLMD's tables."""
    with errors_explained(server), contextlib.closing(connection.cursor()) as cursor:
        for probe in PROBES:
            cursor.execute(probe)


def connect(server: Server) -> Any:
    """A DB-API connection in which each statement is a transaction. Raises InputError."""
    password = os.environ.get(server.password_variable, "")
    with errors_explained(server):
        if server.kind == "mysql":
            import pymysql

            return pymysql.connect(
                host=server.host,
                port=server.port,
                user=server.user,
                password=password,
                database=server.database,
                connect_timeout=int(ANSWER_S),
                read_timeout=int(ANSWER_S),
                ssl=unverified_tls() if server.ssl else None,
                ssl_disabled=not server.ssl,
                autocommit=True,
            )
        import pg8000.dbapi

        connection = pg8000.dbapi.connect(
            server.user,
            host=server.host,
            port=server.port,
            database=server.database,
            password=password,
            timeout=ANSWER_S,
            ssl_context=False,
        )
        connection.autocommit = True
        return connection


def unverified_tls() -> ssl.SSLContext:
    """TLS as MLMD uses it: encrypted, without a check of the server's certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextlib.contextmanager
def errors_explained(server: Server) -> Iterator[None]:
    """Turns a driver's errors into one line that says what to do. Raises InputError."""
    import pg8000.exceptions
    import pymysql

    try:
        yield
    except (pg8000.exceptions.Error, pymysql.Error, OSError) as error:
        raise error_line(server, *code_and_text(error)) from error
    except RuntimeError as error:  # PyMySQL's, if a login method needs another package
        raise error_line(server, NO_PLUGIN[0], str(error)) from error


def code_and_text(error: BaseException) -> tuple[Any, str]:
    """SQLSTATE (PostgreSQL) or number (MySQL) of a driver's error, and its text; None and the reason of an OSError."""
    for cause in (error, error.__cause__, error.__context__):
        if isinstance(cause, OSError):
            return None, cause.strerror or str(cause) or "no answer"
    first, *rest = error.args or ("",)
    if isinstance(first, dict):  # pg8000: the fields of the server's message, by their letters
        return first.get("C"), first.get("M", "")
    return first, str(rest[0]) if rest else str(first)


def error_line(server: Server, code: Any, text: str) -> InputError:
    """One line: what must hold, the server's answer, what to do."""
    variable, place, got = server.password_variable, f"metadata={server}", f"got {' '.join(text.split())}"
    if code in NO_SERVER:
        return InputError(
            f"{place} must be a {PRODUCTS[server.kind]} server that runs at {server.host}, port {server.port}, {got}: "
            "start it, or correct host and port"
        )
    if code in NO_LOGIN:
        unset = "" if os.environ.get(variable) else f"; {variable} is not set"
        return InputError(
            f"{place} must let user {server.user} in, {got}{unset}: set {variable} to the user's password"
        )
    if code in NO_PLUGIN:
        plugin = "mysql_native_password" if server.kind == "mysql" else "scram-sha-256 or md5, without TLS"
        return InputError(
            f"{place} must let user {server.user} in by {plugin}, the only methods of MLMD, {got}: "
            "change that for this user, see docs/metadata.md"
        )
    if code in NO_DATABASE:
        return InputError(f"{place}: database {server.database} must exist, {got}: create it, see docs/metadata.md")
    if code in NO_RIGHTS:
        return InputError(
            f"{place} must let user {server.user} create tables in {server.database}, read and write, {got}: "
            "grant that, see docs/metadata.md"
        )
    return InputError(f"{place} cannot be used, {got}")


def error_of_mlmd(server: Server, error: Exception) -> InputError:
    """One line for MLMD's long or empty message, after the server has let a driver of Python's in."""
    text = str(error)
    if "denied" in text:
        return error_line(server, NO_RIGHTS[0], text.split("rror: ")[-1].split("ERROR: ")[-1].strip().splitlines()[0])
    if "subset of tables" in text or "MLMDEnv table exists" in text:
        return InputError(
            f"metadata={server} must hold all of MLMD's tables or none, got some: a run died while it created "
            f"them: drop and create database {server.database}"
        )
    if text.strip().endswith("error:"):
        return error_line(server, NO_PLUGIN[0], "no reason from MLMD")
    return InputError(f"metadata={server} cannot be used by MLMD, got {' '.join(text.split())[:300]}")
