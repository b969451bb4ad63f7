"""Writers that die by SIGKILL, forked from one process that has imported what they need; run by test_push_crashes.py.

Usage: dying_writers.py steps|random|together FOLDER; prints what it counted as JSON.
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import fcntl
import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from farebox.components.atomic_pusher import canary, manifest, push, signature, versions
from farebox.components.atomic_pusher.settings import PushSettings
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import GateError, InputError

CALLS = ("open", "write", "fsync", "close", "replace", "rename", "chmod", "mkdir", "unlink", "rmdir")
A, B, C, D = (bytes([number]) * 10_000 for number in range(4))
NAME = {content: manifest.version_name(content) for content in (A, B, C, D)}


def ship(base: Path, content: bytes, **settings) -> None:
    push.push(content, LocalStore(base), {}, PushSettings(**settings), golden=content[:1])


def fork(work: Callable[[], None]) -> int:
    """A child that does the work and ends; 1 is the exit code of a traceback."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_at(step: int) -> list[str]:
    """From now on this process kills itself before its step-th file system call; a write has a step in its middle."""
    calls: list[str] = []

    def reach(name: str) -> None:
        calls.append(name)
        if len(calls) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(name: str, real: Callable) -> Callable:
        def call(*arguments, **options):
            reach(name)
            return real(*arguments, **options)

        return call

    for name in CALLS:
        setattr(os, name, counted(name, getattr(os, name)))
    whole = os.write

    def write(descriptor: int, content: memoryview) -> int:
        half = len(content) // 2
        done = whole(descriptor, content[:half])
        reach("half a write")
        return done + whole(descriptor, content[half:])

    os.write = write
    builtins.open = counted("builtins.open", builtins.open)
    fcntl.flock = counted("flock", fcntl.flock)
    return calls


def offered(base: Path, key: str | None = None) -> bytes:
    """What a reader gets. A version that is gone is looked up again; one that is not whole is an AssertionError."""
    return push.open_model(base, lambda file: whole(base, file.parent.name, key))


def whole(base: Path, name: str, key: str | None) -> bytes:
    files = LocalStore(base).version(name)
    if not {"fare.tflite", "manifest.json"} <= set(files):
        raise InputError(f"{name} has only {sorted(files)}")
    faults = manifest.faults(name, files)
    assert not faults, faults
    if key:
        public = signature.signing_key(key).public_key()
        assert signature.is_signed(files["manifest.json"], files.get("manifest.sig"), public)
    return files["fare.tflite"]


def state(base: Path) -> tuple:
    """All that a push is about; `created` differs from push to push, and so do manifests."""
    names = sorted(str(path.relative_to(base)) for path in base.rglob("*"))
    texts = [(base / name).read_text() for name in ("LATEST", "HISTORY", "CANDIDATE") if (base / name).exists()]
    return (*names, *texts, *(path.read_bytes() for path in sorted(base.glob("*/fare.tflite"))))


@contextlib.contextmanager
def scenarios(folder: Path) -> Iterator[dict[str, tuple]]:
    """By name: what is there before, the work, what a reader may get meanwhile, and the key that it asks for."""
    key = str(folder / "key.pem")
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    Path(key).write_bytes(Ed25519PrivateKey.generate().private_bytes(*pem))

    def three(base: Path) -> None:
        for content in (A, B, C):
            ship(base, content, signing_key=key)

    def three_rolled_back(base: Path) -> None:
        three(base)
        versions.rollback(base, NAME[A])

    def damaged(base: Path) -> None:
        three(base)
        (base / NAME[C] / "fare.tflite").write_bytes(b"damaged")

    def waiting(base: Path) -> None:
        three(base)
        ship(base, D, signing_key=key, canary=True)

    store = LocalStore
    yield {
        "candidate": (three, lambda base: ship(base, D, signing_key=key, canary=True, keep=3), (C,), key),
        "replaced": (waiting, lambda base: ship(base, A, signing_key=key, canary=True), (C,), key),
        "promoted": (waiting, lambda base: canary.promote(store(base), NAME[D], "better"), (C, D), key),
        "dropped": (waiting, lambda base: canary.drop(store(base), NAME[D], "worse"), (C,), key),
        "promoted by name": (waiting, lambda base: versions.rollback(base, NAME[D]), (C, D), key),
        "back with a reason": (waiting, lambda base: versions.rollback(base, NAME[B], "errs"), (C, B), key),
        "pushed past a candidate": (waiting, lambda base: ship(base, B, signing_key=key), (C, B), key),
        "first push": (lambda base: base.mkdir(), lambda base: ship(base, A), (None, A), None),
        "second push": (lambda base: ship(base, A), lambda base: ship(base, B), (A, B), None),
        "signed": (three, lambda base: ship(base, D, signing_key=key), (C, D), key),
        "signed later": (lambda base: ship(base, A), lambda base: ship(base, A, signing_key=key), (A,), None),
        "retention": (three, lambda base: ship(base, D, signing_key=key, keep=2), (C, D), key),
        "mended": (damaged, lambda base: ship(base, C, signing_key=key), ("damaged", C), None),
        "pushed again": (three, lambda base: ship(base, A, signing_key=key), (C, A), key),
        "rollback": (three, lambda base: versions.rollback(base, NAME[A]), (C, A), key),
        "named again": (three_rolled_back, lambda base: versions.rollback(base, NAME[C]), (A, C), key),
    }


