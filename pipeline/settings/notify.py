"""Who hears of a tick. No address with a secret need stand in a file: a variable may hold it."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from pathlib import Path
from typing import Literal

Outcome = Literal["pushed", "refused", "failed", "kept"]
HTTP_RULE = "must be an http:// or https:// address of ASCII characters, with a host and without a password"
VARIABLES = ("webhook_env", "signing_key_env")


@dataclasses.dataclass(frozen=True)
class NotifySettings:
    """After a tick of `farebox retrain`.

    webhook: an http(s) URL that each tick's record is POSTed to, as JSON; webhook_env: a variable that holds the URL.
    outcomes: of which ticks. signing_key_env: a variable with a key; its HMAC-SHA256 of the body goes along.
    metrics_file: a .prom file in Prometheus' text format, such as node_exporter's textfile collector reads.
    """

    webhook: str | None = dataclasses.field(default=None, repr=False)  # a secret may be in it
    webhook_env: str | None = None
    outcomes: tuple[Outcome, ...] = ("pushed", "refused", "failed", "kept")
    signing_key_env: str | None = None
    metrics_file: str | None = None

    def __post_init__(self) -> None:
        if self.webhook is not None and not is_http(self.webhook):  # the value may be a secret: it is not shown
            raise ValueError(f"notify.webhook {HTTP_RULE}")
        if self.webhook is not None and self.webhook_env is not None:
            raise ValueError(f"notify.webhook_env={self.webhook_env} must be left out where notify.webhook is given")
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
        """Those that must be set where a tick runs."""
        return tuple(value for name in VARIABLES if (value := getattr(self, name)) is not None)


def is_http(url: str) -> bool:
    """Whether `HTTP_RULE` holds."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is no number, an IPv6 address that is none
        return False
    plain = re.fullmatch(r"[!-~]+", url) is not None and "@" not in parts.netloc
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
