"""Ids that the rows lack, and rows that have them.

A sample of rows lacks ids that training had. What a smaller network answers for them is seen in no label; it is
compared with what the source answers, on rows made of real ones with these ids in place of theirs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from farebox.components.errors import InputError
from farebox.components.networks.ids import inputs_of
from farebox.components.pruner import layers

Array = npt.NDArray[Any]
Columns = dict[str, Array]

MOST_ROWS = 20_000
TRACED = (keras.layers.Flatten, keras.layers.Reshape, keras.layers.RepeatVector)  # they hand ids on as they are
TRACED_FUNCTIONS = ("cast", "expand_dims", "identity", "reshape", "squeeze", "compat.v1.squeeze")  # of TensorFlow


@dataclasses.dataclass(frozen=True)
class Coverage:
    """lacking: by input, the ids that the rows lack, of `known`, the number of ids. untraced: tables with rows that no
    row uses and whose ids are computed, so that no input names them: (name, used rows, rows). trained: by table,
    whether training saw a row; empty if nobody said so."""

    lacking: dict[str, Array]
    known: dict[str, int]
    untraced: tuple[tuple[str, int, int], ...]
    trained: dict[str, npt.NDArray[np.bool_]]

    @property
    def lacking_text(self) -> str:
        """The lacking ids that rows are made with, in words; empty if there are none."""
        return ", ".join(f"{len(ids):,} of {self.known[name]:,} ids of {name}" for name, ids in self.lacking.items())

    @property
    def untraced_text(self) -> str:
        """The tables with rows that no row uses, in words; empty if there are none."""
        return ", ".join(f"{rows - used:,} of {rows:,} rows of {name}" for name, used, rows in self.untraced)

    def joined(self, other: Coverage) -> Coverage:
        """These ids, and those that another view of the network found of inputs that this one does not know."""
        known = {**other.known, **self.known}
        lacking = {name: ids for name, ids in other.lacking.items() if name not in self.known}
        return Coverage({**self.lacking, **lacking}, known, (*self.untraced, *other.untraced), self.trained)

    def rows(self, columns: Columns, seed: int) -> Columns:
        """Returns rows that have every lacking id, at most MOST_ROWS: real rows, whose other inputs stay."""
        if not self.lacking:
            return {}
        n_rows = min(max(map(len, self.lacking.values())), MOST_ROWS)
        random = np.random.default_rng(seed)
        base = random.integers(0, len(next(iter(columns.values()))), n_rows)
        made = {name: values[base].copy() for name, values in columns.items()}
        for name, ids in self.lacking.items():
            shape = made[name].shape
            needed = np.resize(random.permutation(ids), made[name].size).reshape(shape)
            is_replaced = random.random(shape) < 0.5  # of a sequence of ids; a single one always
            made[name] = np.where(is_replaced | (made[name][0].size == 1), needed, made[name]).astype(made[name].dtype)
        return made


def tables_of(network: keras.Model) -> set[bytes]:
    """The contents of the tables whose ids `coverage_of` follows, as a float32 file has them."""
    layers = (layer for layer in network.layers if isinstance(layer, keras.layers.Embedding))
    return {np.asarray(layer.get_weights()[0], np.float32).tobytes() for layer in layers}


def coverage_of(network: keras.Model, columns: Columns, trained_ids: Mapping[str, Array] | None) -> Coverage:
    """Returns what the rows lack of the ids that the network knows, or of `trained_ids` where they are given.

    trained_ids: by table, or by an input that feeds one, all ids that training had. Raises InputError for a name or an
    id that the network does not have.
    """
    known, untraced_tables = _domains(network)
    trained = _trained(network, trained_ids or {}, known)
    lacking = {}
    for name in known:
        known[name] = _only_trained(network, name, known[name], trained)
        missing = np.setdiff1d(known[name], columns[name])
        if missing.size:
            lacking[name] = missing
    seen = layers.trained_rows(network, [(columns, np.zeros(0))]) if untraced_tables else {}
    wanted = {name: trained.get(name, np.ones(len(seen[name]), bool)) for name in untraced_tables}
    untraced = tuple(
        (f"table {name}", int((seen[name] & rows).sum()), int(rows.sum()))
        for name, rows in wanted.items()
        if (rows & ~seen[name]).any()
    )
    return Coverage(lacking, {name: len(ids) for name, ids in known.items()}, untraced, trained)


def _domains(network: keras.Model) -> tuple[dict[str, Array], list[str]]:
    """The ids that each input may have, as the layers that read it say; and the tables whose ids are computed."""
    domains: dict[str, Array] = {}
    untraced = []
    for layer in network.layers:
        ids = _ids_of(layer)
        if ids is None:
            continue
        for source in map(_source_of, inputs_of(layer)):
            if isinstance(source, keras.layers.InputLayer):
                known = domains.get(source.name, ids)
                domains[source.name] = np.intersect1d(known, ids)
            elif isinstance(layer, keras.layers.Embedding) and not isinstance(source, keras.layers.IntegerLookup):
                untraced.append(layer.name)
    return domains, list(dict.fromkeys(untraced))


def _ids_of(layer: keras.layers.Layer) -> Array | None:
    """The ids that a layer knows; None for a layer that reads no ids."""
    if isinstance(layer, keras.layers.Embedding):
        return np.arange(layer.input_dim)
    if isinstance(layer, keras.layers.CategoryEncoding):
        return None if layer.output_mode == "count" else np.arange(layer.num_tokens)
    if isinstance(layer, keras.layers.IntegerLookup):
        words = np.array(layer.get_vocabulary(include_special_tokens=False), np.int64)
        return np.append(words, words.max() + 1)  # one that is in no vocabulary
    return None


def _source_of(tensor: Any) -> keras.layers.Layer:
    """The layer that makes the numbers of a tensor: an input, or what computes them."""
    node = tensor.node
    while isinstance(node.layer, TRACED) or getattr(node.layer, "symbol", "") in TRACED_FUNCTIONS:
        node = node.keras_inputs[0].node
    return node.layer


def _trained(
    network: keras.Model, trained_ids: Mapping[str, Array], inputs: Mapping[str, Array]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Tells by table whether training saw a row."""
    tables = {layer.name: layer for layer in network.layers if isinstance(layer, keras.layers.Embedding)}
    fed = {name: [each for each in tables.values() if _feeds(name, each)] for name in inputs}
    trained: dict[str, npt.NDArray[np.bool_]] = {}
    for name, ids in trained_ids.items():
        chosen: Sequence[Any] = [tables[name]] if name in tables else fed.get(name, [])
        if not chosen:
            names = ", ".join([*tables, *(each for each in fed if fed[each])]) or "none"
            raise InputError(f"trained_ids={name} must be a table or an input that feeds one; the network has {names}")
        for table in chosen:
            trained.setdefault(table.name, np.zeros(table.input_dim, bool))[_checked(name, ids, table.input_dim)] = True
    return trained


def _checked(name: str, ids: Array, n_rows: int) -> npt.NDArray[np.int64]:
    flat = np.asarray(ids).reshape(-1)
    if flat.dtype.kind not in "iuf" or (flat != np.rint(flat)).any() or (flat < 0).any() or (flat >= n_rows).any():
        raise InputError(f"trained_ids: {name} must be whole numbers from 0 to {n_rows - 1}")
    return flat.astype(np.int64)


def _feeds(name: str, layer: keras.layers.Layer) -> bool:
    return any(_source_of(tensor).name == name for tensor in inputs_of(layer))


def _only_trained(network: keras.Model, name: str, ids: Array, trained: Mapping[str, npt.NDArray[np.bool_]]) -> Array:
    """The ids of an input that every table which it feeds has seen in training, as far as that is known."""
    for layer in network.layers:
        if layer.name in trained and _feeds(name, layer):
            ids = np.intersect1d(ids, np.flatnonzero(trained[layer.name]))
    return ids
