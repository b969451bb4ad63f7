"""Model files of any kind, as a tf_keras network or as a `.tflite`, which `compress` takes."""

from __future__ import annotations

import importlib
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import tf_keras as keras

from farebox.components.compression.compress import check_network
from farebox.components.compression.file_network import FileNetwork, file_network
from farebox.components.compression.rows import Input, inputs_of
from farebox.components.errors import InputError
from farebox.components.networks import keras3, keras3_child
from farebox.components.networks.trust import check_trusted
from farebox.components.quantizer.child import Child, ChildError
from farebox.components.quantizer.native import converted
from farebox.components.quantizer.rungs import FLOAT32
from farebox.components.tflite.portable import portable

KINDS = "a .keras, .h5, .tflite or SavedModel"
SIGNATURE = "serving_default"
UNKNOWN = re.compile("Cannot deserialize|Could not locate|Unknown (layer|object)")  # in tf_keras' messages


def open_model(
    path: Path, *, name: str, remedy: str, trust: bool = False, imports: Sequence[str] = ()
) -> keras.Model | FileNetwork:
    """Returns the model as a functional tf_keras network if it is one, else as the `.tflite` that its converter makes.

    name: of the model in errors. trust: load what may run code of its author; else such a model is refused. imports:
    modules with layers of its own, from the current folder or the environment. remedy: what to do about a model that
    needs one of both, in words.

    Raises InputError if `compress` cannot use the model.
    """
    if path.suffix == ".tflite":
        return file_network(path.read_bytes(), name)
    if not trust:
        check_trusted(path, name, remedy, imports)
    with _current_folder() if imports else nullcontext():
        for module in imports:
            _import(module)
        if keras3.is_keras3(path):
            return _keras3(path, name, imports, remedy, trust=trust)
        if path.is_dir() and not (path / "keras_metadata.pb").is_file():
            return _converted(path, name)
        network = _loaded(path, name, imports, remedy, trust=trust)
    if path.is_dir() and not getattr(network, "_is_graph_network", False):
        return _converted(path, name)
    check_network(network, name)
    return network


def model_inputs(model: keras.Model | FileNetwork) -> tuple[Input, ...]:
    """The inputs of either."""
    return model.inputs if isinstance(model, FileNetwork) else inputs_of(model)


@contextmanager
def _current_folder() -> Iterator[None]:
    """Modules of the current folder can be imported."""
    sys.path.insert(0, "")
    try:
        yield
    finally:
        sys.path.remove("")


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"import={module} must be a module that can be imported: {error}") from error


def _loaded(path: Path, name: str, imports: Sequence[str], remedy: str, *, trust: bool) -> Any:
    """The network, compiled if what it was compiled with can be loaded; the loss tells its objective."""
    own = keras3_child.own_parts([_import(module) for module in imports])
    for is_compiled in (True, False):
        try:
            return keras.models.load_model(path, compile=is_compiled, safe_mode=not trust, custom_objects=own)
        except (OSError, ValueError, TypeError, KeyError) as error:
            if not is_compiled:
                reason = str(error).strip().splitlines()[0]
                reason += f"; {remedy}" if UNKNOWN.search(reason) else ""
                raise InputError(f"{name} must be {KINDS} that can be loaded: {reason}") from error
    raise AssertionError("the loop returns or raises")


def _keras3(path: Path, name: str, imports: Sequence[str], remedy: str, *, trust: bool) -> keras.Model | FileNetwork:
    """A Keras 3 model, of tf_keras' layers if these answer alike, else converted."""
    arguments = str(path), tuple(imports), not trust
    try:
        with Child() as run:
            network = keras3.rebuilt(run(keras3_child.read, *arguments))
            if network is not None:
                check_network(network, name)
                return network
            failures = []
            for batch in (None, 1):  # sequences convert with one row at a time
                with tempfile.TemporaryDirectory() as folder:
                    run(keras3_child.export, *arguments, folder, batch)
                    try:
                        return _own_file(run(converted, folder, FLOAT32, ()), name)
                    except ChildError as error:
                        failures.append(error)
            raise InputError(f"{name} has no float32 .tflite of built-in operators: {failures[0]}")
    except ChildError as error:
        raise InputError(f"{name} cannot be read by Keras 3: {error}") from error
    except InputError as error:
        text = str(error) if str(error).startswith(name) else f"{name} {error}"
        raise InputError(f"{text}; {remedy}" if UNKNOWN.search(text) else text) from error


def _converted(folder: Path, name: str) -> FileNetwork:
    """The `.tflite` of a SavedModel's signature."""
    signatures = _signatures(folder, name)
    if SIGNATURE not in signatures:
        raise InputError(f"{name} must have a signature {SIGNATURE}, got {', '.join(signatures) or 'none'}")
    with Child() as run:
        try:
            content: bytes = run(converted, str(folder), FLOAT32, ())
        except ChildError as error:
            raise InputError(f"{name} has no float32 .tflite of built-in operators: {error}") from error
    return _own_file(content, name)


def _own_file(content: bytes, name: str) -> FileNetwork:
    """A file that was made here, which no app knows: for one row and in int32 if it can be, as every runtime asks."""
    network = file_network(content, name)
    try:
        return file_network(portable(content, [each.name for each in network.inputs]), name)
    except ValueError:  # a whole number that int32 does not hold
        return network


def _signatures(folder: Path, name: str) -> list[str]:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    file = folder / "saved_model.pb"
    try:
        saved = SavedModel.FromString(file.read_bytes())
    except (OSError, DecodeError) as error:
        raise InputError(f"{name} must be {KINDS}, got a folder without a readable saved_model.pb") from error
    names = {each for graph in saved.meta_graphs for each in graph.signature_def}
    return sorted(names - {"__saved_model_init_op"})
