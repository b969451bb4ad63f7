"""Which nodes a rung harms: each is quantized alone, then the most harmful stay float until the budget holds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

from farebox.components.quantizer.conversion import Source
from farebox.components.quantizer.trials import Judge, QuantizationTrial, attempt

MOST_SECONDS = 60  # of measuring nodes one by one, and again of trying files with float nodes


@dataclasses.dataclass(frozen=True)
class NodeHarm:
    """The error of the file in which only this node is int8, and its increase over the float file's error."""

    network: str
    node: str
    error: float
    increase: float


def sensitivity(source: Source, trial: QuantizationTrial, judge: Judge, float_error: float) -> list[NodeHarm]:
    """Returns the harm of the nodes that the trial's rung can quantize, the most harmful first.

    Those that MOST_SECONDS do not suffice for, from the network's output backwards, are left out.
    """
    nodes, start = source.nodes(), time.monotonic()
    trials: list[tuple[str, QuantizationTrial]] = []
    for node in reversed(nodes):
        if time.monotonic() - start > MOST_SECONDS:
            break
        alone = _with_float_nodes(source, trial, [each for each in nodes if each != node])
        judge.measure([alone])
        trials.append((node, alone))
    errors = [(node, alone.error) for node, alone in reversed(trials) if alone.content]
    harms = [NodeHarm(trial.network, node, error, error - float_error) for node, error in errors]
    return sorted(harms, key=lambda harm: -harm.increase)


def _with_float_nodes(source: Source, trial: QuantizationTrial, kept_float: Sequence[str]) -> QuantizationTrial:
    """Converts the trial's rung again, with the named nodes float."""
    again = QuantizationTrial(trial.rung, trial.network, tuple(kept_float))
    return attempt(again, lambda: source.file(again.rung, again.kept_float))


def trials_with_float_nodes(
    source: Source,
    trial: QuantizationTrial,
    harms: Sequence[NodeHarm],
    judge: Judge,
    holds: Callable[[QuantizationTrial], bool],
) -> list[QuantizationTrial]:
    """Keeps the most harmful node float, then the two most harmful, until a trial holds or half of the nodes are float.

    It ends after MOST_SECONDS, too. Nodes that `trial` keeps float stay so.
    """
    trials: list[QuantizationTrial] = []
    start = time.monotonic()
    worst = [harm.node for harm in harms if harm.increase > 0 and harm.node not in trial.kept_float]
    for n in range(1, min(len(worst), len(harms) // 2) + 1):
        again = _with_float_nodes(source, trial, (*trial.kept_float, *worst[:n]))
        judge.measure([again])
        trials.append(again)
        if holds(again) or time.monotonic() - start > MOST_SECONDS:
            break
    return trials
