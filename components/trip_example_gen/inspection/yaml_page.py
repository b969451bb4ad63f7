"""A YAML mapping with comments, written for people to edit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*(?: [\w./-]+)*")
OPEN = "# ?"  # begins a comment that asks


class Page:
    """Lines of YAML. `open` lines are comments with a question or with a line to choose."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def comment(self, text: str, indent: int = 0) -> None:
        """Adds a comment of its own line."""
        self._lines += [f"{'  ' * indent}# {line}".rstrip() for line in text.splitlines()]

    def key(self, name: str, value: Any = None, note: str = "", indent: int = 1, *, is_open: bool = False) -> None:
        """Adds a key and its value, and a note behind it; without a value, the head of a section."""
        line = f"{'  ' * indent}{name}:" + ("" if value is None else f" {flow(value)}")
        self._lines.append(line + (f"  {OPEN if is_open else '#'} {note}" if note else ""))

    def choice(self, name: str, value: Any, note: str, indent: int = 1) -> None:
        """Adds a line that a person may choose by taking its mark away."""
        self._lines.append(f"{'  ' * indent}{OPEN} {name}: {flow(value)}  # {note}")

    def question(self, text: str, indent: int = 1) -> None:
        """Adds a comment that asks."""
        self._lines.append(f"{'  ' * indent}{OPEN} {text}")

    def text(self) -> str:
        """All lines."""
        return "\n".join(self._lines) + "\n"


def flow(value: Any) -> str:
    """A value in YAML's flow style, in one line.

    >>> flow({"min": 2.5, "max": 200.0}), flow(("a b", "%Y: x"))
    ('{min: 2.5, max: 200}', '[a b, "%Y: x"]')
    """
    match value:
        case bool() | None:
            return json.dumps(value)
        case float():
            return repr(value).removesuffix(".0")
        case str():
            return value if _is_plain(value) else json.dumps(value, ensure_ascii=False)
        case Mapping():
            return "{" + ", ".join(f"{flow(key)}: {flow(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
        case _:
            return str(value)


def _is_plain(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text)) and yaml.safe_load(text) == text
