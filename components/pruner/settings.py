"""Settings of Pruner. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from farebox.components.errors import Condition, Count, NotNegative, Positive, at_least, check_fields
from farebox.components.networks.metrics import AUTO, MetricName, ObjectiveName, check_metric
from farebox.components.networks.node_settings import DEFAULT_SHARE

Criterion = Literal["magnitude", "saliency", "lottery_ticket", "units", "low_rank"]
UNITS, LOW_RANK = STRUCTURAL = ("units", "low_rank")  # what they remove leaves no zeros
Schedule = Literal["polynomial", "constant"]
TWO_BY_FOUR = 0.5


def _names_sparsity(value: Any) -> bool:
    return not isinstance(value, str) or value == "auto"


@dataclasses.dataclass(frozen=True)
class PrunerSettings:
    """Weights that become zero, and the steps by which they do. Sparsity is a fraction of a layer's kernel or table."""

    criterion: Criterion = "magnitude"
    """Choice of weights: `magnitude` (tfmot), `saliency` (LeCun et al. 1989) or `lottery_ticket` (Frankle and Carbin
    2019); `units`, which removes whole units and channels (Theis et al. 2018), so that the network shrinks; or
    `low_rank`, which makes two narrow layers of each, by principal axes of what it computes."""
    layers: tuple[str, ...] | None = None
    """Name patterns of the layers to prune; null for every Dense layer and convolution except the last of them; with
    `units` for every layer whose units can go, with `low_rank` for every Dense layer and 1x1 convolution."""
    initial_sparsity: NotNegative = 0.0
    """Sparsity at the first step of the ramp."""
    final_sparsity: Annotated[
        float | str | dict[str, float], Condition("a fraction, a mapping, or auto", _names_sparsity)
    ] = "auto"
    """Sparsity at the end: one fraction for all layers; `{name pattern: fraction}`, which replaces `layers`; or `auto`,
    the first of `candidates` that holds `budget` and `min_gzip_gain`, and no pruning if none does."""
    block_size: tuple[int, int] = (1, 1)
    """Rows and columns that become zero together."""
    sparsity_2_by_4: bool = False
    """Prune two of every four inputs of a unit."""
    schedule: Schedule = "polynomial"
    """Course of the sparsity over the steps of `magnitude`."""
    begin_step: Annotated[int, at_least(0)] = 0
    """First step of the ramp of `magnitude`."""
    end_step: int | None = None
    """Last step of the ramp of `magnitude`; null for the end of ramp_epochs."""
    frequency: Count | None = None
    """Steps between two masks of `magnitude`; null for 100, or for 20 masks if the ramp is shorter than 2000 steps."""
    rounds: Count = 3
    """Rounds of the criteria other than `magnitude`; each keeps the same fraction of the remaining weights."""
    clusters: Annotated[int, at_least(3)] | None = None  # tfmot refuses two
    """Distinct values in a pruned kernel, 0 among them, after a last fine-tuning; null for any number."""
    candidates: tuple[float, ...] = (0.75, 0.5, 0.25)
    """Sparsities that `auto` tries, in this order."""
    budget: NotNegative | None = None
    """Increase of the eval error, and of the expected error, that `auto` accepts, as a fraction of the unchanged
    network's: what PcaReducer's candidates have spent of it counts. Null for a percentage that
    quantizer.max_rmse_increase gives, else 0.002."""
    search_s: Positive = 300.0
    """CPU seconds after which `auto` prunes no further network; the log says so."""
    min_gzip_gain: Annotated[float, Condition("at least 0 and below 1", lambda value: 0 <= value < 1)] = 0.05
    """Part by which the float16 weights must gzip smaller than without pruning, for `auto` to prune, a fraction."""
    ramp_epochs: Count = 4
    """Epochs in which sparsity rises, in each round."""
    recover_epochs: Count = 6
    """Epochs of training after the ramp; the best one on eval is kept."""
    learning_rate: Positive = 2e-3
    """Learning rate of the ramp and of the epochs after it."""
    batch_size: Count = 256
    """Rows per step."""
    seed: int = 17
    """Seed of the order of rows."""
    objective: ObjectiveName = AUTO
    """Kind of the answers: `regression`, `binary` (labels 0 and 1), `classes` (class ids or one-hot), `multilabel`
    or `custom:MODULE:FUNCTION` of predictions and labels, which returns an error. `auto` takes what the last layer
    says; labels that contradict it are refused."""
    metric: MetricName = AUTO
    """Error that the budget counts: `rmse` or `mae`; `log_loss`, `accuracy` or `auc` (1 less each of the last two);
    `auto` for the objective's first."""

    def __post_init__(self) -> None:
        check_fields(self, "pruner")
        check_metric("pruner", self.objective, self.metric)
        if isinstance(self.final_sparsity, dict) and self.layers is not None:
            raise ValueError(f"pruner.layers={list(self.layers)} must be null if final_sparsity names layers")
        self._check_sparsities()
        self._check_blocks()
        self._check_steps()
        if self.criterion in STRUCTURAL:
            self._check_structure()

    @property
    def share(self) -> float:
        """The budget as a fraction of the unchanged network's error."""
        return DEFAULT_SHARE if self.budget is None else self.budget

    @property
    def sparsities(self) -> list[float]:
        """Every final sparsity that can be reached."""
        if isinstance(self.final_sparsity, str):
            return [TWO_BY_FOUR] if self.sparsity_2_by_4 else list(self.candidates)
        return list(self.final_sparsity.values()) if isinstance(self.final_sparsity, dict) else [self.final_sparsity]

    @property
    def pattern(self) -> str:
        """The setting that gives zeros a pattern, which needs matrices; empty without one."""
        if self.sparsity_2_by_4:
            return "sparsity_2_by_4"
        return "" if tuple(self.block_size) == (1, 1) else f"block_size={list(self.block_size)}"

    def _check_sparsities(self) -> None:
        is_auto = self.final_sparsity == "auto"
        name, value = ("candidates", self.candidates) if is_auto else ("final_sparsity", self.final_sparsity)
        if not self.sparsities:
            raise ValueError(f"pruner.{name}={value} must name at least one sparsity")
        for sparsity in self.sparsities:
            if not self.initial_sparsity <= sparsity < 1:
                raise ValueError(
                    f"pruner.{name}={sparsity} must be below 1 and not below "
                    f"initial_sparsity={self.initial_sparsity}, which must be at least 0"
                )
            if self.sparsity_2_by_4 and sparsity != TWO_BY_FOUR:
                raise ValueError(f"pruner.{name}={sparsity} must be {TWO_BY_FOUR} if sparsity_2_by_4 is set")

    def _check_blocks(self) -> None:
        if len(self.block_size) != 2 or min(self.block_size) < 1:
            raise ValueError(f"pruner.block_size={list(self.block_size)} must be two numbers of at least 1")
        if self.sparsity_2_by_4 and self.block_size != (1, 1):
            raise ValueError(f"pruner.block_size={list(self.block_size)} must be [1, 1] if sparsity_2_by_4 is set")

    def _check_steps(self) -> None:
        if self.end_step is not None and self.end_step <= self.begin_step:
            raise ValueError(f"pruner.end_step={self.end_step} must be above begin_step={self.begin_step}")
        if self.criterion != "magnitude" or self.sparsity_2_by_4:
            self._check_no_ramp()

    def _check_no_ramp(self) -> None:
        reason = "sparsity_2_by_4 is set" if self.sparsity_2_by_4 else f"criterion={self.criterion}"
        for name in ("schedule", "begin_step", "end_step", "frequency"):
            default = getattr(type(self), name)
            if getattr(self, name) != default:
                raise ValueError(f"pruner.{name}={getattr(self, name)} must be left out if {reason}: no ramp by steps")

    def _check_structure(self) -> None:
        if isinstance(self.final_sparsity, dict):
            raise ValueError(
                f"pruner.final_sparsity={self.final_sparsity} must be auto or a fraction with "
                f"criterion={self.criterion}"
            )
        for name in ("initial_sparsity", "block_size", "sparsity_2_by_4", "clusters"):
            default = getattr(type(self), name)
            if getattr(self, name) != default:
                raise ValueError(
                    f"pruner.{name}={getattr(self, name)} must be {default} with criterion={self.criterion}"
                )
