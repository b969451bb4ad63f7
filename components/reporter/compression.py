"""Contents of the report about compression: the projection, the masks, the ladder of formats. No TensorFlow here."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from tfx import types
from tfx.dsl.io import fileio

MOST_DOTS, MOST_COMPONENTS, MOST_FEATURES = 600, 16, 64
MOST_CELLS = 20_000  # of a mask that is drawn
TRIAL_KEYS = (
    "rung",
    "network",
    "kept_float",
    "steps",
    "error",
    "bytes",
    "gzip_bytes",
    "latency_us",
    "verdict",
    "reason",
)


def read(artifact: types.Artifact, name: str) -> bytes:
    """The bytes of `{artifact.uri}/{name}`."""
    with fileio.open(os.path.join(artifact.uri, name), "rb") as file:
        return bytes(file.read())


def read_json(artifact: types.Artifact, name: str) -> Any:
    """The content of `{artifact.uri}/{name}`."""
    return json.loads(read(artifact, name))


def arrays(artifact: types.Artifact, name: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a `.npz`; empty without one."""
    if not fileio.exists(os.path.join(artifact.uri, name)):
        return {}
    with np.load(io.BytesIO(read(artifact, name))) as content:
        return dict(content)


def projection(artifact: types.Artifact) -> dict[str, Any]:
    """Facts of projection.json, the shares of variance, the loadings, and the first two codes of sampled rows."""
    facts, content = read_json(artifact, "projection.json"), arrays(artifact, "projection.npz")
    keys = ("layer", "space", "method", "k", "n_features", "why", "explained_variance_ratio", "metric", "eval_error")
    loadings = content.get("loadings_correlation", np.zeros((0, 0)))[:MOST_COMPONENTS, :MOST_FEATURES]
    codes, labels = content.get("codes", np.zeros((0, 2)))[:MOST_DOTS], content.get("code_labels", np.zeros(0))
    return {
        **{key: facts[key] for key in keys if key in facts},
        "features": facts.get("features", [])[:MOST_FEATURES],
        "ratios": np.round(content.get("explained_variance_ratio", np.zeros(0)), 5).tolist(),
        "loadings": np.round(loadings, 2).tolist(),
        "codes": np.round(np.column_stack([codes, labels[: len(codes)].reshape(-1)]), 3).tolist() if len(codes) else [],
    }


def pruning(artifact: types.Artifact, shipped: Any) -> dict[str, Any]:
    """Facts of pruning.json, and which weights of the shipped network are not zero, in layers where some are.

    shipped: the Keras network of the file: Quantizer may choose another of Pruner's candidates than Pruner prefers.
    Each mask is runs of kept weights, row by row: [row, first, length].
    """
    facts = read_json(artifact, "pruning.json")
    found = {layer.name: getattr(layer, "kernel", getattr(layer, "embeddings", None)) for layer in shipped.layers}
    weights = {name: variable.numpy() for name, variable in found.items() if variable is not None}
    masks = {name: values != 0 for name, values in weights.items() if not np.all(values)}
    return {
        **{key: facts[key] for key in ("why", "criterion", "sparsity", "sparsity_by_layer", "steps") if key in facts},
        "masks": {name: mask_runs(mask) for name, mask in masks.items() if mask.ndim == 2 and mask.size <= MOST_CELLS},
    }


def mask_runs(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Shape, share kept, and runs of kept weights of a mask (rows, columns)."""
    padded = np.pad(mask.astype(np.int8), ((0, 0), (1, 1)))
    change = np.diff(padded, axis=1)
    (rows, starts), (_, ends) = np.nonzero(change == 1), np.nonzero(change == -1)
    runs = np.column_stack([rows, starts, ends - starts]).tolist()
    return {"shape": list(mask.shape), "kept": float(mask.mean()), "runs": runs}


def ladder(artifact: types.Artifact) -> dict[str, Any]:
    """The choice, every candidate file without its operators, and the harm of each node that int8 can quantize."""
    lines = read(artifact, "trials.jsonl").decode().splitlines()
    trials: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
    return {
        **read_json(artifact, "choice.json"),
        "trials": [{key: trial.get(key) for key in TRIAL_KEYS} for trial in trials],
        "harms": read_json(artifact, "sensitivity.json"),
    }
