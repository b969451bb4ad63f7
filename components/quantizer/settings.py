"""Settings of Quantizer. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from farebox.components.errors import (
    Count,
    Increase,
    NotNegative,
    Positive,
    at_least,
    check_fields,
    increase,
    strictly_between,
)
from farebox.components.networks.metrics import AUTO, MetricName, ObjectiveName, check_metric
from farebox.components.quantizer.rungs import RUNGS, Mode, Rung

Goal = Literal["size", "gzip", "latency", "balanced"]
REDUCED, UNREDUCED = "reduced", "unreduced"  # networks that a file may be of


@dataclasses.dataclass(frozen=True)
class QuantizerSettings:
    """Number formats of the shipped file. The layers before the network stay float32.

    The rungs: float32; float16 (weights); int8_weights (with float arithmetic); int7_weights, int6_weights and
    int5_weights (the same with fewer levels: as many bytes, fewer after gzip, and tried only for `gzip`); int8_channels
    (a scale for each channel where that pays); int4_weights (half a byte each, with such scales); dynamic (int8
    weights, activations quantized at run time, layers of at least 1024 weights); int8 (weights and activations);
    int8_io (the whole file, its inputs and output too); int16x8 (int16 activations, int8 weights); qat (int8, with
    quantization-aware training);
    pqat (the same, and zeros stay zero).
    """

    mode: Mode = "auto"
    """Rung of the file; `auto` takes the cheapest one that holds max_rmse_increase."""
    portable: bool = True
    """Whether `auto` tries only formats that every runtime has and answers alike to 1e-4: float32 and
    int8_weights to int5_weights. The integer kernels of two runtimes differ by a step of the output, 0.25 USD for NYC,
    and save fewer than 100 bytes; tflite-micro has no int4 and reads only the first of several scales."""
    optimize_for: Goal = "size"
    """Cost that `auto` minimizes: bytes, bytes after gzip, latency of one row (p50), or bytes times latency
    (`balanced`). A smaller file that takes longer than the unreduced one must be smaller by at least that share."""
    max_rmse_increase: Increase = "0.2%"
    """Increase of RMSE (of the log loss for classes) over the unreduced float32 file, both run as files, on eval and as
    expected on other rows. A number in the label's unit, or a percentage. The whole budget, of reduction, pruning and
    number format together."""
    max_slowdown: NotNegative = 0.2
    """Share of the time of one row that a file may add to the unreduced float32 file's, by a count of operators and
    weights that is the same on every machine. `auto` ships no file beyond it, and says how much smaller that is. From 4
    on, it also tries int4_weights, whose kernels are slow."""
    search_s: Positive = 300.0
    """CPU seconds after which `auto` converts nothing further; the log says so."""
    keep_float: tuple[str, ...] = ()
    """Patterns of nodes that int8, int8_weights and int8_channels leave float."""
    qat_layers: tuple[str, ...] = ("*",)
    """Patterns of the layers that qat and pqat quantize."""
    calibration_rows: Count = 500
    """Real rows of train that calibrate activations, extreme ones among them."""
    epochs: Count = 5
    """Epochs of quantization-aware training."""
    learning_rate: Positive = 2e-4
    """Learning rate of quantization-aware training."""
    batch_size: Count = 256
    """Rows per step of quantization-aware training."""
    seed: int = 17
    """Seed of calibration rows and training."""
    objective: ObjectiveName = AUTO
    """Kind of the answers: `regression`, `binary` (labels 0 and 1), `classes` (class ids or one-hot), `multilabel`
    or `custom:MODULE:FUNCTION` of predictions and labels, which returns an error. `auto` takes what the last layer
    says; labels that contradict it are refused."""
    metric: MetricName = AUTO
    """Error that the budget counts: `rmse` or `mae`; `log_loss`, `accuracy` or `auc` (1 less each of the last two);
    `auto` for the objective's first."""

    def __post_init__(self) -> None:
        check_fields(self, "quantizer")
        check_metric("quantizer", self.objective, self.metric)

    @property
    def rungs(self) -> list[Rung]:
        """The formats that `auto` tries on every network."""
        always = [rung for rung in RUNGS.values() if rung.auto == "always" and rung.slowdown <= self.max_slowdown]
        return [rung for rung in always if self.optimize_for == "gzip" or not rung.is_for_gzip]

    @property
    def share(self) -> float | None:
        """The budget as a fraction of the error; None for a number in the label's unit."""
        text = str(self.max_rmse_increase)
        return max(increase(text, 1.0, "quantizer.max_rmse_increase"), 0.0) if "%" in text else None

    def bound(self, reference: float, *, is_of_points: bool = False) -> float:
        """Returns the largest error that holds the budget; is_of_points: a percentage is not of the error but of 1."""
        whole = 1.0 if is_of_points else reference
        return reference + increase(self.max_rmse_increase, whole, "quantizer.max_rmse_increase")


@dataclasses.dataclass(frozen=True)
class BandSettings:
    """Ranges of the shipped file's predictions: conformal bands by predicted number, fitted on eval."""

    coverage: Annotated[float, strictly_between(0, 1)] = 0.9
    """Share of labels that the ranges promise to hold."""
    count: Annotated[int, at_least(0)] = 7
    """Bands, at most; 0 for a model without ranges."""
    min_rows: Count = 100
    """Rows of eval that a band has at least; fewer rows give fewer bands, and too few for one give none."""

    def __post_init__(self) -> None:
        check_fields(self, "bands")
