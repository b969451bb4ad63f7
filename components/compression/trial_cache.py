"""Finished trials in a folder, by a digest of all that decides them: an interrupted compression goes on from there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from farebox.components.quantizer.trials import QuantizationTrial
from farebox.components.tflite import interpreter

ROOMS = ("compression", "networks", "quantizer", "tflite")  # whose sources decide a trial
FIELDS = ("error", "figures", "expected_error", "ops", "dtypes", "steps")  # besides the file; time is measured anew


class TrialCache:
    """Trials by digest, in a folder; without a folder nothing is kept.

    basis: what all trials depend on: bytes, texts, or arrays by name. Sources of Farebox and the version of the
    interpreter are part of it.
    """

    def __init__(self, folder: Path | None, *basis: bytes | str | Mapping[str, Any]) -> None:
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._basis = _digest(*basis, _sources(), repr(interpreter.runtime()))

    def finished(self, trial: QuantizationTrial, make: Callable[[], QuantizationTrial]) -> QuantizationTrial:
        """Returns the trial as it was finished before, else as `make` finishes it; failed ones are made again."""
        if self._folder is None:
            return make()
        place = self._folder / _digest(self._basis, trial.name)
        facts = _read(place)
        if facts is not None:
            trial.set_content(place.with_suffix(".tflite").read_bytes())
            return dataclasses.replace(trial, **{**facts, "steps": tuple(facts["steps"])})
        done = make()
        if done.content and np.isfinite(done.error):
            _write(place.with_suffix(".tflite"), done.content)
            _write(place.with_suffix(".json"), json.dumps({name: getattr(done, name) for name in FIELDS}).encode())
        return done


def _read(place: Path) -> dict[str, Any] | None:
    """The facts of a finished trial, None without a whole one; they are written last."""
    try:
        facts = json.loads(place.with_suffix(".json").read_bytes())
    except (OSError, ValueError):
        return None
    is_whole = isinstance(facts, dict) and set(facts) == set(FIELDS) and place.with_suffix(".tflite").is_file()
    return facts if is_whole else None


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


def _digest(*parts: bytes | str | Mapping[str, Any]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, Mapping):
            for name, values in part.items():
                whole.update(f"{name} {values.dtype} {values.shape}".encode())
                whole.update(np.ascontiguousarray(values).tobytes())
        else:
            content = part.encode() if isinstance(part, str) else part
            whole.update(len(content).to_bytes(8, "big") + content)
    return whole.hexdigest()


def _sources() -> str:
    """A digest of the sources that decide a trial."""
    components = Path(__file__).parents[1]
    files = sorted(path for room in ROOMS for path in (components / room).rglob("*.py"))
    return _digest(*(path.read_bytes() for path in files))
