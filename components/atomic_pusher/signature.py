"""Ed25519 (RFC 8032) over a manifest's bytes, which hold the SHA-256 of the model: one signature covers both.

Import this late: it imports `cryptography`, which commands without signatures do not need.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from farebox.components.errors import InputError


def signing_key(path: str) -> Ed25519PrivateKey:
    """The private key in a PEM file. Raises InputError if it is not one."""
    key: Ed25519PrivateKey = _key(
        "push.signing_key", path, Ed25519PrivateKey, lambda pem: load_pem_private_key(pem, password=None)
    )
    return key


def public_key(path: str) -> Ed25519PublicKey:
    """The public key in a PEM file. Raises InputError if it is not one."""
    key: Ed25519PublicKey = _key("key", path, Ed25519PublicKey, load_pem_public_key)
    return key


def is_signed(manifest: bytes, signature: bytes | None, key: Ed25519PublicKey) -> bool:
    """Whether this key's owner signed these bytes."""
    try:
        key.verify(signature or b"", manifest)
    except InvalidSignature:
        return False
    return True


def _key(name: str, path: str, kind: Any, load: Callable[[bytes], object]) -> Any:
    """Reads a key of this kind; error messages say nothing of the key except its kind."""
    must = f"{name}={path} must be an Ed25519 {'private' if kind is Ed25519PrivateKey else 'public'} key in PEM format"
    try:
        key = load(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"{must}: {error.strerror}") from error
    except TypeError as error:  # raised by cryptography for a key with a password
        raise InputError(f"{must} and without a password, got one with") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{must}, got something else") from error
    if not isinstance(key, kind):
        raise InputError(f"{must}, got {type(key).__name__.strip('_')}")
    return key
