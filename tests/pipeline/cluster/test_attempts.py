"""Lines about requests that got no answer."""

from __future__ import annotations

import pytest
import urllib3

from farebox.components.errors import InputError
from farebox.pipeline.cluster.attempts import Caller


def refused() -> None:
    """Each call has a connection of its own, whose address is in urllib3's text."""
    urllib3.PoolManager(retries=False).request("GET", "http://127.0.0.1:1/")


def test_a_refused_connection_is_told_once_and_plainly():
    said: list[str] = []
    caller = Caller("--host=http://127.0.0.1:1", {}, patience=0.5, say=said.append)
    with pytest.raises(InputError) as raised:
        caller.patiently(refused)
    assert "Connection refused, for 0.5 s" in str(raised.value) and "object at" not in str(raised.value)
    assert len(said) == 1 and said[0].endswith("Connection refused; trying again")
