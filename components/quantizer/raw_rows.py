"""Raw examples as the shipped file takes them, with the labels that the network was taught."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import tensorflow as tf
import tensorflow_transform as tft

from farebox.components.networks import examples_io

if TYPE_CHECKING:
    from tfx import types

Batches = Iterable[tuple[dict[str, npt.NDArray[Any]], npt.NDArray[Any]]]


class RawRows:
    """The rows of raw examples.

    label: a raw column. transformed_label: what the transform makes of raw columns is the label instead, such as a
    class of two numbers; None if the network was taught the raw column itself.
    """

    def __init__(
        self, examples: types.Artifact, transform_graph_uri: str, label: str, transformed_label: str | None
    ) -> None:
        graph = tft.TFTransformOutput(transform_graph_uri)
        self._examples, self._label, self._transformed_label = examples, label, transformed_label
        self._spec: dict[str, Any] = graph.raw_feature_spec()
        self.transform = graph.transform_features_layer()

    def dtype(self, column: str) -> tf.DType:
        """The type of a raw column."""
        return self._spec[column].dtype

    def batches(self, split: str) -> Batches:
        """The rows of a split, batch by batch."""
        rows = examples_io.dataset(self._examples, split, self._spec, self._label, examples_io.EVAL_BATCH_ROWS)
        return examples_io.numpy_batches(rows if self._transformed_label is None else self._relabelled(rows))

    def _relabelled(self, rows: tf.data.Dataset) -> Iterator[Any]:
        for columns, label in rows:
            yield columns, self.transform({**columns, self._label: label})[self._transformed_label]
