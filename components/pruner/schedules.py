"""The rise of sparsity: over steps as tfmot counts them, or over rounds."""

from __future__ import annotations

import dataclasses
from typing import Any

from farebox.components.errors import InputError
from farebox.components.networks.model_optimization import import_tfmot
from farebox.components.pruner.settings import PrunerSettings, Schedule

POWER = 3  # tfmot's default, and the paper's
MOST_UPDATES, LONGEST_PAUSE = 20, 100  # tfmot's default pause of 100 steps never fires in a short run


@dataclasses.dataclass(frozen=True)
class Ramp:
    """Sparsity by step, steps counted from 1; masks change at begin, begin + frequency, ..., end.

    Zhu and Gupta 2017, "To prune, or not to prune", equation 1; `constant` is final from begin on.
    """

    kind: Schedule
    initial: float
    final: float
    begin: int
    end: int
    frequency: int

    def sparsity(self, step: int) -> float:
        """Returns the target of a mask that is made at this step."""
        if self.kind == "constant":
            return self.final
        left = 1 - min(max((step - self.begin) / (self.end - self.begin), 0), 1)
        return self.final + (self.initial - self.final) * left**POWER

    def is_due(self, step: int) -> bool:
        """Returns whether the mask changes at this step."""
        return self.begin <= step <= self.end and (step - self.begin) % self.frequency == 0

    def as_tfmot(self) -> Any:
        """Returns the ramp as a PruningSchedule of tfmot."""
        tfmot = import_tfmot()
        steps = {"begin_step": self.begin, "end_step": self.end, "frequency": self.frequency}
        if self.kind == "constant":
            return tfmot.sparsity.keras.ConstantSparsity(self.final, **steps)
        return tfmot.sparsity.keras.PolynomialDecay(self.initial, self.final, power=POWER, **steps)


def ramp_of(settings: PrunerSettings, final: float, n_steps: int) -> Ramp:
    """Returns the ramp of a run of n_steps; it ends with its last change of masks, so that `final` is reached.

    Raises InputError if the run is too short for the steps in the settings.
    """
    if settings.sparsity_2_by_4:
        return Ramp("constant", final, final, 1, 1, 1)  # tfmot makes these masks at step 1, whatever the schedule
    begin, end = settings.begin_step, n_steps if settings.end_step is None else settings.end_step
    if not begin < end <= n_steps:
        name, value = ("begin_step", begin) if settings.end_step is None else ("end_step", end)
        bound = f"below {n_steps}" if settings.end_step is None else f"at most {n_steps}"
        raise InputError(f"pruner.{name}={value} must be {bound}, the steps in ramp_epochs={settings.ramp_epochs}")
    length = end - begin
    frequency = settings.frequency or max(1, min(LONGEST_PAUSE, length // MOST_UPDATES))
    if frequency > length:
        raise InputError(f"pruner.frequency={frequency} must be at most {length}, the steps of the ramp")
    end = begin + length // frequency * frequency
    return Ramp(settings.schedule, settings.initial_sparsity, final, begin, end, frequency)


def round_sparsity(initial: float, final: float, number: int, rounds: int) -> float:
    """Sparsity after `number` of `rounds`; every round keeps the same fraction of the remaining weights.

    Frankle and Carbin 2019, "The Lottery Ticket Hypothesis", section 1: p^(1/n) of the survivors a round.
    """
    return float(1 - (1 - initial) * ((1 - final) / (1 - initial)) ** (number / rounds))
