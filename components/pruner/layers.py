"""The prunable parts of a network: kernels of Dense layers and convolutions and embedding tables, and their zeros.

A kernel is pruned as a matrix (inputs, units): that of a convolution has a row for each place and channel that a unit
reads. Depthwise kernels stay: they are few weights, of which tfmot prunes none.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks.ids import id_counts
from farebox.components.networks.rows import Batch
from farebox.components.pruner.settings import PrunerSettings

L = keras.layers
WEIGHTS = {
    L.Dense: "kernel",
    L.Conv1D: "kernel",
    L.Conv2D: "kernel",
    L.SeparableConv1D: "pointwise_kernel",
    L.SeparableConv2D: "pointwise_kernel",
    L.Embedding: "embeddings",
}


@tf.autograph.experimental.do_not_convert  # what Keras and tfmot wrote needs no AutoGraph
def copy_network(
    network: keras.Model, wrap: Callable[[keras.layers.Layer], keras.layers.Layer] | None = None
) -> keras.Model:
    """A network with the same weights and layers of its own; tfmot's wrappers share layers with what they wrap."""
    plain = keras.models.clone_model(network)
    plain.set_weights(network.get_weights())
    return keras.models.clone_model(plain, clone_function=wrap) if wrap else plain


def weight_of(layer: keras.layers.Layer) -> Any:
    """The weight that can be pruned, None for a layer without one."""
    is_plain = getattr(layer, "groups", 1) == 1 and getattr(layer, "data_format", None) != "channels_first"
    name = WEIGHTS.get(type(layer))
    return getattr(layer, name) if name and is_plain else None


def matrix(network: keras.Model, name: str) -> npt.NDArray[Any]:
    """The kernel of a layer (inputs, units), or the table of an Embedding (rows, dimensions)."""
    weight = weight_of(network.get_layer(name)).numpy()
    return np.asarray(weight.reshape(-1, weight.shape[-1]))


def apply_masks(network: keras.Model, masks: Mapping[str, npt.NDArray[Any]]) -> None:
    """Zeroes, in place, the weights that the masks do not keep."""
    for name, mask in masks.items():
        weight = weight_of(network.get_layer(name))
        kept = np.broadcast_to(mask, (weight.shape.num_elements() // weight.shape[-1], weight.shape[-1]))
        weight.assign(tf.where(kept.reshape(weight.shape), weight, 0.0))


def prunable(network: keras.Model) -> list[str]:
    """Names of the layers with a weight that can be pruned, inputs first."""
    return [layer.name for layer in network.layers if weight_of(layer) is not None]


def targets_of(network: keras.Model, settings: PrunerSettings, sparsity: float | None = None) -> dict[str, float]:
    """The final sparsity of each layer to prune. sparsity: replaces a `final_sparsity` of auto.

    Raises InputError if a pattern matches no layer, or a layer matches two patterns.
    """
    final: Any = settings.final_sparsity if sparsity is None else sparsity
    if settings.layers is None and not isinstance(final, dict):
        return dict.fromkeys(_kernels_but_the_last(network, settings), final)
    patterns = final if isinstance(final, dict) else dict.fromkeys(settings.layers or (), final)
    key = "final_sparsity" if isinstance(final, dict) else "layers"
    targets = _by_pattern(prunable(network), patterns, key, unique=isinstance(final, dict))
    for name in targets:
        if settings.pattern and not _is_matrix(network.get_layer(name)):
            kind = type(network.get_layer(name)).__name__
            raise InputError(
                f"pruner.{key}: {name} must be a Dense or Embedding layer with {settings.pattern}, got {kind}"
            )
    return targets


def _is_matrix(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, L.Dense | L.Embedding)


def _kernels_but_the_last(network: keras.Model, settings: PrunerSettings) -> list[str]:
    """Names of the Dense layers and convolutions before the last of them; of Dense layers alone if zeros have a
    pattern, which tfmot makes in matrices."""
    layers = [network.get_layer(name) for name in prunable(network)]
    *kernels, _ = [layer for layer in layers if not isinstance(layer, L.Embedding)] or [None]
    names = [layer.name for layer in kernels if not settings.pattern or _is_matrix(layer)]
    if not names:
        raise InputError(
            "pruner.layers must name what to prune: before its last Dense layer or convolution, the network has no "
            "kernel to prune"
        )
    return names


def _by_pattern(names: Sequence[str], patterns: Mapping[str, float], key: str, unique: bool) -> dict[str, float]:
    matches = {pattern: fnmatch.filter(names, pattern) for pattern in patterns}
    for pattern, matched in matches.items():
        if not matched:
            raise InputError(
                f"pruner.{key}: {pattern} must match a Dense, Conv or Embedding layer, got none of {names}"
            )
    targets = {}
    for name in names:
        matching = [pattern for pattern, matched in matches.items() if name in matched]
        if unique and len(matching) > 1:
            raise InputError(f"pruner.{key}: {name} must match one pattern, got {' and '.join(matching)}")
        if matching:
            targets[name] = patterns[matching[0]]
    return targets


def trained_rows(network: keras.Model, batches: Iterable[Batch]) -> dict[str, npt.NDArray[Any]]:
    """The rows of each embedding that occur in the batches, which are all that trained it; bool, shape (input_dim,)."""
    return {name: counts > 0 for name, counts in id_counts(network, batches).items()}


def zero_rows(network: keras.Model, trained: Mapping[str, npt.NDArray[Any]]) -> None:
    """Zeroes, in place, the embedding rows that no training row ever used: they hold nothing learned."""
    apply_masks(network, {name: rows[:, None] for name, rows in trained.items()})


def kept_weights(
    network: keras.Model, masks: Mapping[str, npt.NDArray[Any]], trained: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """The masks of the pruned layers and of the embeddings with never-trained rows; bool, shaped as their matrices."""
    kept = {name: np.ones(matrix(network, name).shape, bool) for name, rows in trained.items() if not rows.all()}
    kept |= {name: mask.copy() for name, mask in masks.items()}
    for name in kept.keys() & trained.keys():
        kept[name] &= trained[name][:, None]
    return kept


def sparsity(network: keras.Model) -> dict[str, float]:
    """The fraction of zeros in every kernel and embedding table, by layer."""
    return {name: float(np.mean(matrix(network, name) == 0.0)) for name in prunable(network)}


def total_sparsity(network: keras.Model) -> float:
    """The fraction of zeros in all weights."""
    weights = network.get_weights()
    return sum(int(np.sum(weight == 0.0)) for weight in weights) / sum(int(weight.size) for weight in weights)


def float16_bytes(network: keras.Model) -> bytes:
    """All weights as consecutive float16 numbers, as gzip meets them in a float16 file."""
    return b"".join(np.asarray(weight, np.float16).tobytes() for weight in network.get_weights())
