"""Runs a model's golden rows in a browser: LiteRT.js or tfjs-tflite in headless Chromium, on pages served from here.

    npm install --prefix DIR --legacy-peer-deps @litertjs/core @tensorflow/tfjs-tflite@0.0.1-alpha.10 \\
        @tensorflow/tfjs-core@3.21.0 @tensorflow/tfjs-backend-cpu@3.21.0
"""

from __future__ import annotations

import functools
import http.server
import json
import queue
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

TIMEOUT_S = 90
# The page feeds one row after the other, in the order of golden.json, and posts its answers, or its error, to /answer.
PAGE = """<!DOCTYPE html><meta charset="utf-8">%(head)s<script type="module">
const answer = value => fetch("/answer", {method: "POST", body: JSON.stringify(value)});
try {
  const golden = await (await fetch("/golden.json")).json();
  const types = await (await fetch("/types.json")).json();
  const names = Object.keys(golden.inputs);
  const rows = golden.outputs[Object.keys(golden.outputs)[0]].length;
  const values = (name, i) => types[name] === "int32"
    ? new Int32Array([golden.inputs[name][i]]) : new Float32Array([golden.inputs[name][i] ?? NaN]);
  %(load)s
  const outputs = [], times = [];
  for (let i = 0; i < rows; i++) outputs.push(await predict(i));
  for (let i = 0; i < rows; i += 10) {  // ten rows at a time: a page's clock has steps of 5 or 100 us
    const start = performance.now();
    for (let j = 0; j < 10; j++) await predict((i + j) %% rows);
    times.push(100 * (performance.now() - start));
  }
  times.sort((a, b) => a - b);
  await answer({outputs, us: times[times.length >> 1]});
} catch (error) { await answer({error: String(error.message ?? error)}); }
</script>"""
LITERT_JS = {
    "head": """<script type="importmap">{"imports": {
        "@litertjs/core": "/node_modules/@litertjs/core/dist/index.js",
        "@litertjs/wasm-utils": "/node_modules/@litertjs/wasm-utils/dist/index.js"}}</script>""",
    "load": """const {loadLiteRt, loadAndCompile, Tensor} = await import("@litertjs/core");
  await loadLiteRt("/node_modules/@litertjs/core/wasm/");
  const model = await loadAndCompile("/model.tflite", {accelerator: "wasm"});
  const predict = async i => {
    const inputs = names.map(name => new Tensor(values(name, i), [1, 1]));
    const [result] = await model.run(inputs);
    const fare = (await result.data())[0];
    [...inputs, result].forEach(tensor => tensor.delete());
    return fare;
  };""",
}
TFJS_TFLITE = {
    "head": "".join(
        f'<script src="/node_modules/@tensorflow/{file}"></script>'
        for file in (
            "tfjs-core/dist/tf-core.min.js",
            "tfjs-backend-cpu/dist/tf-backend-cpu.min.js",
            "tfjs-tflite/dist/tf-tflite.min.js",
        )
    ),
    "load": """tflite.setWasmPath("/node_modules/@tensorflow/tfjs-tflite/wasm/");
  const model = await tflite.loadTFLiteModel("/model.tflite");
  const predict = async i => {
    const inputs = Object.fromEntries(names.map(name => [name, tf.tensor(values(name, i), [1, 1], types[name])]));
    const result = model.predict(names.length > 1 ? inputs : inputs[names[0]]);
    const fare = (await result.data())[0];
    [...Object.values(inputs), result].forEach(tensor => tensor.dispose());
    return fare;
  };""",
}
PAGES = {"@litertjs/core": LITERT_JS, "@tensorflow/tfjs-tflite": TFJS_TFLITE}


def version_of(package: str, modules: Path) -> str | None:
    """Version of an npm package in a folder of `npm install --prefix`; None if it is not there."""
    file = modules / "node_modules" / package / "package.json"
    return str(json.loads(file.read_text())["version"]) if file.is_file() else None


def in_browser(package: str, model: Path, types: dict[str, str], modules: Path) -> dict[str, Any]:
    """`outputs` of the golden rows beside the model and `us` of a row (the median), or `error`.

    package: a key of PAGES. types: dtype by input. modules: the folder of `npm install --prefix`.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "node_modules").symlink_to((modules / "node_modules").resolve())
        for source, name in ((model, "model.tflite"), (model.with_name("golden.json"), "golden.json")):
            (folder / name).write_bytes(source.read_bytes())
        (folder / "types.json").write_text(json.dumps(types))
        (folder / "index.html").write_text(PAGE % PAGES[package])
        return answer_of(folder)


def answer_of(folder: Path) -> dict[str, Any]:
    """Opens the folder's index.html in Chromium, and returns what the page posts to /answer.

    Returns an `error` if it posts nothing within 90 s.
    """
    answers: queue.Queue[dict[str, Any]] = queue.Queue()
    handler = functools.partial(_Handler, answers, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            return _visit(f"http://127.0.0.1:{server.server_port}/index.html", answers)
        finally:
            server.shutdown()


def chromium() -> str | None:
    """The browser's program; None if there is none."""
    return next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)


def _visit(address: str, answers: queue.Queue[dict[str, Any]]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        browser = subprocess.Popen(
            [str(chromium()), *flags, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            return answers.get(timeout=TIMEOUT_S)
        except queue.Empty:
            return {"error": f"no answer within {TIMEOUT_S} s"}
        finally:
            browser.kill()
            browser.wait()


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the folder, and takes the page's answer."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".wasm": "application/wasm"}

    def __init__(self, answers: queue.Queue[dict[str, Any]], *arguments: Any, **keywords: Any) -> None:
        self._answers = answers
        super().__init__(*arguments, **keywords)

    def do_POST(self) -> None:
        self._answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Prints nothing."""
