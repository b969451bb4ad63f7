"""What a user may set of Pusher. No TFX here."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class PushSettings:
    """keep: versions of a city, the latest and the one before it among them; older ones are removed after a push.

    signing_key: path of an Ed25519 private key (PEM, without a password) that signs each manifest; None for no
    signature.
    """

    keep: int = 10
    signing_key: str | None = None

    def __post_init__(self) -> None:
        if self.keep < 2:
            raise ValueError(f"push.keep={self.keep} must be at least 2: the latest version and one to roll back to")
        if self.signing_key == "":
            raise ValueError("push.signing_key='' must be the path of a private key, or null")
