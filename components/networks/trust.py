"""Model files of other people: what would run code of theirs when it is loaded or called is found before.

tf_keras refuses a Python lambda in a `.keras` file only: an `.h5` and a SavedModel run it (CVE-2025-9905), and a config
may name any function of any module (CVE-2025-1550, CVE-2025-9906).
"""

from __future__ import annotations

import builtins
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from farebox.components.errors import InputError

CONFIG_FILE, PICKLED_WEIGHTS = "config.json", "model.weights.npz"  # in a .keras archive
OWN_PACKAGE = re.compile(r"(tf_)?keras(\.|$)(src\.)?")
CLASSES_OF = ("", "layers", "engine", "models", "initializers", "regularizers", "constraints", "activations",
              "mixed_precision", "optimizers", "losses", "metrics", "ops")  # fmt: skip
FUNCTIONS_OF = ("activations", "losses", "metrics", "initializers", "regularizers", "constraints")
OPS_OF = ("math.", "nn.", "linalg.", "signal.", "image.", "random.", "bitwise.", "__operators__.", "keras.activations.",
          "keras.backend.", "reduce_")  # fmt: skip
OPS = frozenset((
    "abs", "add", "add_n", "argmax", "argmin", "argsort", "boolean_mask", "broadcast_to", "cast", "clip_by_norm",
    "clip_by_value", "concat", "constant", "convert_to_tensor", "cos", "cosh", "cumsum", "divide", "einsum",
    "equal", "exp", "expand_dims", "eye", "fill", "floor", "gather", "gather_nd", "greater", "greater_equal",
    "identity", "less", "less_equal", "logical_and", "logical_not", "logical_or", "matmul", "maximum", "minimum",
    "multiply", "negative", "norm", "not_equal", "one_hot", "ones", "ones_like", "pad", "pow", "range", "rank",
    "repeat", "reshape", "reverse", "roll", "round", "saturate_cast", "scatter_nd", "shape", "sigmoid", "sign",
    "sin", "sinh", "size", "slice", "sort", "split", "sqrt", "square", "squeeze", "stack", "stop_gradient",
    "strided_slice", "subtract", "tan", "tanh", "tensordot", "tile", "transpose", "truediv", "unstack", "where",
    "zeros", "zeros_like"
))  # fmt: skip
RAW_OPS = re.compile(  # that run Python, or read and write files
    r".*PyFunc.*|.*(Reader|RecordDataset|LineDataset)(V\d+)?|WriteFile|ReadFile|MatchingFiles|PrintV2|Save(V2|Slices)?|"
    r"Restore.*|DeleteFile|.*Rpc.*|.*LoadLibrary.*|InitializeTableFromTextFile.*"
)
CHECKPOINT_OPS = ("Save", "Restore")  # outside of functions, where TensorFlow 1 puts them
SAVERS = re.compile(r"__inference__traced_(save|restore)_\d+")  # of checkpoints, which no network calls


def check_trusted(path: Path, name: str, remedy: str, modules: Sequence[str] = ()) -> None:
    """Raises InputError, which starts with `name`, if the model file may run code that is not Keras' own.

    remedy: what to do, in words. modules: with layers that are trusted, too. Files that cannot be read are left to the
    loader.
    """
    for finding in _findings(path, tuple(modules)):
        raise InputError(f"{name} may run code of its author: {finding}; {remedy}")


def _findings(path: Path, modules: tuple[str, ...]) -> Iterator[str]:
    if path.is_dir():
        yield from _in_saved_model(path, modules)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if PICKLED_WEIGHTS in archive.namelist():
                yield f"{PICKLED_WEIGHTS}, which may hold pickles"
            if CONFIG_FILE in archive.namelist():
                yield from _in_config(_parsed(archive.read(CONFIG_FILE)), modules)
    else:
        yield from _in_h5(path, modules)


def _in_h5(path: Path, modules: tuple[str, ...]) -> Iterator[str]:
    import h5py

    if not h5py.is_hdf5(path):
        return
    with h5py.File(path) as file:
        for key in ("model_config", "training_config"):
            yield from _in_config(_parsed(file.attrs.get(key, "null")), modules)


def _in_saved_model(path: Path, modules: tuple[str, ...]) -> Iterator[str]:
    """Finds what is dangerous in a SavedModel: layers, operators, and resources, whose functions a load runs."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata

    try:
        metadata = SavedMetadata.FromString(_content(path / "keras_metadata.pb"))
        saved = SavedModel.FromString(_content(path / "saved_model.pb"))
    except DecodeError:
        return
    for node in metadata.nodes:
        yield from _in_config(_parsed(node.metadata), modules)
    for graph in saved.meta_graphs:
        functions = [each for each in graph.graph_def.library.function if not SAVERS.fullmatch(each.signature.name)]
        in_functions = [node.op for function in functions for node in function.node_def]
        outside = [node.op for node in graph.graph_def.node if not node.op.startswith(CHECKPOINT_OPS)]
        for op in (*in_functions, *outside):
            if RAW_OPS.fullmatch(op):
                yield f"a function with the operator {op}"
        if any(node.WhichOneof("kind") == "resource" for node in graph.object_graph_def.nodes):
            yield "a resource, whose functions run when it is loaded"


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _in_config(value: Any, modules: tuple[str, ...]) -> Iterator[str]:
    """Finds what is dangerous in a layer's config, at any depth."""
    if isinstance(value, list):
        for each in value:
            yield from _in_config(each, modules)
    elif isinstance(value, dict):
        yield from _in_object(value, modules)
        for each in value.values():
            yield from _in_config(each, modules)


def _in_object(value: dict[str, Any], modules: tuple[str, ...]) -> Iterator[str]:
    kind, module, config = value.get("class_name"), value.get("module"), value.get("config")
    if kind in ("Lambda", "__lambda__"):
        yield "a Lambda layer"
    elif kind in ("TensorFlowOpLayer", "TensorFlowOp"):
        yield f"a layer of a raw operator, {kind}"
    elif kind in ("TFOpLambda", "SlicingOpLambda") and isinstance(config, dict):
        op = str(config.get("function")).removeprefix("compat.v1.")
        if op not in OPS and not op.startswith(OPS_OF):
            yield f"a layer of tf.{op}"
    elif kind in ("ClassMethod", "InstanceMethod", "InstanceProperty"):
        yield f"a layer of a method, {kind}"
    if isinstance(kind, str) and isinstance(module, str) and not (module in modules or _is_own(module, kind, config)):
        yield f"{module}.{config if kind == 'function' else kind}"


def _is_own(module: str, kind: str, config: Any) -> bool:
    """Whether an object is one of Keras' layers or what they are made of; `kind` is its class, or `function`."""
    if module == "builtins":  # Keras' functions by name; it takes Python's if it has none of that name
        return kind == "function" and not hasattr(builtins, str(config))
    if not OWN_PACKAGE.match(module):
        return False
    part = OWN_PACKAGE.sub("", module, count=1).partition(".")[0]
    return part in (FUNCTIONS_OF if kind == "function" else CLASSES_OF)
