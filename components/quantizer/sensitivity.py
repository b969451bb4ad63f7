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
    """The error of the file in which only this node is narrow, and its increase over the float file's error.

    rung: that narrows it. expected_increase: on other rows, None if unknown. bytes: that this saves.
    """

    network: str
    rung: str
    node: str
    error: float
    increase: float
    expected_increase: float | None
    bytes: int

    @property
    def per_byte(self) -> float:
        """The increase for each byte saved; the expected one, as chance may lower the error on eval."""
        increase = self.increase if self.expected_increase is None else self.expected_increase
        return increase / max(self.bytes, 1)


def sensitivity(source: Source, trial: QuantizationTrial, judge: Judge, plain: QuantizationTrial) -> list[NodeHarm]:
    """Returns the harm of the nodes that the trial's rung can quantize, the most harmful first. plain: the float file.

    Those that MOST_SECONDS do not suffice for, from the network's output backwards, are left out.
    """
    nodes, start = source.nodes(trial.rung), time.monotonic()
    trials: list[tuple[str, QuantizationTrial]] = []
    for node in reversed(nodes):
        if time.monotonic() - start > MOST_SECONDS:
            break
        alone = _with_float_nodes(source, trial, [each for each in nodes if each != node])
        judge.measure([alone])
        trials.append((node, alone))
    harms = [_harm(node, alone, plain) for node, alone in reversed(trials) if alone.content]
    return sorted(harms, key=lambda harm: -harm.increase)


def _harm(node: str, alone: QuantizationTrial, plain: QuantizationTrial) -> NodeHarm:
    expected = None
    if alone.expected_error is not None and plain.expected_error is not None:
        expected = alone.expected_error - plain.expected_error
    increase, saved = alone.error - plain.error, plain.bytes - alone.bytes
    return NodeHarm(alone.network, alone.rung, node, alone.error, increase, expected, saved)


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
    """Keeps the node float that harms most per byte, then two, until a trial holds or half of the nodes are float.

    It ends after MOST_SECONDS, too. Nodes that `trial` keeps float stay so.
    """
    trials: list[QuantizationTrial] = []
    start = time.monotonic()
    harmful = sorted((harm for harm in harms if harm.per_byte > 0), key=lambda harm: -harm.per_byte)
    worst = [harm.node for harm in harmful if harm.node not in trial.kept_float]
    for n in range(1, min(len(worst), len(harms) // 2) + 1):
        again = _with_float_nodes(source, trial, (*trial.kept_float, *worst[:n]))
        judge.measure([again])
        trials.append(again)
        if holds(again) or time.monotonic() - start > MOST_SECONDS:
            break
    return trials
