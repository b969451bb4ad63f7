"""The networks of `compressors.py`: each function fits one, and returns it with its rows and its loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
CLASSES_LOSS = "sparse_categorical_crossentropy"


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A fitted network, its rows by input name, and labels; the last fifth of the rows was not fitted on."""

    network: Any
    columns: dict[str, Array]
    labels: Array
    loss: str


def _fit(network: Any, columns: dict[str, Array], labels: Array, loss: str, *, epochs: int, batch: int) -> Fitted:
    import tf_keras as keras

    rows = len(labels) * 3 // 5
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * (rows // batch + 1))
    network.compile(keras.optimizers.Adam(rate), loss)
    fitted = {name: values[:rows] for name, values in columns.items()}
    network.fit(fitted, labels[:rows], epochs=epochs, batch_size=batch, verbose=0)
    return Fitted(network, columns, labels, loss)


def mlp(random: np.random.Generator) -> Fitted:
    """12 inputs to a number; the first one is log-normal, up to 1,500, the others normal."""
    import tf_keras as keras

    x = random.normal(size=(10_000, 12)).astype(np.float32)
    x[:, 0] = 100 * np.exp(0.7 * x[:, 0])
    y = 2 * np.log(x[:, 0]) + x[:, 1] * x[:, 2] + np.sin(2 * x[:, 3]) + 0.3 * random.normal(size=len(x))
    inputs = keras.Input((12,), name="x")
    hidden = keras.layers.Dense(64, activation="relu")(inputs)
    hidden = keras.layers.Dense(64, activation="relu")(hidden)
    network = keras.Model(inputs, keras.layers.Dense(1)(hidden))
    return _fit(network, {"x": x}, y.astype(np.float32), "mse", epochs=40, batch=128)


def digits(random: np.random.Generator) -> Fitted:
    """scikit-learn's 1,797 digits of 8 x 8 pixels, through two convolutions."""
    import tf_keras as keras
    from sklearn.datasets import load_digits

    data, layers = load_digits(), keras.layers
    order = random.permutation(len(data.target))
    images = (data.images[order, ..., None] / 16).astype(np.float32)
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D()(layers.Conv2D(32, 3, padding="same", activation="relu")(x))
    x = layers.Dropout(0.3)(layers.Dense(48, activation="relu")(layers.Flatten()(x)))
    network = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    return _fit(network, {"image": images}, data.target[order], CLASSES_LOSS, epochs=12, batch=64)


def store(random: np.random.Generator) -> Fitted:
    """The sales of 800 stores in 12 regions: two embeddings and four numbers."""
    import tf_keras as keras

    n, effect, layers = 12_000, random.normal(size=800) * 10, keras.layers
    ids = random.integers(0, 800, (n, 1)).astype(np.int32)
    region = (ids % 12).astype(np.int32)
    x = random.normal(size=(n, 4)).astype(np.float32)
    y = 50 + effect[ids[:, 0]] + x @ np.array([3, 2, 1, 0.5]) + region[:, 0] + 2 * random.normal(size=n)
    inputs = [keras.Input((1,), dtype="int32", name=name) for name in ("store", "region")]
    numbers = keras.Input((4,), name="features")
    rows = [
        layers.Flatten()(layers.Embedding(size, width)(each))
        for each, size, width in zip(inputs, (800, 12), (12, 4), strict=True)
    ]
    hidden = layers.Dense(32, activation="relu")(layers.Concatenate()([*rows, numbers]))
    hidden = layers.Dense(16, activation="relu")(hidden)
    network = keras.Model([*inputs, numbers], layers.Dense(1)(hidden))
    columns = {"store": ids, "region": region, "features": x}
    return _fit(network, columns, y.astype(np.float32), "mse", epochs=40, batch=128)


def attention(random: np.random.Generator) -> Fitted:
    """16 steps of 6 numbers to one: the value of the step with the largest key, by attention with two heads."""
    import tf_keras as keras

    layers = keras.layers
    x = random.normal(size=(8000, 16, 6)).astype(np.float32)
    y = x[np.arange(len(x)), x[:, :, 0].argmax(axis=1), 1] + 0.2 * random.normal(size=len(x))
    inputs = keras.Input((16, 6), name="steps")
    h = layers.Dense(24)(inputs)
    h = layers.LayerNormalization()(layers.Add()([h, layers.MultiHeadAttention(2, 12)(h, h)]))
    h = layers.LayerNormalization()(layers.Add()([h, layers.Dense(24)(layers.Dense(48, activation="relu")(h))]))
    network = keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(h)))
    return _fit(network, {"steps": x}, y.astype(np.float32), "mse", epochs=25, batch=64)


