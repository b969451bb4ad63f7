"""Results in a folder, by a digest of all that decides them: what was interrupted goes on from there."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras
from absl import logging

from farebox.components.tflite import interpreter

ROOMS = ("compression", "networks", "pca_reducer", "pruner", "quantizer", "tflite")  # whose sources decide a result
DIGEST_BYTES = hashlib.sha256().digest_size
Part = Any  # bytes, a text, arrays by name, or a network


class Memo:
    """Bytes and networks in a folder; without a folder nothing is kept.

    basis: what all results depend on: bytes, texts, arrays by name, or networks. Sources of Farebox and the version of
    the interpreter are part of it. `content` and `network` take the further parts that a result depends on.
    """

    def __init__(self, folder: Path | None = None, *basis: Part) -> None:
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._basis = _digest(*basis, _sources(), repr(interpreter.runtime()))

    def content(self, make: Callable[[], bytes], *parts: Part) -> bytes:
        """The result as it was made before, else as `make` makes it; an error is made again."""
        if self._folder is None:
            return make()
        place = self._folder / _digest(self._basis, *parts)
        kept = _read(place)
        if kept is None:
            _write(place, kept := make())
        return kept

    def network(self, make: Callable[[], keras.Model], source: keras.Model, *parts: Part) -> keras.Model:
        """The same for a network made of another one."""
        if self._folder is None:
            return make()
        made: list[keras.Model] = []

        def saved() -> bytes:
            made.append(make())
            with tempfile.TemporaryDirectory() as folder:
                made[0].save(f"{folder}/made.keras")
                return Path(folder, "made.keras").read_bytes()

        content = self.content(saved, source, *parts)
        return made[0] if made else self._loaded(content, source) or make()

    @staticmethod
    def _loaded(content: bytes, source: keras.Model) -> keras.Model | None:
        """The network of a file; None if Keras cannot read it, as with an unusual layer."""
        kinds = {type(layer).__name__: type(layer) for layer in source.layers}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "made.keras")
            path.write_bytes(content)
            try:
                return keras.models.load_model(path, compile=False, custom_objects=kinds)
            except (TypeError, ValueError) as error:
                logging.info("a kept network cannot be read, and is made again: %s", str(error).partition("\n")[0])
                return None


def _read(path: Path) -> bytes | None:
    """The content as it was written; None if there is none, or another one, as after a power failure."""
    try:
        whole = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, content = whole[:DIGEST_BYTES], whole[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def _write(path: Path, content: bytes) -> None:
    """Writes a file, behind a digest of it, whole or not at all; a full disk only keeps nothing."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        part.write_bytes(hashlib.sha256(content).digest() + content)
        part.replace(path)
    except OSError as error:
        logging.warning("%s cannot be kept: %s", path, error.strerror)
        part.unlink(missing_ok=True)


def _digest(*parts: Part) -> str:
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, keras.Model):
            whole.update(json.dumps(part.get_config(), sort_keys=True, default=str).encode())
            part = {str(number): weight for number, weight in enumerate(part.get_weights())}  # noqa: PLW2901
        if isinstance(part, dict):
            for name, values in part.items():
                whole.update(f"{name} {values.dtype} {values.shape}".encode())
                whole.update(np.ascontiguousarray(values).tobytes())
        else:
            content = part.encode() if isinstance(part, str) else part
            whole.update(len(content).to_bytes(8, "big") + content)
    return whole.hexdigest()


@functools.cache
def _sources() -> str:
    """A digest of the sources that decide a result."""
    components = Path(__file__).parents[1]
    files = sorted(path for room in ROOMS for path in (components / room).rglob("*.py"))
    return _digest(*(path.read_bytes() for path in files))
