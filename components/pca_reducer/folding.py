"""An affine map to k codes and back, folded into the network around a Dense layer.

The layer computes z = xW + b. With the encoder A (from features less their mean to codes) and the decoder D (back),
projected pre-activations are m + (z - m)AD = x(WA)D + m + (b - m)AD, and projected inputs give
(m + (x - m)AD)W + b = xA(DW) + b + mW - mADW: both are codes x·narrow, then a Dense of k inputs. So every branch of x
needs k columns only: the table of an embedding wider than k becomes table @ narrow, all other branches together get a
kernel, and their sum feeds the Dense. It is exact algebra; at full rank the outputs are the source's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.pca_reducer.axes import Axes
from farebox.components.pca_reducer.settings import Space


def dense_layer(network: keras.Model, layer: str) -> keras.layers.Dense:
    """The layer of that name. Raises InputError if there is none, or it is not a Dense layer with a bias on rows."""
    dense = {each.name: each for each in network.layers}.get(layer)
    if not isinstance(dense, keras.layers.Dense) or not dense.use_bias:
        got = "none of that name" if dense is None else type(dense).__name__
        raise InputError(f"reducer.layer={layer} must be a Dense layer with a bias, got {got}")
    if len(dense.input.shape) != 2:
        raise InputError(f"reducer.layer={layer} must have input of shape (n, width), got {tuple(dense.input.shape)}")
    return dense


def branches_of(network: keras.Model, layer: str) -> list[keras.KerasTensor]:
    """The tensors that are concatenated into the layer's input; the input itself if nothing is concatenated."""
    source = network.get_layer(layer).input
    producer = source.node.layer
    if isinstance(producer, keras.layers.Concatenate):
        return list(producer.input)
    return [source]


def embedding_behind(branch: keras.KerasTensor) -> keras.layers.Embedding | None:
    """The embedding that the branch looks up one id in, flattened or not."""
    producer = branch.node.layer
    if isinstance(producer, keras.layers.Flatten):
        producer = producer.input.node.layer
    if isinstance(producer, keras.layers.Embedding) and producer.output_dim == branch.shape[-1]:
        return producer
    return None


def narrowed(branches: list[keras.KerasTensor], k: int) -> list[keras.layers.Embedding | None]:
    """The embedding of each branch that the fold narrows to k columns; None for a branch that stays as it is."""
    tables = [embedding_behind(branch) for branch in branches]
    uses = Counter(table.name for table in tables if table is not None)
    return [table if table is not None and table.output_dim > k and uses[table.name] == 1 else None for table in tables]


def n_features(network: keras.Model, layer: str, space: Space) -> int:
    """Units of the layer, or the width of its input."""
    dense = dense_layer(network, layer)
    return dense.units if space == "preactivation" else int(dense.input.shape[-1])


