"""Settings of the database of MLMD (ML Metadata), which records runs: a URL without a password."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from pathlib import Path
from typing import Any, Literal

from farebox.components.errors import check_fields

Kind = Literal["mysql", "postgresql"]

PORTS: dict[str, int] = {"mysql": 3306, "postgresql": 5432}
PASSWORD_VARIABLES = {"mysql": "MYSQL_PWD", "postgresql": "PGPASSWORD"}  # those of the databases' own clients
IN_RUNS = "sqlite"
FORMS = "sqlite, sqlite:///FILE, mysql://USER@HOST:PORT/DATABASE or postgresql://USER@HOST:PORT/DATABASE"


@dataclasses.dataclass(frozen=True)
class Server:
    """A database on a server. ssl: encrypt the connection (MySQL only); MLMD cannot verify the server's identity."""

    kind: Kind
    host: str
    port: int
    user: str
    database: str
    ssl: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user, database = (urllib.parse.quote(part, safe="") for part in (self.user, self.database))
        return f"{self.kind}://{user}@{host}:{self.port}/{database}{'?ssl=true' if self.ssl else ''}"

    @property
    def password_variable(self) -> str:
        """The environment variable that MLMD's client library reads, so that no configuration holds the password."""
        return PASSWORD_VARIABLES[self.kind]


@dataclasses.dataclass(frozen=True)
class MetadataSettings:
    """Database that records runs. `metadata: URL` is short for `metadata: {url: URL}`."""

    url: str = IN_RUNS
    """`sqlite` for runs/<city>/metadata.sqlite; another sqlite file (sqlite:///relative, sqlite:////absolute); or a
    database on a MySQL, MariaDB or PostgreSQL server (mysql://USER@HOST/DATABASE, postgresql://USER@HOST/DATABASE),
    whose password is in MYSQL_PWD or PGPASSWORD."""

    def __post_init__(self) -> None:
        check_fields(self, "metadata")
        if self.file is None and self.url != IN_RUNS:
            _server(self.url)

    @property
    def file(self) -> Path | None:
        """The sqlite file; None for the default file in runs/ and for a server."""
        match = re.fullmatch("sqlite:///(.+)", self.url)
        return Path(match[1]) if match else None

    @property
    def server(self) -> Server | None:
        """The server; None for a file."""
        return None if self.url.startswith("sqlite") else _server(self.url)


def from_url(value: Any) -> Any:
    """Returns the settings of a URL, and any other value as it is: `metadata: URL` is short for `{url: URL}`."""
    return MetadataSettings(value) if isinstance(value, str) else value


def hide_password(text: str) -> str:
    """Returns the text with *** instead of the password of every URL in it; a port at the end is not a password."""
    return re.sub(r"(://[^/@:\s]*):(?!\d+(?:[/\s]|$))[^@]*@(?:\S*@)?", r"\1:***@", text)


def _server(url: str) -> Server:
    """The server of a URL. Raises ValueError for a URL of another form or with a password."""
    shown = re.sub(r"(://[^/@:]*):.*@", r"\1:***@", url)
    parts = urllib.parse.urlsplit(url)
    if shown != url or parts.password is not None:
        variables = " or ".join(PASSWORD_VARIABLES.values())
        raise ValueError(f"metadata={shown} must not hold a password: give it in the environment, {variables}")
    try:
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        port = 0
    database = parts.path.removeprefix("/")
    is_complete = parts.scheme in PORTS and parts.hostname and parts.username and database and "/" not in database
    if not is_complete or not port or parts.fragment:
        raise ValueError(f"metadata={shown} must be {FORMS}")
    if parts.query not in ("", "ssl=true"):
        raise ValueError(f"metadata={shown}: ?{parts.query} must be ?ssl=true or nothing")
    if parts.query and parts.scheme == "postgresql":
        raise ValueError(f"metadata={shown}: ssl must go with mysql, MLMD's PostgreSQL client has no TLS: use a tunnel")
    unquote = urllib.parse.unquote
    return Server(
        parts.scheme,  # type: ignore[arg-type]
        str(parts.hostname),
        port,
        unquote(str(parts.username)),
        unquote(database),
        ssl=bool(parts.query),
    )
