"""Settings of the log of a run elsewhere, beside the files of its own folder."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from farebox.components.errors import check_fields
from farebox.pipeline.settings.notify import HTTP_RULE, is_http


@dataclasses.dataclass(frozen=True)
class TrackingSettings:
    """Log of each local run on a tracking server; `tracking: mlflow` is short for `{to: mlflow}`."""

    to: Literal["none", "mlflow"] = "none"
    """Kind of the server."""
    uri: str | None = None
    """http(s) address of the server; null for the environment variable MLFLOW_TRACKING_URI."""
    experiment: str | None = None
    """Name of the experiment; null for `farebox-CITY`."""

    def __post_init__(self) -> None:
        check_fields(self, "tracking")
        if self.uri is not None and not is_http(self.uri):
            raise ValueError(f"tracking.uri={self.uri} {HTTP_RULE}")


def from_name(value: Any) -> Any:
    """Returns the settings of a name, and any other value as it is."""
    return TrackingSettings(value) if isinstance(value, str) else value  # type: ignore[arg-type]