def feature_names(
    network: keras.Model, layer: str, space: Space, columns: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """A name for each feature: of the layer's units, or of its branches' columns by the inputs that they come from.

    columns: names of the columns of an input that has several, by input.
    """
    if space == "preactivation":
        return [f"{layer}[{i}]" for i in range(dense_layer(network, layer).units)]
    names: list[str] = []
    for branch in branches_of(network, layer):
        table = embedding_behind(branch)
        source = table.name if table is not None else branch.node.layer.name
        width = branch.shape[-1]
        own = list((columns or {}).get(source, ()))
        if own and len(own) != width:
            raise InputError(f"feature_names: {source} must have {width} names, got {len(own)}: {', '.join(own)}")
        names += own or ([source] if width == 1 else [f"{source}[{i}]" for i in range(width)])
    return names


def extractor(network: keras.Model, layer: str, space: Space) -> Callable[[Mapping[str, tf.Tensor]], npt.NDArray[Any]]:
    """A function from a batch of transformed columns to the features to project, (n, n_features) float64."""
    dense = dense_layer(network, layer)
    kernel, bias = (weight.astype(np.float64) for weight in dense.get_weights())
    inputs = tf.function(keras.Model(network.inputs, dense.input), autograph=False)

    def extract(columns: Mapping[str, tf.Tensor]) -> npt.NDArray[Any]:
        x = inputs({name: columns[name] for name in network.input_names}).numpy().astype(np.float64)
        return np.asarray(x if space == "input" else x @ kernel + bias)

    return extract


def tail_of(network: keras.Model, layer: str) -> list[keras.layers.Layer]:
    """The layers after `layer` up to the output. Raises InputError if they are not a chain."""
    try:
        tail: list[keras.layers.Layer] = keras.Model(network.get_layer(layer).output, network.output).layers[1:]
    except ValueError as error:  # the output needs an input of the network, too
        raise InputError(f"reducer.layer={layer}: the layers behind it must be a chain, got a way around it") from error
    previous = network.get_layer(layer).output
    for after in tail:
        if isinstance(after.input, list) or after.input is not previous:
            raise InputError(
                f"reducer.layer={layer}: the layers behind it must be a chain, got {after.name} with a branch"
            )
        previous = after.output
    return tail


def copy_of(layer: keras.layers.Layer) -> keras.layers.Layer:
    """An unbuilt layer of the same configuration: a network made of copies shares nothing with its source."""
    return type(layer).from_config(layer.get_config())


def folded_weights(
    dense: keras.layers.Dense, axes: Axes, space: Space
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Narrow kernel (n_inputs, k), then kernel (k, units) and bias (units,) of the Dense; float64."""
    kernel, bias = (weight.astype(np.float64) for weight in dense.get_weights())
    encoder, decoder, mean = axes.encoder, axes.scaled_decoder, axes.mean
    if space == "preactivation":
        return kernel @ encoder, decoder, mean + (bias - mean) @ encoder @ decoder
    return encoder, decoder @ kernel, bias + mean @ kernel - mean @ encoder @ decoder @ kernel


def folded_parameters(network: keras.Model, layer: str, k: int) -> int:
    """Number of parameters after `fold` at rank k."""
    dense, branches = dense_layer(network, layer), branches_of(network, layer)
    saved = (int(dense.input.shape[-1]) - k) * dense.units
    for branch, table in zip(branches, narrowed(branches, k), strict=True):
        width = int(branch.shape[-1])
        saved += table.input_dim * (width - k) if table is not None else -width * k
    return int(network.count_params() - saved)


def fold(network: keras.Model, layer: str, axes: Axes, space: Space) -> keras.Model:
    """A new network of rank k = len(axes) at `layer`; `network` stays as it is.

    Raises InputError if it cannot be taken apart.
    """
    dense, k = dense_layer(network, layer), len(axes)
    narrow_kernel, kernel, bias = folded_weights(dense, axes, space)
    weights: dict[str, list[npt.NDArray[Any]]] = {layer: [kernel, bias]}
    reduced, kept, kept_rows, start = [], [], [], 0
    branches = branches_of(network, layer)
    for branch, table in zip(branches, narrowed(branches, k), strict=True):
        rows = narrow_kernel[start : start + branch.shape[-1]]
        start += branch.shape[-1]
        if table is None:
            kept.append(branch)
            kept_rows.append(rows)
            continue
        weights[table.name] = [table.get_weights()[0].astype(np.float64) @ rows]
        x = keras.layers.Embedding(table.input_dim, k, name=table.name)(table.input)
        reduced.append(copy_of(branch.node.layer)(x) if branch.node.layer is not table else x)
    if kept:
        x = keras.layers.Concatenate(name=f"{layer}_kept")(kept) if len(kept) > 1 else kept[0]
        narrow = keras.layers.Dense(k, use_bias=False, name=f"{layer}_reduced")
        weights[narrow.name] = [np.concatenate(kept_rows)]
        reduced.append(narrow(x))
    x = keras.layers.Add(name=f"{layer}_sum")(reduced) if len(reduced) > 1 else reduced[0]
    for each in (dense, *tail_of(network, layer)):
        x = copy_of(each)(x)

    folded = keras.models.clone_model(keras.Model(network.inputs, x, name=network.name))
    for each in folded.layers:
        if each.weights:
            values = weights[each.name] if each.name in weights else network.get_layer(each.name).get_weights()
            each.set_weights([np.asarray(value, np.float32) for value in values])
    return folded
