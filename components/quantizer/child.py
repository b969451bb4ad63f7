"""A process of its own for native code: what crashes, hangs or takes all memory there is a line of the log here."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from typing import IO, Any

from farebox.components.errors import InputError
from farebox.components.quantizer.native import converted, quantized

TIMEOUT_S = 300  # of one call
TIMES, LEAST_S = 5, 20  # of the first answer's time, and seconds: for a call that takes about as long
MEMORY_SHARE = 0.75  # of the machine's, at most
READY = b"!"  # what a process sends once it takes requests
MOST_WORDS = 200  # characters of a dead process's own words
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from farebox.components.quantizer.child import serve; serve(int(sys.argv[2]), int(sys.argv[3]))"
)


class ChildError(RuntimeError):
    """A call that ended in an error, in the process's death, or not in time; the text says which."""


class Child:
    """Calls functions in one process, which starts with the context, ends with it, and starts again after it died.

    A function and its arguments must be what pickle can carry. alike: functions whose calls take about as long as their
    first one, which is the float32 file's; a later call may take TIMES as long.
    """

    def __init__(
        self, timeout_s: float = TIMEOUT_S, *, alike: tuple[Callable[..., Any], ...] = (converted, quantized)
    ) -> None:
        self._timeout_s, self._alike = timeout_s, alike
        self._first_s: dict[Callable[..., Any], float] = {}  # seconds to the first answer
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self.cpu_s = 0.0  # of all calls that were answered

    def __enter__(self) -> Child:
        self._start()  # it imports TensorFlow meanwhile
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Returns the function's result.

        Raises InputError if the function does, and ChildError if it raises something else, dies or takes too long.
        """
        with self._lock:
            if self._process is None:
                self._start()
            answer = self._answer(pickle.dumps((function, arguments)), self._limit_s(function))
            self.cpu_s += answer.get("cpu_s", 0.0)
        if "result" in answer:
            self._first_s.setdefault(function, answer["seconds"])
            return answer["result"]
        if answer["is_input_error"]:
            raise InputError(answer["error"])
        raise ChildError(answer["error"])

    def _start(self) -> None:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        command = [sys.executable, "-I", "-c", BOOT, json.dumps(sys.path), str(requests), str(answers)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._words, stderr=self._words, pass_fds=(requests, answers)
        )
        os.close(requests)
        os.close(answers)
        self._is_ready = False

    def _limit_s(self, function: Callable[..., Any]) -> float:
        """Seconds that a call may take."""
        if function not in self._alike or function not in self._first_s:
            return self._timeout_s
        return min(self._timeout_s, max(LEAST_S, TIMES * self._first_s[function]))

    def _answer(self, request: bytes, limit_s: float) -> dict[str, Any]:
        """The answer to a request, or how the process ended in words."""
        try:
            if not self._is_ready:
                self._is_ready = bool(self._read(len(READY), time.monotonic() + self._timeout_s))
            start = time.monotonic()
            deadline = start + limit_s
            with contextlib.suppress(BrokenPipeError):
                _write(self._requests, request)
            size = int.from_bytes(self._read(8, deadline), "big")
            answer: dict[str, Any] = pickle.loads(self._read(size, deadline))
            return answer | {"seconds": time.monotonic() - start}
        except TimeoutError:
            self._end()
            return {"error": f"no answer within {limit_s:.3g} s", "is_input_error": False}
        except EOFError:
            return {"error": self._death(), "is_input_error": False}

    def _read(self, size: int, deadline: float) -> bytes:
        content = bytearray()
        while len(content) < size:
            if not select.select([self._answers], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TimeoutError
            part = os.read(self._answers, size - len(content))
            if not part:
                raise EOFError
            content += part
        return bytes(content)

    def _death(self) -> str:
        """How the process ended, with the last of its own words."""
        assert self._process is not None
        code = self._process.wait()
        self._words.seek(0)
        lines = [line for line in self._words.read().decode(errors="replace").splitlines() if line.strip()]
        died = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self._end()
        return f"{died}: {lines[-1].strip()[:MOST_WORDS]}" if lines else died

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        os.close(self._requests)
        os.close(self._answers)
        self._words.close()
        self._process = None


def serve(requests: int, answers: int) -> None:
    """The process: answers requests until their pipe is closed."""
    _limit_memory()
    # Without the variable TensorFlow imports Keras 3, 1.2 CPU s, which nothing here uses.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    import tensorflow  # noqa: F401 - its time is not the first request's

    os.write(answers, READY)
    with os.fdopen(requests, "rb") as file:
        while True:
            try:
                request = _read_message(file)
            except EOFError:
                return
            start = time.process_time()
            answer = _called(request)
            _write(answers, pickle.dumps(answer | {"cpu_s": time.process_time() - start}))


def _called(request: bytes) -> dict[str, Any]:
    try:
        function, arguments = pickle.loads(request)
        return {"result": function(*arguments)}
    except InputError as error:
        return {"error": str(error), "is_input_error": True}
    except Exception as error:  # the caller raises it again
        traceback.print_exc()
        lines = str(error).strip().splitlines()
        return {"error": f"{type(error).__name__}: {lines[0] if lines else ''}", "is_input_error": False}


def _limit_memory() -> None:
    """Refuses memory beyond a share of the machine's: a conversion then fails, and the machine does not stop."""
    most = int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _read_message(file: IO[bytes]) -> bytes:
    size = int.from_bytes(_exactly(file, 8), "big")
    return _exactly(file, size)


def _exactly(file: IO[bytes], size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _write(descriptor: int, content: bytes) -> None:
    """Writes a message with its length."""
    rest = memoryview(len(content).to_bytes(8, "big") + content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