def killed_at_every_step(folder: Path) -> dict[str, int]:
    """Steps by scenario. After each kill a reader gets the old or the new version; the same work again ends alike."""
    counts = {}
    with scenarios(folder) as all_scenarios:
        for name, (prepare, work, allowed, key) in all_scenarios.items():
            template, undisturbed = folder / name / "template", folder / name / "undisturbed"
            template.parent.mkdir()
            prepare(template)
            shutil.copytree(template, undisturbed)
            work(undisturbed)
            counts[name] = one_scenario(folder / name, template, state(undisturbed), work, allowed, key)
    return counts


def one_scenario(folder: Path, template: Path, wanted: tuple, work, allowed, key) -> int:
    for step in itertools.count(1):
        base = folder / "city"
        shutil.rmtree(base, ignore_errors=True)
        shutil.copytree(template, base)
        code = wait(fork(lambda step=step, base=base: (die_at(step), work(base))))
        assert code in (0, -signal.SIGKILL), code
        try:
            if None not in allowed or (base / "LATEST").exists():
                assert offered(base, key) in allowed
            assert all(push.is_intact(base / name) for name in LocalStore(base).versions())
        except AssertionError:
            assert "damaged" in allowed
        assert wait(fork(lambda base=base: work(base))) == 0
        assert state(base) == wanted, (folder.name, step, state(base)[:20], wanted[:20])
        if code == 0:
            return step - 1
    raise AssertionError


def killed_at_random(folder: Path, pushes: int = 200) -> dict[str, int]:
    """Pushes of four models in turn, of which two are kept, while a reader looks all the time."""
    base, random_ = folder / "city", random.Random(7)
    ship(base, A)
    stop, closing = os.pipe()
    reads, result = os.pipe()
    reader = fork(lambda: read_until(stop, closing, result, base))
    started = time.perf_counter()
    for content in (B, C, D):
        wait(fork(lambda content=content: ship(base, content, keep=2)))
    usual = (time.perf_counter() - started) / 3
    killed = 0
    for number in range(pushes):
        child = fork(lambda content=(A, B, C, D)[number % 4]: ship(base, content, keep=2))
        time.sleep(random_.uniform(0, 2 * usual))
        os.kill(child, signal.SIGKILL)
        killed += wait(child) != 0
    os.close(closing)
    assert wait(reader) == 0
    ship(base, A, keep=2)
    assert [path.name for path in base.glob(".*")] == [".lock"] and len(LocalStore(base).versions()) == 2
    seen, count = json.loads(os.read(reads, 100))
    return {"killed": killed, "pushes": pushes, "reads": count, "seen": seen}


def read_until(stop: int, closing: int, result: int, base: Path) -> None:
    """Reads and verifies until the other end of `stop` is closed."""
    os.close(closing)
    os.set_blocking(stop, False)
    seen: collections.Counter[bytes] = collections.Counter()
    while True:
        with contextlib.suppress(BlockingIOError):
            os.read(stop, 1)
            break
        seen[offered(base)] += 1
    os.write(result, json.dumps([len(seen), sum(seen.values())]).encode())


def together(folder: Path, rounds: int = 60) -> dict[str, int]:
    """Two pushes and a rollback at once: every outcome is that of some order of the three."""
    works = {
        "push C": lambda base: ship(base, C),
        "push D": lambda base: ship(base, D),
        "roll back": versions.rollback,
    }
    serial = {}
    for number, order in enumerate(itertools.permutations(works)):
        base = fresh(folder / f"serial-{number}")
        for name in order:
            works[name](base)
        serial[state(base)] = order
    seen = set()
    for number in range(rounds):
        base = fresh(folder / f"round-{number}")
        all_at_once(base, list(works.values()))
        end_state = state(base)
        assert end_state in serial, end_state[:20]
        assert all(push.is_intact(base / name) for name in NAME.values())
        seen.add(serial[end_state])
    return {"rounds": rounds, "orders": len(serial), "seen": len(seen)}


def fresh(base: Path) -> Path:
    ship(base, A)
    ship(base, B)
    return base


def all_at_once(base: Path, works: list[Callable[[Path], None]]) -> None:
    """A process each, which wait for one gate to open."""
    gate, opening = os.pipe()

    def begin(work: Callable[[Path], None]) -> None:
        os.close(opening)
        os.read(gate, 1)
        with contextlib.suppress(GateError):
            work(base)

    children = [fork(lambda work=work: begin(work)) for work in works]
    os.close(opening)
    assert [wait(child) for child in children] == [0] * len(works)
    os.close(gate)


if __name__ == "__main__":
    modes = {"steps": killed_at_every_step, "random": killed_at_random, "together": together}
    print(json.dumps(modes[sys.argv[1]](Path(sys.argv[2]))))
