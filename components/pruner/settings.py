"""What a user may set of Pruner. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

Criterion = Literal["magnitude", "saliency", "lottery_ticket"]
Schedule = Literal["polynomial", "constant"]
TWO_BY_FOUR = 0.5


@dataclasses.dataclass(frozen=True)
class PrunerSettings:
    """What becomes zero, how much of it, and by which steps. Sparsity is a fraction of a layer's kernel or table.

    criterion: `magnitude` (tfmot), `saliency` (LeCun et al. 1989) or `lottery_ticket` (Frankle and Carbin 2019).
    layers: name patterns of Dense and Embedding layers; None for every Dense but the last.
    final_sparsity: one for all of them; {name pattern: fraction} instead of `layers`; or `auto`, the first of
    `candidates` whose eval error, and expected one, are within `budget` (a fraction) of the source's and whose float16
    weights gzip smaller by `min_gzip_gain` (a fraction) than without pruning, else nothing is pruned.
    block_size: rows and columns of what is zeroed together; sparsity_2_by_4: two of every four inputs of a unit.
    schedule, begin_step, end_step, frequency: steps of `magnitude`; by None the ramp ends with ramp_epochs, and its
    masks change every 100 steps, or 20 times where the ramp is shorter than 2000.
    rounds: of the other criteria; each leaves the same fraction of what is left.
    clusters: values that a pruned kernel may have, 0 among them, after a last fine-tuning; None for any.
    ramp_epochs: in which sparsity rises, those of each round; recover_epochs: after it, the best on eval is kept.
    """

    criterion: Criterion = "magnitude"
    layers: tuple[str, ...] | None = None
    initial_sparsity: float = 0.0
    final_sparsity: float | str | dict[str, float] = "auto"
    block_size: tuple[int, int] = (1, 1)
    sparsity_2_by_4: bool = False
    schedule: Schedule = "polynomial"
    begin_step: int = 0
    end_step: int | None = None
    frequency: int | None = None
    rounds: int = 3
    clusters: int | None = None
    candidates: tuple[float, ...] = (0.75, 0.5, 0.25)
    budget: float = 0.002
    min_gzip_gain: float = 0.05
    ramp_epochs: int = 4
    recover_epochs: int = 6
    learning_rate: float = 2e-3
    batch_size: int = 256
    seed: int = 17

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_sparsities()
        self._check_shapes()
        self._check_steps()
        if not self.budget >= 0:
            raise ValueError(f"pruner.budget={self.budget} must be at least 0")
        if not 0 <= self.min_gzip_gain < 1:
            raise ValueError(f"pruner.min_gzip_gain={self.min_gzip_gain} must be at least 0 and below 1")

    @property
    def sparsities(self) -> list[float]:
        """Every final sparsity that may be asked for."""
        if isinstance(self.final_sparsity, str):
            return [TWO_BY_FOUR] if self.sparsity_2_by_4 else list(self.candidates)
        return list(self.final_sparsity.values()) if isinstance(self.final_sparsity, dict) else [self.final_sparsity]

    def _check_choices(self) -> None:
        for name, known in (("criterion", get_args(Criterion)), ("schedule", get_args(Schedule))):
            if getattr(self, name) not in known:
                raise ValueError(f"pruner.{name}={getattr(self, name)} must be one of {', '.join(known)}")
        if isinstance(self.final_sparsity, str) and self.final_sparsity != "auto":
            raise ValueError(f"pruner.final_sparsity={self.final_sparsity} must be a fraction, a mapping, or auto")
        if isinstance(self.final_sparsity, dict) and self.layers is not None:
            raise ValueError(f"pruner.layers={list(self.layers)} must be null where final_sparsity names layers")

    def _check_sparsities(self) -> None:
        name = "candidates" if self.final_sparsity == "auto" else "final_sparsity"
        if not self.sparsities:
            raise ValueError(f"pruner.{name}={getattr(self, name)} must name at least one sparsity")
        for sparsity in self.sparsities:
            if not 0 <= self.initial_sparsity <= sparsity < 1:
                raise ValueError(
                    f"pruner.{name}={sparsity} must be below 1 and not below "
                    f"initial_sparsity={self.initial_sparsity}, which must be at least 0"
                )
            if self.sparsity_2_by_4 and sparsity != TWO_BY_FOUR:
                raise ValueError(f"pruner.{name}={sparsity} must be {TWO_BY_FOUR} where sparsity_2_by_4 is set")

    def _check_shapes(self) -> None:
        if len(self.block_size) != 2 or min(self.block_size) < 1:
            raise ValueError(f"pruner.block_size={list(self.block_size)} must be two numbers of at least 1")
        if self.sparsity_2_by_4 and tuple(self.block_size) != (1, 1):
            raise ValueError(f"pruner.block_size={list(self.block_size)} must be [1, 1] where sparsity_2_by_4 is set")
        if self.clusters is not None and self.clusters < 3:  # tfmot refuses two
            raise ValueError(f"pruner.clusters={self.clusters} must be at least 3, or null")

    def _check_steps(self) -> None:
        if self.ramp_epochs < 1 or self.recover_epochs < 1:
            raise ValueError(
                f"pruner.ramp_epochs={self.ramp_epochs} and recover_epochs={self.recover_epochs} must be at least 1"
            )
        if self.rounds < 1:
            raise ValueError(f"pruner.rounds={self.rounds} must be at least 1")
        if self.begin_step < 0:
            raise ValueError(f"pruner.begin_step={self.begin_step} must be at least 0")
        if self.end_step is not None and self.end_step <= self.begin_step:
            raise ValueError(f"pruner.end_step={self.end_step} must be above begin_step={self.begin_step}")
        if self.frequency is not None and self.frequency < 1:
            raise ValueError(f"pruner.frequency={self.frequency} must be at least 1")
        if self.criterion != "magnitude" or self.sparsity_2_by_4:
            self._check_no_ramp()

    def _check_no_ramp(self) -> None:
        reason = "sparsity_2_by_4 is set" if self.sparsity_2_by_4 else f"criterion={self.criterion}"
        for name in ("schedule", "begin_step", "end_step", "frequency"):
            default = getattr(type(self), name)
            if getattr(self, name) != default:
                raise ValueError(
                    f"pruner.{name}={getattr(self, name)} must be left out where {reason}: no ramp by steps"
                )
