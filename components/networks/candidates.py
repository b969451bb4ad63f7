"""Changed copies of a network, among which the search of the whole budget chooses; and the artifact that carries them.

Under {uri}/Format-Serving of a Model artifact: network.keras as without candidates, candidates.json and
candidates/NUMBER.keras.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from farebox.components.networks.examples_io import network_at
from farebox.components.tflite.files import serving_dir

if TYPE_CHECKING:
    from tfx import types

FOLDER, LIST = "candidates", "candidates.json"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A network and what it costs.

    k: components that PcaReducer kept, None if it changed nothing. sparsity: share of zeros that Pruner made in its
    layers. error: on eval. expected_error: on other rows, from how far its predictions are from the unchanged one's.
    """

    network: keras.Model = dataclasses.field(repr=False)
    error: float
    expected_error: float
    k: int | None = None
    sparsity: float = 0.0

    @property
    def name(self) -> str:
        """Names the changes, such as `k=8, 50% pruned`; empty for none."""
        return ", ".join(
            [f"k={self.k}"] * (self.k is not None) + [f"{100 * self.sparsity:.3g}% pruned"] * bool(self.sparsity)
        )

    @property
    def worst_error(self) -> float:
        """The error that a budget bounds: the larger one of eval error and expected error."""
        return max(self.error, self.expected_error)

    def as_json(self) -> dict[str, Any]:
        """All fields except the network."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "network"}


def is_same(network: keras.Model, other: keras.Model) -> bool:
    """Whether two networks have the same layers and weights."""
    weights, others = network.get_weights(), other.get_weights()
    has_same_weights = len(weights) == len(others) and all(map(np.array_equal, weights, others))
    return has_same_weights and bool(network.get_config() == other.get_config())


def save_candidates(candidates: list[Candidate], model: types.Artifact) -> None:
    """Writes candidates beside the network of a Model artifact, in their order."""
    folder = os.path.join(serving_dir(model), FOLDER)
    tf.io.gfile.makedirs(folder)
    for number, each in enumerate(candidates):
        each.network.save(os.path.join(folder, f"{number}.keras"))
    with tf.io.gfile.GFile(os.path.join(serving_dir(model), LIST), "w") as file:
        file.write(json.dumps([each.as_json() for each in candidates], indent=2))


def load_candidates(model: types.Artifact) -> list[Candidate]:
    """The candidates of a Model artifact; none if another component wrote it."""
    path = os.path.join(serving_dir(model), LIST)
    if not tf.io.gfile.exists(path):
        return []
    with tf.io.gfile.GFile(path) as file:
        facts = json.loads(file.read())
    folder = os.path.join(serving_dir(model), FOLDER)
    return [Candidate(network_at(os.path.join(folder, f"{number}.keras")), **each) for number, each in enumerate(facts)]
