"""Which nodes int8 harms: each is quantized alone, then the worst are left float until the budget holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from farebox.components.quantizer.conversion import Source
from farebox.components.quantizer.trials import Judge, Trial, attempt


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
    trials = [int8_but(source, network, [other for other in nodes if other != node]) for node in nodes]
    judge.measure(trials)
    made = [(node, trial.error) for node, trial in zip(nodes, trials, strict=True) if trial.content]
    harms = [Harm(network, node, error, error - float_error) for node, error in made]
    return sorted(harms, key=lambda harm: -harm.increase)


def int8_but(source: Source, network: str, kept_float: Sequence[str]) -> Trial:
    """int8 with the named nodes float."""
    trial = Trial("int8", network, tuple(kept_float))
    return attempt(trial, lambda: source.file("int8", trial.kept_float))


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
    for n in range(1, min(len(worst), len(harms) // 2) + 1):
        trial = int8_but(source, network, (*kept, *worst[:n]))
        judge.measure([trial])
        trials.append(trial)
        if holds(trial):
            break
    return trials
