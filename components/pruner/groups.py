"""Layers that lose the same positions: those whose outputs are added, as around a residual block."""

from __future__ import annotations

import tf_keras as keras
from absl import logging

from farebox.components.pruner import channels


def producers(network: keras.Model) -> list[keras.layers.Layer]:
    """The layers whose units or channels can be removed, inputs first."""
    names = {name for group in groups_of(network) for name in group}
    return [layer for layer in network.layers if layer.name in names]


def groups_of(network: keras.Model) -> list[tuple[str, ...]]:
    """Names of the layers whose positions can be removed, in groups that lose the same ones; inputs first.

    Layers are of one group if an Add, or the like, reads both. The log names groups of several that must stay.
    """
    spaces = _spaces(network)
    members: dict[int, list[keras.layers.Layer]] = {}
    for layer in network.layers:
        if channels.is_producer(layer):
            members.setdefault(spaces[id(layer.output)], []).append(layer)
    found = []
    for space, layers in members.items():
        if space > 0 and all(channels.is_followed(network, layer.output) for layer in layers):
            found.append(tuple(layer.name for layer in layers))
        elif space < 0 or len(layers) > 1:
            logging.info(
                "Pruner: units of %s stay: not all that is added to them can lose units", [e.name for e in layers]
            )
    return found


def _spaces(network: keras.Model) -> dict[int, int]:
    """A number for the positions of each tensor, equal where a position must be removed from all or none; below 0 if
    they are not a producer's."""
    spaces: dict[int, int] = {}

    def unite(numbers: set[int]) -> int:
        least = min(numbers)
        for tensor, number in spaces.items():
            if number in numbers:
                spaces[tensor] = least
        return least

    for number, layer in enumerate(channels.in_order(network), start=1):
        for call in range(len(layer.inbound_nodes)):
            for tensor in channels.listed(layer.get_output_at(call)):
                before = [spaces.get(id(each), -number) for each in channels.inputs_of(layer)]
                is_kept = channels.keeps_places(layer) or (
                    isinstance(layer, channels.MERGES) and channels.has_equal_inputs(layer)
                )
                if channels.is_producer(layer):
                    spaces[id(tensor)] = number
                elif is_kept and len(layer.inbound_nodes) == 1 and before:
                    spaces[id(tensor)] = unite(set(before))
                else:
                    spaces[id(tensor)] = -number
    return spaces
