"""Settings of the notification after a tick. A secret address can stay out of the file: a variable may hold it."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from pathlib import Path
from typing import Literal

from farebox.components.errors import check_fields

Outcome = Literal["pushed", "refused", "failed", "kept"]
HTTP_RULE = "must be an http:// or https:// address of ASCII characters, with a host and without a password"
VARIABLES = ("webhook_env", "signing_key_env")


@dataclasses.dataclass(frozen=True)
class NotifySettings:
    """Messages after a tick of retraining."""

    webhook: str | None = dataclasses.field(default=None, repr=False)  # a secret may be in it
    """http(s) URL to which each tick's record is POSTed, as JSON."""
    webhook_env: str | None = None
    """Environment variable that holds the URL of the webhook."""
    outcomes: tuple[Outcome, ...] = ("pushed", "refused", "failed", "kept")
    """Outcomes of a tick that are sent."""
    signing_key_env: str | None = None
    """Environment variable that holds a key; the HMAC-SHA256 of the body by this key is sent with it."""
    metrics_file: str | None = None
    """.prom file in Prometheus' text format, for example for node_exporter's textfile collector."""

    def __post_init__(self) -> None:
        check_fields(self, "notify")
        if self.webhook is not None and not is_http(self.webhook):  # the value may be a secret: it is not shown
            raise ValueError(f"notify.webhook {HTTP_RULE}")
        if self.webhook is not None and self.webhook_env is not None:
            raise ValueError(f"notify.webhook_env={self.webhook_env} must be left out if notify.webhook is given")
        for name in VARIABLES:
            value = getattr(self, name)
            if value is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
                raise ValueError(f"notify.{name} must be an environment variable's name, not its value")
        if self.signing_key_env is not None and self.webhook is None and self.webhook_env is None:
            raise ValueError(f"notify.signing_key_env={self.signing_key_env} must go with a webhook")
        if self.metrics_file is not None and Path(self.metrics_file).suffix != ".prom":
            raise ValueError(f"notify.metrics_file={self.metrics_file} must end in .prom")

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that must be set where a tick runs."""
        return tuple(value for name in VARIABLES if (value := getattr(self, name)) is not None)


def is_http(url: str) -> bool:
    """Whether a URL satisfies `HTTP_RULE`."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is not a number, or a malformed IPv6 address
        return False
    plain = re.fullmatch(r"[!-~]+", url) is not None and "@" not in parts.netloc
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
