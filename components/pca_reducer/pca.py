"""Pre-activation PCA: the principal axes of a Dense layer's pre-activations, folded into the network around it.

With z = xW + b, mean m and covariance eigenvectors as the k rows of C, z ≈ m + (z - m) C'C. Every branch of x then
needs k columns only: the table of an embedding wider than k becomes table @ W_branch @ C', all other branches together
get the kernel W_branches @ C', and their sum feeds a Dense with kernel C and bias m + (b - m) C'C. At full rank the
fares are the same.
Jolliffe, "Principal Component Analysis", 2nd ed., section 2.1; the fold is exact algebra.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
import tf_keras as keras

MULTIPLE = 4  # kernels of the interpreter work in blocks of four


class Moments:
    """Mean and covariance of rows seen in batches, float64; memory is (n_features, n_features).

    Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance": merging keeps precision where the
    textbook sum of squares cancels.
    """

    def __init__(self, n_features: int) -> None:
        self.rows = 0
        self.mean = np.zeros(n_features)
        self.scatter = np.zeros((n_features, n_features))

    def update(self, batch: np.ndarray) -> None:
        """Adds rows of shape (n, n_features)."""
        batch = batch.astype(np.float64)
        mean = batch.mean(axis=0)
        centred = batch - mean
        delta = mean - self.mean
        total = self.rows + len(batch)
        self.scatter += centred.T @ centred + np.outer(delta, delta) * (self.rows * len(batch) / total)
        self.mean += delta * (len(batch) / total)
        self.rows = total

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased (n - 1) sample covariance, as scikit-learn's PCA."""
        return self.scatter / (self.rows - 1)


@dataclasses.dataclass(frozen=True)
class Axes:
    """mean (h,); components (h, h), a row per axis, by falling explained variance (h,)."""

    mean: np.ndarray
    components: np.ndarray
    explained_variance: np.ndarray

    @property
    def explained_variance_ratio(self) -> np.ndarray:
        return self.explained_variance / self.explained_variance.sum()


def principal_axes(moments: Moments) -> Axes:
    """Eigenvectors of the covariance; signs fixed so that each axis' largest loading is positive."""
    variance, vectors = np.linalg.eigh(moments.covariance)
    # eigh gives tiny negative values for a singular covariance (dead units)
    variance, components = np.maximum(variance[::-1], 0.0), vectors[:, ::-1].T
    pivots = np.abs(components).argmax(axis=1)
    components = components * np.sign(components[np.arange(len(components)), pivots])[:, None]
    return Axes(moments.mean, components, variance)


