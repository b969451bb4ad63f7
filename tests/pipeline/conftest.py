"""The command line in this process."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def call(monkeypatch, capsys):
    """`farebox ...` in this process, which saves the imports: (exit code, stdout, stderr)."""
    from farebox.pipeline import cli

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["farebox", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        shown = capsys.readouterr()
        return end.value.code or 0, shown.out, shown.err

    return run
