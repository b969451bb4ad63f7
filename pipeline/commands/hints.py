"""The words of the command line that an error of the library lacks: the flag that a person typed, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What to do about a value, by the key that an error's message begins with.
HINTS = {
    "beam.job_endpoint": "`make flink` starts one on this machine",
    "beam.extra_package": "`make wheel` builds one",
    "cluster.image": "`--image NAME:TAG`; `make image` builds it",
    "cluster.root": "`--root gs://BUCKET/FOLDER`",
    "data": "`--data FILE or FOLDER`",
    "spans.pattern": "`farebox retrain` takes spans, with `--set spans.pattern=span-{SPAN}`; `farebox run` takes none",
}


def explain(message: str, arguments: Sequence[str]) -> str:
    """The message, with `--` before a key that was typed as a flag, else with the hint for that key.

    >>> explain("seed=x must be a number", ["data", "simulate", "--seed", "x"])
    '--seed=x must be a number'
    """
    key = re.match(r"([\w.]+)[=: ]", message)
    if key is None:
        return message
    flag = "--" + key[1].replace("_", "-")
    if key[0].endswith("=") and any(argument.partition("=")[0] == flag for argument in arguments):
        return flag + message[key.end(1) :]
    return f"{message} ({HINTS[key[1]]})" if key[1] in HINTS else message
