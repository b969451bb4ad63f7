"""Options that several commands share, and the flags that an error of the library is about."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated

import typer

from farebox.components.errors import InputError

City = Annotated[str, typer.Option(help="A shipped city (chicago, nyc) or your own city.yaml.")]
Data = Annotated[str | None, typer.Option(help="A CSV or Parquet file, or a folder of them.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting, e.g. gates.max_rmse=4.")
]


@contextlib.contextmanager
def flags_in_errors(flags: Mapping[str, str]) -> Iterator[None]:
    """Names the flag in an InputError that begins with a key of the library; flags: by that key."""
    try:
        yield
    except InputError as error:
        message = with_flag(str(error), flags)
        if message == str(error):
            raise
        raise InputError(message) from error


def with_flag(message: str, flags: Mapping[str, str]) -> str:
    """`host=x must ...` becomes `--host=x must ...`; a setting keeps its key, and the flag comes last."""
    for key, flag in flags.items():
        if re.match(rf"{re.escape(key)}[= :]", message):
            return f"{message}; set it with {flag}" if "." in key else flag + message.removeprefix(key)
    return message
