"""Requests that may fail: repeated with backoff while there is hope, never twice blindly, explained in one line."""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from farebox.components.errors import InputError
from farebox.pipeline.cluster.service import Say

Found = TypeVar("Found")

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
BAD_REQUEST, NOT_FOUND, CONFLICT = 400, 404, 409
UNTRUSTED = 495  # nginx's number for a certificate's error, which has no status
MAX_MESSAGE = 300
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 1 / 120, 1 / 6, 2.0  # of the patience; a random share of each is waited


@dataclass(frozen=True)
class Ensured(Generic[Found]):
    """existed: someone else made it. sent: how often it was asked for; more than once where answers were lost."""

    item: Found
    existed: bool
    sent: int


@dataclass(frozen=True)
class Caller:
    """place: what an error line begins with. hints: what to do, by status. say: told of each failed attempt.

    secrets: what no line may show, at the moment when it is asked for.
    """

    place: str
    hints: Mapping[int, str]
    patience: float
    say: Say = lambda line: None
    secrets: Callable[[], Sequence[str]] = tuple

    def patiently(self, call: Callable[..., Found], *arguments: Any) -> Found:
        """What `call` returns, repeated while its errors may pass. Raises InputError for an error of the service."""
        with quiet():
            from google.api_core import exceptions, retry

        lines: list[str] = []

        def told(error: Exception) -> None:
            """Once for errors that are alike."""
            lines.append(f"{self.place}: {self.shown(error)}; trying again")
            if lines[-2:-1] != lines[-1:]:
                self.say(lines[-1])

        pauses = self.patience * FIRST_PAUSE, self.patience * LONGEST_PAUSE, GROWTH
        repeated = retry.Retry(is_transient, *pauses, timeout=self.patience, on_error=told)
        try:
            return repeated(call)(*arguments)
        except exceptions.RetryError as error:
            raise self.explained(error.cause or error, gave_up=True) from error
        except Exception as error:
            if not is_of_service(error):
                raise
            raise self.explained(error) from error

    def ensure(self, find: Callable[[], Sequence[Found]], create: Callable[[], Found]) -> Ensured[Found]:
        """The eldest found, or a created one: whenever an answer was lost, it looks before it sends again, and what
        someone else has created meanwhile (409) is found."""
        sent, ours = 0, False

        def attempt() -> Found:
            nonlocal sent, ours
            if found := find():
                ours = sent > 0
                return found[0]
            sent, ours = sent + 1, True
            try:
                return create()
            except Exception as error:
                if status_of(error) == CONFLICT and (found := find()):
                    ours = sent > 1
                    return found[0]
                raise

        return Ensured(self.patiently(attempt), not ours, sent)

    def shown(self, error: BaseException) -> str:
        """Status and message of an error in one line, without secrets."""
        status = status_of(error)
        text = f"{status} {message_of(error)}" if status else message_of(error)
        for secret in self.secrets():
            text = text.replace(secret, "***")
        return re.sub(r"(?i)bearer\s+\S+", "Bearer ***", text)

    def explained(self, error: BaseException, gave_up: bool = False) -> InputError:
        """One line: where, what was answered, how long it was tried, what to do."""
        status = status_of(error)
        tried = f", for {self.patience:g} s" if gave_up else ""
        known = status or (401 if is_login(error) else UNTRUSTED if "SSL" in repr(error) else 0)
        family = known // 100 * 100
        hint = self.hints.get(known) or (self.hints.get(family, "") if family in (300, 500) else "")
        return InputError(f"{self.place}: {self.shown(error)}{tried}{'; ' if hint else ''}{hint}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the libraries' warnings about Python's version and about themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def status_of(error: BaseException) -> int | None:
    """The HTTP status of an error of kfp_server_api (`status`) or google.api_core (`code`)."""
    for name in ("status", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int) and value:
            return int(value)
    return None


def is_of_service(error: BaseException) -> bool:
    """Whether it comes from the service or the way to it; all else is a bug and keeps its traceback."""
    apart = type(error).__name__ == "ApiException"  # status 0 where TLS failed
    return apart or status_of(error) is not None or is_unreachable(error) or is_login(error)


def is_unreachable(error: BaseException) -> bool:
    """No answer: no connection, a lost one, or too late. kfp uses urllib3, google-auth requests."""
    import requests
    import urllib3
    from google.auth import exceptions

    if isinstance(error, exceptions.RefreshError):
        return False
    kinds = (urllib3.exceptions.HTTPError, requests.exceptions.RequestException, exceptions.TransportError)
    return isinstance(error, (*kinds, ConnectionError, TimeoutError))


def is_login(error: BaseException) -> bool:
    """google-auth found no credentials, or those it found give no token."""
    from google.auth import exceptions

    return isinstance(error, exceptions.GoogleAuthError) and not isinstance(error, exceptions.TransportError)


def is_transient(error: BaseException) -> bool:
    """A certificate that is not trusted stays so; every other lost connection may come back."""
    status = status_of(error)
    if status is not None:
        return status in TRANSIENT
    return is_unreachable(error) and "SSL" not in repr(error)


def message_of(error: BaseException) -> str:
    """The service's own words, cut to one line of 300 characters."""
    if status_of(error) is None and is_unreachable(error):
        error = root(error)
        if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
            return "no answer in time"
        return _line(str(error))
    body = getattr(error, "body", None)
    text = _of_body(body) if body else getattr(error, "message", None) or getattr(error, "reason", None) or str(error)
    return _line(re.sub(r"^[A-Z]+ https?://\S+: ", "", str(text)))  # google.api_core repeats the request


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]}..."


def root(error: BaseException) -> BaseException:
    """What urllib3 and requests wrap, some deep: a refused connection, a name that nobody knows."""
    inner = [getattr(error, "reason", None), error.__cause__, *error.args]
    found = next((each for each in inner if isinstance(each, BaseException)), None)
    return root(found) if found else error


def _of_body(body: str | bytes) -> str:
    """The message in a JSON error of Kubeflow's; of a web page, only that it is one."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        content = json.loads(text)
    except ValueError:
        return "a web page" if "<html" in text.lower() else text
    if not isinstance(content, dict):
        return text
    return content.get("message") or content.get("error_message") or content.get("error") or text
