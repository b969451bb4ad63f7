"""Models in formats that tf_keras does not read: SavedModels without layers, Keras 3, layers of their author."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from farebox.components.compression.doors import model_inputs, open_model
from farebox.components.compression.file_network import FileNetwork
from farebox.components.errors import InputError
from farebox.components.tflite.interpreter import TfliteModel

LAYERS = """
import keras
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x
def wave(x):
    return keras.ops.sin(x)
"""
KERAS3 = """
import sys
import keras, numpy as np
from keras import layers as L
from layers_of_mine import Twice, wave
folder = sys.argv[1]
keras.utils.set_random_seed(1)
x = np.random.default_rng(0).normal(size=(50, 6)).astype("float32")
def save(name, inputs, output, loss="mse"):
    model = keras.Model(inputs, output) if inputs is not None else output
    model.compile("adam", loss)
    model.save(f"{folder}/{name}.keras")
    return model
def start():
    return keras.Input((6,), name="x")
i = start(); h = L.Dense(12, "silu")(i); h = h + L.Dropout(0.1)(L.Dense(12)(h)); h = L.LayerNormalization()(h)
inner = keras.Sequential([keras.Input((12,)), L.Dense(4, "relu")], name="inner")
j = keras.Input((1,), dtype="int32", name="id"); e = L.Flatten()(L.Embedding(9, 12)(j))
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model = save("shared", [i, j], L.Dense(3)(L.Concatenate()([inner(h), inner(e)])), loss)
ids = (np.arange(50) % 9)[:, None]
np.savez(f"{folder}/shared.npz", x=x, id=ids, answers=model.predict([x, ids], verbose=0))
save("chain", None, keras.Sequential([keras.Input((6,), name="x"), L.Dense(3), L.Dense(1)]))
i = start(); model = save("rms", i, L.Dense(1)(L.RMSNormalization()(L.Dense(16)(i))))
np.savez(f"{folder}/rms.npz", x=x, answers=model.predict(x, verbose=0))
i = start(); save("mine", i, L.Dense(1)(Twice()(i)))
i = start(); save("wave", i, L.Dense(1)(L.Dense(4, activation=wave)(i)))
i = start(); save("lambda", i, L.Dense(1)(L.Lambda(lambda t: t * 2)(i)))
i = start(); save("two", i, [L.Dense(1, name="a")(i), L.Dense(1, name="b")(i)])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models of Keras 3, made in a process of its own."""
    made = tmp_path_factory.mktemp("keras3")
    (made / "layers_of_mine.py").write_text(LAYERS)
    subprocess.run([sys.executable, "-c", KERAS3, made], cwd=made, check=True, capture_output=True, timeout=300)
    return made


def opened(path, **options):
    return open_model(path, name=f"--model={path.name}", remedy="give --trust-model", **options)


@pytest.mark.slow
def test_keras3_becomes_tf_keras_where_that_has_all_layers(folder):
    """A residual sum, a chain used twice, ids, and the loss, which tells that the answers are logits."""
    network = opened(folder / "shared.keras")
    rows = dict(np.load(folder / "shared.npz"))
    np.testing.assert_allclose(network({"x": rows["x"], "id": rows["id"]}), rows["answers"], atol=1e-5)
    assert network.loss.get_config()["from_logits"] and [each.name for each in model_inputs(network)] == ["x", "id"]


@pytest.mark.slow
def test_other_keras3_models_become_files(folder, monkeypatch):
    """RMSNormalization is Keras 3's own; a layer of a module that --import names, another one's is refused."""
    network = opened(folder / "rms.keras")
    rows = dict(np.load(folder / "rms.npz"))
    assert isinstance(network, FileNetwork)
    np.testing.assert_allclose(TfliteModel(network.content).predict({"x": rows["x"]}), rows["answers"][:, 0], atol=1e-4)
    assert opened(folder / "chain.keras").output_shape == (None, 1)
    monkeypatch.chdir(folder)
    assert isinstance(opened(folder / "mine.keras", imports=("layers_of_mine",)), FileNetwork)


@pytest.mark.slow
def test_code_of_an_author_is_refused_before_keras3_starts(folder):
    for name, text in (("mine", "layers_of_mine.Twice"), ("lambda", "a Lambda layer")):
        with pytest.raises(InputError, match=f"^--model={name}.keras may run code of its author: {text}; give --trust"):
            opened(folder / f"{name}.keras")
    with pytest.raises(InputError, match="^import=none_such must be a module that can be imported"):
        opened(folder / "mine.keras", imports=("none_such", "layers_of_mine"))


@pytest.mark.slow
def test_keras3_models_that_cannot_be_used_are_refused_in_one_line(folder, tmp_path):
    content = (folder / "two.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(content.replace(b"model.weights.h5", b"model.weights.hX"))
    for path, text in (
        (folder / "two.keras", "must have one output, got "),
        (tmp_path / "cut.keras", "cannot be loaded by Keras 3"),
        (
            folder / "wave.keras",
            "cannot be loaded by Keras 3.*: Could not locate function 'wave'.*; give --trust-model$",
        ),
    ):
        with pytest.raises(InputError, match=f"^--model={path.name} {text}") as caught:
            opened(path)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_functions_of_an_imported_module_are_found(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert isinstance(opened(folder / "wave.keras", imports=("layers_of_mine",)), FileNetwork)


def test_modules_of_the_current_folder_are_found_for_imports_alone(tmp_path, monkeypatch):
    import tf_keras as keras

    load, paths = keras.models.load_model, []
    monkeypatch.setattr(keras.models, "load_model", lambda *a, **k: (paths.append(list(sys.path)), load(*a, **k))[1])
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "m.keras")
    (tmp_path / "layers_of_the_folder.py").write_text("")
    monkeypatch.chdir(tmp_path)
    opened(tmp_path / "m.keras")
    opened(tmp_path / "m.keras", imports=("layers_of_the_folder",))
    assert ["" in path for path in paths] == [False, True] and "" not in sys.path


def test_an_unknown_layer_names_the_remedy(tmp_path):
    import tf_keras as keras

    class Half(keras.layers.Layer):
        def call(self, x):
            return x / 2

    x = keras.Input((2,), name="x")
    keras.Model(x, Half()(x)).save(tmp_path / "own.h5")
    with pytest.raises(InputError, match="^--model=own.h5 must be .* Unknown layer: .*; give --trust-model$"):
        opened(tmp_path / "own.h5")


@pytest.mark.slow
def test_a_saved_model_without_layers_becomes_a_file(tmp_path):
    import tensorflow as tf

    class Net(tf.Module):
        def __init__(self):
            self.kernel = tf.Variable([[1.0], [2.0]])

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "size")])
        def price(self, size):
            return {"price": size @ self.kernel}

    net = Net()
    tf.saved_model.save(net, str(tmp_path / "net"), signatures={"serving_default": net.price})
    network = opened(tmp_path / "net")
    assert [(each.name, each.tail) for each in model_inputs(network)] == [("size", (2,))]
    assert TfliteModel(network.content).dynamic_inputs == (), "some runtimes refuse a batch of -1"
    answers = TfliteModel(network.content).predict({"size": np.array([[3, 4], [5, 6]], np.float32)})
    assert answers.tolist() == [11, 17]
    tf.saved_model.save(net, str(tmp_path / "other"), signatures={"price": net.price})
    (tmp_path / "empty").mkdir()
    for name, text in (
        ("other", "must have a signature serving_default, got price"),
        ("empty", "must be a .keras, .h5, .tflite or SavedModel, got a folder without a readable saved_model.pb"),
    ):
        with pytest.raises(InputError, match=f"^--model={name} {text}$"):
            opened(tmp_path / name)