def round_up(k: int, n_features: int) -> int:
    """The next multiple of four, at most n_features."""
    return min(-(-k // MULTIPLE) * MULTIPLE, n_features)


def components_for(axes: Axes, fraction: float) -> int:
    """The fewest axes, rounded up to a multiple of four, whose cumulative explained variance reaches the fraction."""
    cumulative = np.cumsum(axes.explained_variance_ratio)
    needed = int(np.searchsorted(cumulative, fraction - 1e-12) + 1)
    return round_up(needed, len(cumulative))


def dense_layer(network: keras.Model, layer: str) -> keras.layers.Dense:
    """The layer of that name. Raises ValueError where it is not there, or is no Dense layer with a bias."""
    found = {each.name: each for each in network.layers}.get(layer)
    if not isinstance(found, keras.layers.Dense) or not found.use_bias:
        got = "none of that name" if found is None else type(found).__name__
        raise ValueError(f"reducer.layer={layer} must be a Dense layer with a bias, got {got}")
    return found


def branches_of(network: keras.Model, layer: str) -> list[keras.KerasTensor]:
    """The tensors that are concatenated into the layer's input; the input itself where nothing is."""
    source = network.get_layer(layer).input
    producer = source.node.layer
    if isinstance(producer, keras.layers.Concatenate):
        return list(producer.input)
    return [source]


def embedding_behind(branch: keras.KerasTensor) -> keras.layers.Embedding | None:
    """The embedding whose look-up, made flat or not, the branch is."""
    producer = branch.node.layer
    if isinstance(producer, keras.layers.Flatten):
        producer = producer.input.node.layer
    return producer if isinstance(producer, keras.layers.Embedding) else None


def preactivations(network: keras.Model, layer: str, batches: tf.data.Dataset) -> Iterable[np.ndarray]:
    """z = xW + b of the layer for each batch, shape (n, units), float64."""
    dense = dense_layer(network, layer)
    kernel, bias = (weight.astype(np.float64) for weight in dense.get_weights())
    inputs = tf.function(keras.Model(network.inputs, dense.input))
    for columns, _ in batches:
        yield inputs({name: columns[name] for name in network.input_names}).numpy().astype(np.float64) @ kernel + bias


def tail_of(network: keras.Model, layer: str) -> list[keras.layers.Layer]:
    """The layers after `layer` up to the output. Raises ValueError where they are no chain."""
    try:
        tail = keras.Model(network.get_layer(layer).output, network.output).layers[1:]
    except ValueError as error:  # the output needs an input of the network, too
        raise ValueError(f"reducer.layer={layer}: the layers behind it must be a chain, got a way around it") from error
    previous = network.get_layer(layer).output
    for after in tail:
        if isinstance(after.input, list) or after.input is not previous:
            raise ValueError(
                f"reducer.layer={layer}: the layers behind it must be a chain, got {after.name} with a branch"
            )
        previous = after.output
    return tail


def copy_of(layer: keras.layers.Layer) -> keras.layers.Layer:
    """An unbuilt layer of the same configuration: a network made of copies shares nothing with its source."""
    return type(layer).from_config(layer.get_config())


def fold(network: keras.Model, layer: str, axes: Axes, k: int) -> keras.Model:
    """A new network of rank k at `layer`; `network` stays as it is.

    Raises ValueError where it cannot be taken apart.
    """
    dense = dense_layer(network, layer)
    kernel, bias = (weight.astype(np.float64) for weight in dense.get_weights())
    if not 1 <= k <= dense.units:
        raise ValueError(f"reducer.n_components={k} must be between 1 and units={dense.units} of {layer}")
    basis = axes.components[:k]

    weights: dict[str, list[np.ndarray]] = {}
    reduced, kept, kept_rows, start = [], [], [], 0
    for branch in branches_of(network, layer):
        table, width = embedding_behind(branch), branch.shape[-1]
        rows = kernel[start : start + width] @ basis.T
        start += width
        if table is not None:
            weights[table.name] = table.get_weights()
        if table is not None and width > k:
            narrow = keras.layers.Embedding(table.input_dim, k, name=table.name)
            weights[table.name] = [table.get_weights()[0].astype(np.float64) @ rows]
            x = narrow(table.input)
            reduced.append(copy_of(branch.node.layer)(x) if len(x.shape) > 2 else x)
        else:
            kept.append(branch)
            kept_rows.append(rows)
    if kept:
        x = keras.layers.Concatenate(name="concatenated")(kept) if len(kept) > 1 else kept[0]
        narrow = keras.layers.Dense(k, use_bias=False, name=f"{layer}_reduced")
        weights[narrow.name] = [np.concatenate(kept_rows)]
        reduced.append(narrow(x))
    x = keras.layers.Add(name=f"{layer}_sum")(reduced) if len(reduced) > 1 else reduced[0]
    x = copy_of(dense)(x)
    weights[layer] = [basis, axes.mean + (bias - axes.mean) @ basis.T @ basis]
    for after in tail_of(network, layer):
        x = copy_of(after)(x)
        weights[after.name] = after.get_weights()

    folded = keras.models.clone_model(keras.Model(network.inputs, x, name=network.name))
    for name, values in weights.items():
        folded.get_layer(name).set_weights([np.asarray(value, np.float32) for value in values])
    return folded
