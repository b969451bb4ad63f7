"""Requests that may fail: repeats them with backoff, looks before each second send, explains errors in one line."""

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

Item = TypeVar("Item")

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
BAD_REQUEST, NOT_FOUND, CONFLICT = 400, 404, 409
UNTRUSTED = 495  # nginx's number for a certificate's error, which has no status
MAX_MESSAGE = 300
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 1 / 120, 1 / 6, 2.0  # of the patience; a random share of each is waited


@dataclass(frozen=True)
class Ensured(Generic[Item]):
    """is_found: someone else created it. n_sent: requests to create it; above 1 only if answers were lost."""

    item: Item
    is_found: bool
    n_sent: int


@dataclass(frozen=True)
class Caller:
    """place: the beginning of each error line. hints: what to do, by status. say: called for each failed attempt.

    secrets: returns the texts that no line may show; they may change while the program runs.
    """

    place: str
    hints: Mapping[int, str]
    patience: float
    say: Say = lambda _: None
    secrets: Callable[[], Sequence[str]] = tuple

    def patiently(self, call: Callable[..., Item], *arguments: Any) -> Item:
        """The result of `call`, repeated while its errors may pass. Raises InputError for an error of the service."""
        with quiet():
            from google.api_core import exceptions, retry

        lines: list[str] = []

        def report(error: Exception) -> None:
            """One line for equal errors in a row."""
            lines.append(f"{self.place}: {self.shown(error)}; trying again")
            if lines[-2:-1] != lines[-1:]:
                self.say(lines[-1])

        pauses = self.patience * FIRST_PAUSE, self.patience * LONGEST_PAUSE, GROWTH
        repeated = retry.Retry(is_transient, *pauses, timeout=self.patience, on_error=report)
        try:
            return repeated(call)(*arguments)
        except exceptions.RetryError as error:
            raise self.explained(error.cause or error, gave_up=True) from error
        except Exception as error:
            if not is_of_service(error):
                raise
            raise self.explained(error) from error

    def ensure(self, find: Callable[[], Sequence[Item]], create: Callable[[], Item]) -> Ensured[Item]:
        """The oldest existing item, or a new one.

        After a lost answer it looks before it sends again; an item that someone else has created meanwhile (409) is
        found."""
        n_sent, is_ours = 0, False

        def attempt() -> Item:
            nonlocal n_sent, is_ours
            if items := find():
                is_ours = n_sent > 0
                return items[0]
            n_sent, is_ours = n_sent + 1, True
            try:
                return create()
            except Exception as error:
                if status_of(error) == CONFLICT and (items := find()):
                    is_ours = n_sent > 1
                    return items[0]
                raise

        item = self.patiently(attempt)
        return Ensured(item, is_found=not is_ours, n_sent=n_sent)

    def shown(self, error: BaseException) -> str:
        """Status and message of an error in one line, without secrets."""
        status = status_of(error)
        text = f"{status} {message_of(error)}" if status else message_of(error)
        for secret in self.secrets():
            text = text.replace(secret, "***")
        return re.sub(r"(?i)bearer\s+\S+", "Bearer ***", text)

    def explained(self, error: BaseException, *, gave_up: bool = False) -> InputError:
        """One line: place, the service's answer, how long it was tried, what to do."""
        status = status_of(error)
        tried = f", for {self.patience:g} s" if gave_up else ""
        cause = status or (401 if is_login(error) else UNTRUSTED if "SSL" in repr(error) else 0)
        family = cause // 100 * 100
        hint = self.hints.get(cause) or (self.hints.get(family, "") if family in (300, 500) else "")
        return InputError(f"{self.place}: {self.shown(error)}{tried}{'; ' if hint else ''}{hint}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides the libraries' warnings about Python's version and about themselves."""
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
    """Whether the service or the connection caused it; other errors are bugs and print a traceback."""
    is_of_kfp = type(error).__name__ == "ApiException"  # its status is 0 if TLS failed
    return is_of_kfp or status_of(error) is not None or is_unreachable(error) or is_login(error)


def is_unreachable(error: BaseException) -> bool:
    """Whether no answer came: no connection, a lost one, or a timeout. kfp uses urllib3, google-auth requests."""
    import requests
    import urllib3
    from google.auth import exceptions

    if isinstance(error, exceptions.RefreshError):
        return False
    kinds = (urllib3.exceptions.HTTPError, requests.exceptions.RequestException, exceptions.TransportError)
    return isinstance(error, (*kinds, ConnectionError, TimeoutError))


def is_login(error: BaseException) -> bool:
    """Whether google-auth found no credentials, or got no token for them."""
    from google.auth import exceptions

    return isinstance(error, exceptions.GoogleAuthError) and not isinstance(error, exceptions.TransportError)


def is_transient(error: BaseException) -> bool:
    """Whether a repetition may help: not with an untrusted certificate, but with every other lost connection."""
    status = status_of(error)
    if status is not None:
        return status in TRANSIENT
    return is_unreachable(error) and "SSL" not in repr(error)


def message_of(error: BaseException) -> str:
    """The service's own message, cut to one line of 300 characters."""
    if status_of(error) is None and is_unreachable(error):
        error = innermost(error)
        if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
            return "no answer in time"
        return _line(re.sub(r"<[\w.]+ object at 0x\w+>: ", "", str(error)))  # urllib3 1 names its connection so
    body = getattr(error, "body", None)
    text = (
        _body_message(body) if body else getattr(error, "message", None) or getattr(error, "reason", None) or str(error)
    )
    return _line(re.sub(r"^[A-Z]+ https?://\S+: ", "", str(text)))  # google.api_core repeats the request


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]}..."


def innermost(error: BaseException) -> BaseException:
    """The innermost error that urllib3 and requests wrap: a refused connection, an unknown host name."""
    candidates = [getattr(error, "reason", None), error.__cause__, *error.args]
    inner = next((each for each in candidates if isinstance(each, BaseException)), None)
    return innermost(inner) if inner else error


def _body_message(body: str | bytes) -> str:
    """The message in a JSON error of Kubeflow's; `a web page` for HTML."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        content = json.loads(text)
    except ValueError:
        return "a web page" if "<html" in text.lower() else text
    if not isinstance(content, dict):
        return text
    return str(content.get("message") or content.get("error_message") or content.get("error") or text)
