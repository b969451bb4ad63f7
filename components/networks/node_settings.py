"""The `settings` argument of a component: a dataclass, a mapping or JSON text. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from farebox.components.errors import InputError

SettingsT = TypeVar("SettingsT")

DEFAULT_SHARE = 0.002  # of the error, that a stage may add to it


def settings_of(kind: type[SettingsT], settings: SettingsT | Mapping[str, Any] | str, section: str) -> SettingsT:
    """Returns the settings as `kind`, a dataclass; `section` stands before each key in a message.

    Raises:
        InputError: the text is not a JSON object, or it has a key that `kind` does not have.
        ValueError: a value is out of its bounds.
    """
    if isinstance(settings, kind):
        return settings
    values = _from_json(settings, section) if isinstance(settings, str) else settings
    if not isinstance(values, Mapping):
        raise InputError(f"{section}: settings must be {kind.__name__}, a mapping or JSON text, got {settings!r}")
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise InputError(f"{section}.{key} must be one of the settings {', '.join(known)}")
    return kind(**values)


def _from_json(text: str, section: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{section}: settings must be JSON, got {text!r}: {error}") from error


def as_json(settings: Any) -> str:
    """Returns a settings dataclass as an execution property: equal settings give equal text."""
    return json.dumps(dataclasses.asdict(settings), sort_keys=True)
