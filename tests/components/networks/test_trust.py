"""Model files that run code of their author are refused before they are loaded, in every format."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from farebox.components.compression.doors import open_model
from farebox.components.errors import InputError
from farebox.components.networks.trust import check_trusted


def load(path, *, trust=False):
    """The model as `compress` gets it."""
    return open_model(Path(path), name=f"--model={path}", remedy="give --trust-model", trust=trust)


@pytest.fixture
def network():
    import tf_keras as keras

    x = keras.Input((2,), name="x")
    return keras.Model(x, keras.layers.Dense(1, activation="relu")(x))


@pytest.fixture
def with_lambda(tmp_path):
    """A network whose layer makes a file when it is called."""
    import tf_keras as keras

    mark, x = str(tmp_path / "ran"), keras.Input((2,), name="x")
    layer = keras.layers.Lambda(lambda values, place=mark: [values * 2, open(place, "w").close()][0])
    made = keras.Model(x, keras.layers.Dense(1)(layer(x)))
    (tmp_path / "ran").unlink()
    return made


@pytest.mark.parametrize("name", ["m.h5", "m.keras", "saved"])
def test_a_lambda_does_not_run_in_any_format(with_lambda, tmp_path, name):
    with_lambda.save(tmp_path / name, **({"save_format": "tf"} if name == "saved" else {}))
    (tmp_path / "ran").unlink(missing_ok=True)
    with pytest.raises(InputError, match="may run code of its author: a Lambda layer; give --trust-model"):
        load(str(tmp_path / name))
    assert not (tmp_path / "ran").exists()
    assert load(str(tmp_path / name), trust=True).count_params() == 3
    assert (tmp_path / "ran").exists(), "trusted, it runs: the test would see it"


def changed(path, change) -> None:
    """Writes a .keras archive again with another config."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {"config.json": json.dumps(config)}).items():
            archive.writestr(name, content)


def function_of(module: str, name: str) -> dict:
    return {"module": module, "class_name": "function", "config": name, "registered_name": "function"}


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("keras.utils", "get_file"),
     ("tf_keras.src.saving.serialization_lib", "enable_unsafe_deserialization")],
)  # fmt: skip
def test_a_function_that_is_no_activation_is_refused(network, tmp_path, module, name):
    path = tmp_path / "m.keras"
    network.save(path)
    changed(path, lambda config: config["config"]["layers"][1]["config"].update(activation=function_of(module, name)))
    with pytest.raises(InputError, match=f"may run code of its author: {module}.{name};"):
        check_trusted(path, "--model=m", "remedy")


@pytest.mark.parametrize("op", ["io.write_file", "py_function", "compat.v1.py_func", "raw_ops.WriteFile"])
def test_layers_of_operators_that_touch_files_or_python_are_refused(tmp_path, op):
    config = {"class_name": "TFOpLambda", "config": {"name": "op", "function": op}}
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"config": {"layers": [config]}})
    with pytest.raises(InputError, match="may run code of its author: a layer of tf."):
        check_trusted(tmp_path / "m.h5", "--model=m", "remedy")


def test_weights_that_may_be_pickles_are_refused(network, tmp_path):
    path = tmp_path / "m.keras"
    network.save(path)
    np.savez(tmp_path / "weights.npz", a=np.array([{}], object))
    with zipfile.ZipFile(path, "a") as archive:
        archive.write(tmp_path / "weights.npz", "model.weights.npz")
    with pytest.raises(InputError, match="model.weights.npz, which may hold pickles"):
        check_trusted(path, "--model=m", "remedy")


def test_a_saved_model_that_writes_files_is_refused(tmp_path):
    import tensorflow as tf

    module = tf.Module()
    module.write = tf.function(
        lambda x: (tf.io.write_file(str(tmp_path / "ran"), tf.strings.as_string(x)), x)[1],
        input_signature=[tf.TensorSpec((), tf.float32)],
    )
    tf.saved_model.save(module, tmp_path / "saved")
    with pytest.raises(InputError, match="a function with the operator WriteFile"):
        check_trusted(tmp_path / "saved", "--model=m", "remedy")


def test_keras_own_layers_are_trusted(tmp_path):
    import tensorflow as tf
    import tf_keras as keras

    x = keras.Input((4,), name="x")
    y = keras.layers.Dense(3, "relu", kernel_regularizer="l2")(tf.concat([x[:, :2] * 2.0, tf.math.sin(x)], 1))
    made = keras.Model(x, keras.layers.Softmax()(keras.layers.Dropout(0.1)(keras.layers.BatchNormalization()(y))))
    made.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for name in ("m.keras", "m.h5", "saved"):
        made.save(tmp_path / name, **({"save_format": "tf"} if name == "saved" else {}))
        check_trusted(tmp_path / name, "--model=m", "remedy")