def keywords(random: np.random.Generator) -> Fitted:
    """Six kinds of generated sound, as log-spectrograms of 24 x 16, through a DS-CNN.

    Zhang et al. 2017, "Hello Edge: Keyword Spotting on Microcontrollers".
    """
    import tf_keras as keras

    kinds = random.integers(0, 6, 4000)
    spectra = np.stack([_spectrogram(_sound(kind, random)) for kind in kinds])[..., None].astype(np.float32)
    layers = keras.layers
    inputs = keras.Input((24, 16, 1), name="spectrogram")

    def normal(x: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization()(x))

    x = normal(layers.Conv2D(32, (5, 3), strides=2, padding="same", use_bias=False)(inputs))
    for _ in range(3):
        x = normal(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
        x = normal(layers.Conv2D(32, 1, use_bias=False)(x))
    network = keras.Model(inputs, layers.Dense(6, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    return _fit(network, {"spectrogram": spectra}, kinds, CLASSES_LOSS, epochs=40, batch=64)


def _sound(kind: int, random: np.random.Generator) -> Array:
    """1,600 samples of a tone, a rising or a falling chirp, a warble, two tones, or pulses; in noise."""
    t = np.linspace(0, 1, 1600)
    f = random.uniform(60, 160)
    phases = {
        0: f * t, 1: f * t + 80 * t**2, 2: f * t + 80 * (1 - (1 - t) ** 2), 3: f * t + 3 * np.sin(8 * np.pi * t),
    }  # fmt: skip
    wave = np.sin(2 * np.pi * phases.get(kind, f * t))
    if kind == 4:
        wave = (wave + np.sin(2 * np.pi * 2.5 * f * t)) / 2
    if kind == 5:
        wave = wave * (np.sin(2 * np.pi * 6 * t) > 0)
    noisy: Array = wave * random.uniform(0.2, 1) + random.normal(size=len(t)) * 0.7
    return noisy


def _spectrogram(wave: Array) -> Array:
    """24 frames of 128 samples, each in 16 bands of the logarithm of its power."""
    frames = np.stack([wave[start : start + 128] for start in range(0, 24 * 64, 64)]) * np.hanning(128)
    power = np.abs(np.fft.rfft(frames, axis=1))[:, 1:] ** 2
    bands: Array = np.log(power.reshape(24, 16, 4).mean(axis=2) + 1e-3)
    return bands


def taxi(features: str, folder: Path) -> Fitted:
    """The network that Trainer leaves in a run on Chicago's sample, with its transformed rows."""
    from whole_runs import outputs_of

    from farebox.components.networks import examples_io
    from farebox.components.networks.rows import in_memory
    from farebox.modules import columns
    from farebox.pipeline.local import run as runs
    from farebox.pipeline.settings.load import load_settings

    settings = load_settings("chicago", None, str(folder), [f"features={features}"])
    nodes, _ = outputs_of(settings, runs.run(settings).summary.run_id)
    spec = examples_io.transformed_feature_spec(nodes["Transform"]["transform_graph"])
    examples = nodes["Transform"]["transformed_examples"]
    splits = [
        in_memory(examples_io.dataset(examples, split, spec, columns.FARE, 4096)) for split in ("train", "eval", "test")
    ]
    network = examples_io.load_network(nodes["Trainer"]["model"])
    rows = {name: np.concatenate([split.columns[name] for split in splits]) for name in network.input_names}
    return Fitted(network, rows, np.concatenate([split.labels for split in splits]).reshape(-1), "mse")


Make = Callable[[np.random.Generator], Fitted]
GENERATED: dict[str, Make] = {each.__name__: each for each in (mlp, digits, store, attention, keywords)}
TAXI = {"chicago": "full", "course": "course"}  # the pipeline's setting `features`
NETWORKS = (*GENERATED, *TAXI)


def fitted(name: str, seed: int, folder: Path) -> Fitted:
    """The network of a name. folder: for a run of the pipeline."""
    import tf_keras as keras

    keras.utils.set_random_seed(seed)
    return taxi(TAXI[name], folder) if name in TAXI else GENERATED[name](np.random.default_rng(seed))
