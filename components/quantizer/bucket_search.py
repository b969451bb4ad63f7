"""Buckets by comparisons: TFLite has no operator for the search that `tft.bucketize` makes of sorted boundaries."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

SAVED_MODEL = "saved_model.pb"
SEARCHES: dict[str, Callable[[Any, Any], Any]] = {"LowerBound": tf.less, "UpperBound": tf.less_equal}


def without_searches(folder: str) -> None:
    """Replaces, in a SavedModel, each search of sorted numbers by the count of those below a value.

    UpperBound(sorted, values) is how many are at most the value, LowerBound how many are less.
    """
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    path = os.path.join(folder, SAVED_MODEL)
    with open(path, "rb") as file:
        saved = SavedModel.FromString(file.read())
    made: dict[str, Any] = {}
    for graph in (meta_graph.graph_def for meta_graph in saved.meta_graphs):
        _replace(graph.node, made)
        for function in graph.library.function:
            _replace(function.node_def, made)
        graph.library.function.extend(made.values())
    if made:
        with open(path, "wb") as file:
            file.write(saved.SerializeToString(deterministic=True))


def _replace(nodes: Iterable[Any], made: dict[str, Any]) -> None:
    """Makes calls of the searches among the nodes; `made` gains the functions that they call, by name."""
    for node in nodes:
        if node.op not in SEARCHES:
            continue
        number, count = node.attr["T"].type, node.attr["out_type"].type
        definition = _counting(node.op, number, count)
        made[definition.signature.name] = definition
        node.op = "PartitionedCall"
        node.attr.clear()
        node.attr["Tin"].list.type.extend([number, number])
        node.attr["Tout"].list.type.append(count)
        node.attr["f"].func.name = definition.signature.name


@functools.cache
def _counting(op: str, number: int, count: int) -> Any:
    """The definition of a function (sorted (rows, n), values (rows, m)) -> counts (rows, m)."""
    numbers = tf.TensorSpec((None, None), tf.dtypes.as_dtype(number))

    def counted(ordered: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        is_below = SEARCHES[op](tf.expand_dims(ordered, 1), tf.expand_dims(values, 2))
        return tf.cast(tf.reduce_sum(tf.cast(is_below, tf.int32), axis=2), tf.dtypes.as_dtype(count))

    traced = tf.function(counted, input_signature=[numbers, numbers], autograph=False)
    return traced.get_concrete_function().function_def
