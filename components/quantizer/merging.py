"""Embedding tables with fewer distinct rows: alike ones become one, weighted by how often rows use them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from farebox.components.networks import examples_io
from farebox.components.networks.ids import id_counts
from farebox.components.networks.objective import Objective
from farebox.components.networks.rows import Batch

NUMBERS = (*range(16, 128, 4), *range(128, 257, 16))  # of distinct rows that a search tries
NEAR = 4  # places in NUMBERS, below one that holds, of which another may hold by chance
STEPS = (0, 1, 3, 7)  # in NUMBERS, from the number that is predicted to hold to those that are tried as files
UNSEEN = 0.5  # weight of a row that the counted rows never look up, in rows
Array = npt.NDArray[np.float64]


class Merging:
    """Networks with fewer distinct rows that are predicted to hold a budget.

    original: the unchanged network, which errors are over. train: batches that count the ids; evaluation: batches that
    errors are predicted on.
    """

    def __init__(
        self,
        original: keras.Model,
        train: Iterable[Batch],
        evaluation: Iterable[Batch],
        objective: Objective,
        seed: int,
    ) -> None:
        self._original, self._train, self._evaluation = original, train, evaluation
        self._objective, self._seed = objective, seed

    @functools.cached_property
    def _error(self) -> float:
        return examples_io.network_error(self._original, self._evaluation, self._objective).error

    def _errors(self, network: keras.Model) -> npt.NDArray[np.float64]:
        """The network's eval error and expected error."""
        error = examples_io.network_error(network, self._evaluation, self._objective).error
        arguments = network, self._original, self._error, self._evaluation, self._objective
        return np.array([error, examples_io.expected_error(*arguments)])

    def networks(self, network: keras.Model, room: float) -> Iterator[tuple[int, keras.Model]]:
        """Yields numbers of distinct rows and the networks, from the fewest rows that are predicted to cost at most
        `room` of error. The next ones are ever further away."""
        numbers = [number for number in NUMBERS if number < distinct_rows(network)]
        if not numbers:
            return
        counts, before = id_counts(network, self._train), self._errors(network)

        @functools.cache
        def holds(place: int) -> bool:
            return bool((self._errors(merged(network, counts, numbers[place], self._seed)) - before).max() <= room)

        fewest = first_that_holds(len(numbers), holds)
        for number in (numbers[fewest + step] for step in STEPS if fewest + step < len(numbers)):
            yield number, merged(network, counts, number, self._seed)


def first_that_holds(n: int, holds: Callable[[int], bool]) -> int:
    """The first place in 0..n-1 that holds, n if none does. By bisection, since errors fall with the number of rows;
    then among the places just below, since chance lets errors rise here and there."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    place = low - 1
    while place >= max(low - NEAR, 0):
        low, place = (place if holds(place) else low), place - 1
    return low


def merged(network: keras.Model, counts: Mapping[str, npt.NDArray[np.int64]], n_rows: int, seed: int) -> keras.Model:
    """Returns a copy whose tables have at most `n_rows` distinct rows each. counts: of each id, by table."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    for name, looked_up in counts.items():
        (table,) = network.get_layer(name).get_weights()
        copy.get_layer(name).set_weights([merged_rows(table, looked_up, n_rows, seed)])
    return copy


def distinct_rows(network: keras.Model) -> int:
    """Returns the largest number of distinct rows of an embedding; 0 without embeddings."""
    tables = [layer.get_weights()[0] for layer in network.layers if isinstance(layer, keras.layers.Embedding)]
    return max((len(np.unique(table, axis=0)) for table in tables), default=0)


def merged_rows(table: npt.NDArray[np.float32], counts: npt.NDArray[np.int64], n_rows: int, seed: int) -> Array:
    """Returns the table with at most n_rows distinct rows; the row that most ids share stays as it is."""
    distinct, rows = np.unique(table, axis=0, return_inverse=True)
    rows = rows.reshape(-1)
    if len(distinct) <= n_rows:
        return np.asarray(table)
    others = np.arange(len(distinct)) != np.bincount(rows).argmax()
    weights = np.maximum(np.bincount(rows, counts, len(distinct)), UNSEEN)[others]
    centres, nearest = _centres(distinct[others].astype(np.float64), weights, n_rows - 1, seed)
    distinct[others] = centres[nearest]
    return np.asarray(distinct[rows])


def _centres(points: Array, weights: Array, n: int, seed: int) -> tuple[Array, npt.NDArray[np.intp]]:
    """Returns the centres, shape (n, width), and of each point the nearest one.

    One thread adds in one order, so that the same rows give the same file on every machine.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        fitted = KMeans(n, n_init=1, random_state=seed).fit(points, sample_weight=weights)
    return fitted.cluster_centers_, fitted.labels_
