"""Adds the command line to an error of the library: the flag that a person typed, and what to do."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence

from farebox.components.errors import InputError

# What to do about a value, by the key that an error's message begins with.
HINTS = {
    "beam.job_endpoint": "`make flink` starts one on this machine",
    "beam.extra_package": "`make wheel` builds one",
    "data": "`--data FILE or FOLDER`",
    "override": "`--set gates.max_rmse=4`",
    "spans.pattern": "`farebox retrain` takes spans, with `--set spans.pattern=span-{SPAN}`; `farebox run` takes none",
}


def explain(message: str, arguments: Sequence[str]) -> str:
    """The message, with `--` before a key that was typed as a flag, else with the hint for that key.

    The key stands at the beginning, or after the name of a city file. A setting among the overrides was typed behind
    `--set`.

    >>> explain("seed=x must be a number", ["data", "simulate", "--seed", "x"])
    '--seed=x must be a number'
    >>> explain("overrides: training.epochs=0 must be at least 1", [])
    '--set training.epochs=0 must be at least 1'
    """
    from farebox.pipeline.settings.load import OVERRIDES

    message = re.sub(rf"(^|; ){OVERRIDES}: ", r"\1--set ", message)
    key = re.match(r"(?:\S+\.ya?ml: |--set )?([\w.]+)[=: ]", message)
    if key is None:
        return message
    flag = "--" + key[1].replace("_", "-")
    if key[0].endswith("=") and any(argument.partition("=")[0] == flag for argument in arguments):
        return message[: key.start(1)] + flag + message[key.end(1) :]
    return f"{message} ({HINTS[key[1]]})" if key[1] in HINTS else message


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
