"""One step of `compressors.py` in a process: makes a network, a tool's file of it, or the figures of all files.

python compressor_tools.py --make NETWORK FOLDER | --measure FOLDER | TOOL FOLDER FILE
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

FLOAT32 = "float32"
SEED = 1
EPOCHS = 5  # of tfmot's training
OURS = ("farebox", "farebox gzip", "farebox no slower", "farebox portable")
# Tools of another environment: names of functions in ai_edge_quantizer.recipe.
RECIPES = {
    "aeq weights int8": "weight_only_wi8_afp32",
    "aeq weights int4": "weight_only_wi4_afp32",
    "aeq dynamic int8": "dynamic_wi8_afp32",
    "aeq dynamic int4": "dynamic_wi4_afp32",
    "aeq static int8": "static_wi8_ai8",
}


def make(name: str, folder: Path) -> None:
    """Writes network.keras and rows.npz."""
    from compressor_networks import fitted

    made = fitted(name, SEED, folder)
    made.network.save(folder / "network.keras")
    np.savez(folder / "rows.npz", label=made.labels, loss=np.array(made.loss), **made.columns)


def _network(folder: Path) -> Any:
    import tf_keras as keras

    return keras.models.load_model(folder / "network.keras")


def _converter(network: Any) -> Any:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_keras_model(network)


def float32(folder: Path) -> bytes:
    """The converter's float32 file, as every guide begins."""
    return bytes(_converter(_network(folder)).convert())


def dynamic(folder: Path) -> bytes:
    """Post-training quantization with no rows."""
    import tensorflow as tf

    converter = _converter(_network(folder))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def int8(folder: Path) -> bytes:
    """Post-training quantization with 200 rows; inputs and output stay float."""
    import tensorflow as tf
    from compressors import rows_of

    columns, _, _ = rows_of(folder, "train")
    network = _network(folder)

    def rows() -> Iterator[list[Any]]:
        for i in range(200):
            yield [columns[name][i : i + 1] for name in network.input_names]

    converter = _converter(network)
    converter.optimizations, converter.representative_dataset = [tf.lite.Optimize.DEFAULT], rows
    return bytes(converter.convert())


def qat(folder: Path) -> bytes:
    """tfmot's quantize_model, trained on the rows that fit, then converted, as its guide says."""
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras
    from compressors import rows_of

    columns, labels, loss = rows_of(folder, "train")
    aware = tfmot.quantization.keras.quantize_model(_network(folder))
    aware.compile(keras.optimizers.Adam(2e-4), loss)
    aware.fit(columns, labels, epochs=EPOCHS, batch_size=64, verbose=0)
    converter = _converter(aware)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def _ours(folder: Path, **options: Any) -> bytes:
    from compressors import rows_of

    from farebox.components import compress

    train, evaluation = (rows_of(folder, part)[:2] for part in ("train", "evaluation"))
    result = compress(_network(folder), train=train, evaluation=evaluation, budget="1%", seed=SEED, **options)
    print(result.mode, result.network, result.reducer, result.pruner, sep="; ")
    return result.content


MADE: dict[str, Callable[[Path], bytes]] = {
    FLOAT32: float32,
    "tf.lite dynamic": dynamic,
    "tf.lite int8": int8,
    "tfmot QAT": qat,
    "farebox": _ours,
    "farebox gzip": lambda folder: _ours(folder, optimize_for="gzip"),
    "farebox no slower": lambda folder: _ours(folder, max_slowdown=0.05),  # less than a look-up or a layer more
    "farebox portable": lambda folder: _ours(folder, portable=True),
}
TOOLS = (FLOAT32, *(tool for tool in MADE if tool not in (FLOAT32, *OURS)), *RECIPES, *OURS)


def main(arguments: list[str]) -> None:
    """The process; the module's docstring has its arguments."""
    if arguments[0] == "--make":
        make(arguments[1], Path(arguments[2]))
    elif arguments[0] == "--measure":
        from compressors import measure

        lines = measure(Path(arguments[1]))
        Path(arguments[1], "lines.json").write_text(json.dumps([dataclasses.asdict(line) for line in lines]))
    else:
        content = MADE[arguments[0]](Path(arguments[1]))
        Path(arguments[2]).write_bytes(content)


if __name__ == "__main__":
    main(sys.argv[1:])
