"""Errors that people, not developers, have to mend. The command line prints them as one line."""


class InputError(ValueError):
    """Input that cannot be used: names the value, the bound and the place (exit code 2)."""


class GateError(RuntimeError):
    """A gate refused and the run cannot go on (exit code 3)."""
