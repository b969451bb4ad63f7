"""A pushed version of a known model, the explorer's server, and Chromium through its DevTools."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farebox.components.atomic_pusher import push
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.device_validator.golden import golden
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.metadata import described
from farebox.modules.columns import EDGE_ROWS
from farebox.pipeline.commands.explorer import serving, site

WAIT_S = 60
BOUNDS = {
    "pickup_longitude": (-80, -70), "pickup_latitude": (40, 42), "dropoff_longitude": (-80, -70),
    "dropoff_latitude": (40, 42), "passenger_count": (1, 6), "pickup_hour": (0, 23), "pickup_weekday": (0, 6),
}  # fmt: skip
BANDS = {"coverage": 0.9, "edges": [10.0], "lower": [-2.0, -4.0], "upper": [1.0, 5.0], "floor": 9.0}
GRID = {"west": -80, "east": -70, "south": 40, "north": 42, "columns": 10, "rows": 4}
DENSITY = {"min_trips": 10, "grid": GRID, "pickups": [[5, 21], [70, 30]], "dropoffs": [[5, 38], [10, 90]]}


def words(city: str = "toytown") -> Description:
    inputs = tuple(TensorDescription(name, minimum=low, maximum=high) for name, (low, high) in BOUNDS.items())
    facts = {"bands": BANDS, "days": ["2013-01-01", "2016-12-31"]}
    return Description(city, inputs=inputs, output=TensorDescription("fare", "fare", "EUR"), facts=facts)


@pytest.fixture(scope="session")
def model_bytes(convert_tflite) -> tuple[bytes, bytes]:
    """An older and a newer file with static shapes, which LiteRT.js takes; the newer one's fares are 5 higher."""
    older, newer = (
        convert_tflite(step, clips_inputs=True, batch=1, whole="int32") for step in (None, lambda fare: fare + 5.0)
    )
    return described(older, words()), described(newer, words())


@pytest.fixture(scope="session")
def models(model_bytes, tmp_path_factory) -> Path:
    """models/toytown with two versions, golden rows and a map of trips beside them."""
    base, rng = tmp_path_factory.mktemp("explorer") / "models" / "toytown", np.random.default_rng(0)
    rows = {
        name: rng.uniform(low, high, 300).astype(np.float32) if "itude" in name
        else rng.integers(low, high + 1, 300).astype(np.int32)
        for name, (low, high) in BOUNDS.items()
    }  # fmt: skip
    for content in model_bytes:
        rows_and_answers, density = golden(content, rows, EDGE_ROWS), {"density.json": json.dumps(DENSITY).encode()}
        manifest = {"metrics": {"rmse": 1.5}}
        push.push(content, LocalStore(base), manifest, golden=rows_and_answers.encode(), beside=density)
    return base


@pytest.fixture
def serve():
    """serve(files) -> the address of a server of them, which ends with the test."""
    servers = []

    def run(files: site.Files) -> str:
        servers.append(serving.loopback_server(files))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}/"

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


class Page:
    """A page of headless Chromium, driven by the DevTools protocol."""

    def __init__(self, port: str) -> None:
        import websocket

        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as listed:
            (page,) = (each for each in json.load(listed) if each["type"] == "page")
        self._socket = websocket.create_connection(page["webSocketDebuggerUrl"], suppress_origin=True, timeout=WAIT_S)
        self._ids = itertools.count(1)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Waits until a JavaScript expression holds."""
        deadline = time.monotonic() + WAIT_S
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < deadline, f"{condition}; the page reads: {self.text('body')}"
            time.sleep(0.05)

    def open(self, address: str) -> None:
        """Opens an address and waits until the page has answered, or says why it cannot."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.until("document.body?.dataset.ready || document.querySelector('#fault')?.textContent")

    def text(self, selector: str) -> str:
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=0)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


@pytest.fixture(scope="session")
def page():
    """A page of headless Chromium; skips without the browser or LiteRT.js."""
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if program is None or not site.VENDOR.is_dir():
        pytest.skip("needs Chromium, and LiteRT.js from `make explorer`")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
        ]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        browser = subprocess.Popen([program, *flags, "--remote-allow-origins=*", "about:blank"], **silent)
        try:
            ports, deadline = Path(profile, "DevToolsActivePort"), time.monotonic() + WAIT_S
            while not (ports.exists() and ports.read_text().count("\n")):
                assert time.monotonic() < deadline, "Chromium opened no port"
                time.sleep(0.05)
            yield Page(ports.read_text().split()[0])
        finally:
            browser.kill()
            browser.wait()
