"""One fare, and a batch of them: the file that a run ships beside what else could answer, called from Python in turns.

    python benchmarks/device.py [--city chicago] [--data PATH] [--out FOLDER] [--json FILE] [--picture FILE]

Peers: the unreduced float32 `.tflite`, a SavedModel of Transform's graph and the network, and LightGBM, which is given
features that are transformed already. A call is inputs in, fares out; one thread each, medians of rounds. FOLDER has,
or gets, a run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from compression import test_rows
from processes import bars, machine
from whole_runs import one_line_errors, outputs_of

if TYPE_CHECKING:
    from farebox.pipeline.settings.load import Settings

SHIPPED, UNREDUCED, SAVED_MODEL, LIGHTGBM = (
    "shipped file",
    "unreduced .tflite",
    "SavedModel",
    "LightGBM, features given",
)
BATCH, ROUNDS, CALLS = 1024, 7, {1: 300, 1024: 20}
Call = Callable[[], Any]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--city", default="chicago", help="a shipped city (chicago, nyc) or your own city.yaml")
    parser.add_argument("--data", help="a CSV or Parquet file, or a folder of them")
    parser.add_argument("--out", help="a folder with runs/ and models/; left out, a temporary one")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    parser.add_argument("--picture", type=Path, help="and a picture of them, a PNG")
    options = parser.parse_args()
    with one_line_errors("device"), tempfile.TemporaryDirectory() as folder:
        results = measure(options, options.out or folder)
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=2) + "\n")
    if options.picture:
        bars({name: row["us_one"] for name, row in results.items()}, "microseconds of one fare", options.picture)


def measure(options: argparse.Namespace, out: str) -> dict[str, dict[str, float]]:
    """Microseconds of a call on one row and on a batch, and bytes, by form."""
    from farebox.pipeline.local import run
    from farebox.pipeline.settings.load import load_settings

    settings = load_settings(options.city, options.data, out)
    nodes, _ = outputs_of(settings, run.run(settings, quiet=True).run_id)
    found = {name: {"bytes": float(n_bytes)} for name, n_bytes in sizes(nodes).items()}
    for key, rows in (("us_one", 1), ("us_batch", BATCH)):
        for name, us in timed(calls(settings, nodes, rows), CALLS[rows]).items():
            found[name][key] = us
    return found


def sizes(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Bytes on disk of what is one file; 0 of the SavedModel, which is a folder made for this."""
    from farebox.components.tflite.files import tflite_path

    quantizer, booster = nodes["Quantizer"], Path(nodes["Trainer"]["model_run"].uri, "lightgbm.txt")
    shipped, unreduced = (Path(tflite_path(quantizer[key])) for key in ("quantized_model", "reference_model"))
    files = {SHIPPED: shipped, UNREDUCED: unreduced, LIGHTGBM: booster}
    return {name: path.stat().st_size for name, path in files.items()} | {SAVED_MODEL: 0}


def calls(settings: Settings, nodes: Mapping[str, Mapping[str, Any]], n_rows: int) -> dict[str, Call]:
    """A call on n_rows real trips by form."""
    import lightgbm
    import tensorflow as tf
    import tensorflow_transform as tft

    from farebox.components.networks import examples_io
    from farebox.components.tflite.files import tflite_path
    from farebox.components.tflite.interpreter import TfliteModel
    from farebox.modules import columns

    columns_of, _ = test_rows(nodes)
    rows = {name: np.resize(columns_of[name], (n_rows, 1)) for name in settings.model_inputs}
    layer = tft.TFTransformOutput(nodes["Transform"]["transform_graph"].uri).transform_features_layer()
    network = examples_io.load_network(nodes["Trainer"]["model"])
    tensors = {name: tf.constant(values) for name, values in rows.items()}
    saved = saved_model(layer, network, tensors)
    features = layer(tensors)
    inputs = np.concatenate([features[name].numpy() for name in columns.BOOSTER_INPUTS], axis=1)
    booster = lightgbm.Booster(model_file=str(Path(nodes["Trainer"]["model_run"].uri, "lightgbm.txt")))
    files = {
        name: TfliteModel(tflite_path(nodes["Quantizer"][key]))
        for name, key in ((SHIPPED, "quantized_model"), (UNREDUCED, "reference_model"))
    }
    return {
        SHIPPED: lambda: files[SHIPPED].predict(rows),
        UNREDUCED: lambda: files[UNREDUCED].predict(rows),
        SAVED_MODEL: lambda: saved(**tensors)["fare"].numpy(),
        LIGHTGBM: lambda: booster.predict(inputs, num_threads=1),
    }


def saved_model(layer: Any, network: Any, tensors: Mapping[str, Any]) -> Any:
    """The signature of a SavedModel of both, loaded again."""
    import tensorflow as tf

    module = tf.Module()
    module.layer, module.network = layer, network
    signature = {name: tf.TensorSpec((None, 1), tensor.dtype, name) for name, tensor in tensors.items()}

    @tf.function(input_signature=[signature], autograph=False)
    def serve(raw: Mapping[str, Any]) -> dict[str, Any]:
        found = layer(raw)
        return {"fare": network({name: found[name] for name in network.input_names}, training=False)}

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": serve})
        loaded = tf.saved_model.load(folder)
    signatures = loaded.signatures["serving_default"]
    signatures.loaded = loaded  # holds the variables
    return signatures


def timed(forms: Mapping[str, Call], n_calls: int) -> dict[str, float]:
    """Microseconds a call, by form: the median over rounds, in turns, of each round's median."""
    found: dict[str, list[float]] = {name: [] for name in forms}
    for call in forms.values():
        call()
    for _ in range(ROUNDS):
        for name, call in forms.items():
            nanoseconds = np.empty(n_calls)
            for i in range(n_calls):
                start = time.perf_counter_ns()
                call()
                nanoseconds[i] = time.perf_counter_ns() - start
            found[name].append(float(np.median(nanoseconds)) / 1e3)
    return {name: float(np.median(values)) for name, values in found.items()}


def table(results: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown line by form; ratios are to the shipped file."""
    shipped = results[SHIPPED]
    lines = ["| form | bytes | one fare, µs | x shipped | 1024 fares, µs | x shipped |", "|---|--:|--:|--:|--:|--:|"]
    for name, row in results.items():
        size = f"{row['bytes']:,.0f}" if row["bytes"] else ""
        one, batch = (f"{row[key]:.1f} | {row[key] / shipped[key]:.1f}" for key in ("us_one", "us_batch"))
        lines.append(f"| {name} | {size} | {one} | {batch} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
