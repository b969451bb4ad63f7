"""Embedding tables without equal rows: a look-up of small integers, and each distinct row once."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

LOOKUP_BYTES, PAGES_BYTES = 150, 650  # of their operators
PAGES_OPERATORS = 10  # of a look-up in pages, up to the row
PAGE_SIZES = (*(1 << bits for bits in range(2, 11)), 10, 20, 50, 100)  # ids that cross decimal ones have pages of ten
INT8 = np.iinfo(np.int8)  # tflite-micro gathers int8 and float32 alone
BASE = INT8.max - INT8.min + 1
Integers = npt.NDArray[np.int64]


def digits_of(numbers: Integers) -> list[Integers]:
    """Numbers of at least 0 as int8 digits to the base 256, the highest first: one up to 127, else two up to 32,639."""
    high = (numbers - INT8.min) // BASE
    return [high, numbers - BASE * high] if high.any() else [numbers]


@dataclasses.dataclass(frozen=True)
class Paged:
    """Numbers by id, with each distinct page of consecutive ids once. pages: of each id / page_size, its page's place
    in `numbers`, counted in pages."""

    page_size: int
    pages: Integers
    numbers: Integers

    @staticmethod
    def of(numbers: Integers, page_size: int) -> Paged:
        """Cuts numbers into pages; the last page is filled up."""
        padded = np.pad(numbers, (0, -len(numbers) % page_size), mode="edge").reshape(-1, page_size)
        distinct, pages = np.unique(padded, axis=0, return_inverse=True)
        return Paged(page_size, pages.reshape(-1), distinct.reshape(-1))

    @property
    def bytes(self) -> int:
        """Bytes of the digits and of the operators."""
        digits = [*digits_of(self.pages), *digits_of(self.numbers)]
        return sum(digit.size for digit in digits) + PAGES_BYTES


class LookupEmbedding(keras.layers.Layer):
    """An embedding that looks up the distinct row of each id: all unused cells, which are zero, share a row.

    rows: the index of each id's distinct row, shape (input_dim,). page_size: 1, or of a look-up in two steps. Ids are
    divided as float32, exact up to 2^24: tflite-micro has no integer division.
    """

    def __init__(self, rows: list[int], n_distinct: int, output_dim: int, page_size: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.n_distinct, self.output_dim, self.page_size = list(rows), n_distinct, output_dim, page_size

    def build(self, input_shape: Any) -> None:  # noqa: ARG002 - Keras's signature
        self.embeddings = self.add_weight(name="embeddings", shape=(self.n_distinct, self.output_dim))
        self.built = True

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        ids = ids if ids.dtype.is_integer else tf.cast(ids, tf.int32)  # as Embedding does
        return tf.gather(self.embeddings, self._of_pages(ids) if self.page_size > 1 else self._at_once(ids))

    def _at_once(self, ids: tf.Tensor) -> tf.Tensor:
        lookup = tf.constant((np.array(self.rows) - self._offset).astype(np.int8))
        return tf.cast(tf.gather(lookup, ids), tf.int32) + self._offset

    def _of_pages(self, ids: tf.Tensor) -> tf.Tensor:
        """The operators are those that XNNPACK leaves alone: each part that it takes costs more than all of them."""
        paged, one = Paged.of(np.array(self.rows), self.page_size), [1] * ids.shape.rank
        size = tf.constant(self.page_size, tf.int32, one)  # of the ids' rank: kernels are slower for other shapes
        page = tf.cast(tf.cast(ids, tf.float32) // tf.constant(self.page_size, tf.float32, one), tf.int32)
        place = _gathered(paged.pages, page)
        return _gathered(paged.numbers, tf.cast(ids, tf.int32) + (place - page) * size)

    @property
    def _offset(self) -> int:
        """Number to add to the look-up's integers, so that int8 counts to 256."""
        return 0 if self.n_distinct <= -INT8.min else -INT8.min

    def get_config(self) -> dict[str, Any]:
        own = {
            "rows": self.rows,
            "n_distinct": self.n_distinct,
            "output_dim": self.output_dim,
            "page_size": self.page_size,
        }
        return {**super().get_config(), **own}


def _gathered(numbers: Integers, positions: tf.Tensor) -> tf.Tensor:
    """Looks up whole numbers, which are kept as digits; positions and result are int32."""
    total = None
    for digit in digits_of(numbers):
        found = tf.cast(tf.gather(tf.constant(digit.astype(np.int8)), positions), tf.int32)
        total = found if total is None else total * BASE + found
    return total


@dataclasses.dataclass(frozen=True)
class Table:
    """distinct: sorted, so that neighbours are alike and gzip saves more; rows: of each id; page_size: see
    `LookupEmbedding`."""

    distinct: npt.NDArray[np.float32]
    rows: Integers
    page_size: int = 1


def table_of(values: npt.NDArray[np.float32], *, has_pages: bool) -> Table | None:
    """The table with a look-up that makes it smaller in int8, in pages if that is smaller still; None without gain."""
    distinct, rows = np.unique(values, axis=0, return_inverse=True)
    rows = rows.reshape(-1)
    at_once = rows.size + LOOKUP_BYTES if len(distinct) <= BASE else values.size
    sizes = {1: at_once + distinct.size}
    if has_pages:
        sizes |= {size: Paged.of(rows, size).bytes + distinct.size for size in PAGE_SIZES}
    best = min(sizes, key=lambda size: sizes[size])
    return Table(distinct, rows, best) if sizes[best] < values.size else None


def with_lookups(network: keras.Model, *, has_pages: bool = False) -> keras.Model | None:
    """Returns a network with the same outputs and a look-up before each table that it makes smaller in int8.

    None if it makes no table smaller. has_pages: whether it may compute places in float32, as integer formats must not.
    """
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.Embedding)]
    made = {layer.name: table_of(layer.get_weights()[0], has_pages=has_pages) for layer in layers}
    tables = {name: table for name, table in made.items() if table is not None}
    if not tables:
        return None

    def replace(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name not in tables:
            return type(layer).from_config(layer.get_config())
        table = tables[layer.name]
        rows, width = table.distinct.shape
        return LookupEmbedding(table.rows.tolist(), rows, width, table.page_size, name=layer.name)

    thin = keras.models.clone_model(network, clone_function=replace)
    for layer in network.layers:
        weights = [tables[layer.name].distinct] if layer.name in tables else layer.get_weights()
        thin.get_layer(layer.name).set_weights(weights)
    return thin
