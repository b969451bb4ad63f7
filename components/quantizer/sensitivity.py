"""Which nodes int8 harms: each is quantized alone, then the worst are left float until the budget holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from components.quantizer.conversion import Source
from components.quantizer.trials import Judge, Trial


@dataclasses.dataclass(frozen=True)
class Harm:
    """The error with this node of the network alone in int8, and by how much it is above the float file's."""

    network: str
    node: str
    error: float
    increase: float


def sensitivity(source: Source, network: str, judge: Judge, float_error: float) -> list[Harm]:
    """Every node that int8 can quantize, the most harmful first."""
    nodes = source.nodes()
    trials = [Trial("int8", network, tuple(other for other in nodes if other != node)) for node in nodes]
    for trial in trials:
        trial.content = source.file("int8", trial.kept_float)
    judge.measure(trials)
    harms = [
        Harm(network, node, trial.error, trial.error - float_error) for node, trial in zip(nodes, trials, strict=True)
    ]
    return sorted(harms, key=lambda harm: -harm.increase)


def spared(
    source: Source,
    network: str,
    harms: Sequence[Harm],
    kept: Sequence[str],
    judge: Judge,
    holds: Callable[[Trial], bool],
) -> list[Trial]:
    """int8 with the most harmful node float, then the two most harmful, until one holds or half of them are float."""
    trials: list[Trial] = []
    worst = [harm.node for harm in harms if harm.increase > 0 and harm.node not in kept]
    for n in range(1, len(harms) // 2 + 1):
        if n > len(worst):
            break
        trial = Trial("int8", network, (*kept, *worst[:n]))
        trial.content = source.file("int8", trial.kept_float)
        judge.measure([trial])
        trials.append(trial)
        if holds(trial):
            break
    return trials
