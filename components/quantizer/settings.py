"""What a user may set of Quantizer. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from farebox.components.errors import increase
from farebox.components.quantizer.rungs import Mode

Goal = Literal["size", "latency", "balanced"]
REDUCED, UNREDUCED = "reduced", "unreduced"  # networks that a file may be of


@dataclasses.dataclass(frozen=True)
class QuantizerSettings:
    """mode: `auto` climbs the ladder, any other rung is taken as it is. What stands before the network stays float32.

    float32; float16 (weights); int8_weights (and float arithmetic); dynamic (int8 weights, activations quantized as
    they come, layers of 1024 weights and more); int8 (weights and activations); int8_io (all of the file, its inputs
    and output too); int16x8 (int16 activations, int8 weights); qat (int8, trained so); pqat (the same, zeros stay).

    max_rmse_increase: of a candidate over the unreduced float32 file, both on eval over the files' own bytes: a number
    in the label's unit, or a text such as "0.2%"; of the log loss where classes are predicted. optimize_for: bytes,
    latency of one row (p50), or their product. keep_float: patterns of nodes that int8 leaves float. qat_layers:
    patterns of the layers that qat and pqat quantize. calibration_rows: real rows of train, extremes among them.
    """

    mode: Mode = "auto"
    optimize_for: Goal = "size"
    max_rmse_increase: float | str = "0.2%"
    keep_float: tuple[str, ...] = ()
    qat_layers: tuple[str, ...] = ("*",)
    calibration_rows: int = 500
    epochs: int = 5
    learning_rate: float = 2e-4
    batch_size: int = 256
    seed: int = 17

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"quantizer.mode={self.mode} must be one of {', '.join(get_args(Mode))}")
        if self.optimize_for not in get_args(Goal):
            raise ValueError(f"quantizer.optimize_for={self.optimize_for} must be one of {', '.join(get_args(Goal))}")
        for name in ("epochs", "calibration_rows", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"quantizer.{name}={getattr(self, name)} must be at least 1")
        for name in ("keep_float", "qat_layers"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON has lists
        self.bound(1.0)

    def bound(self, reference: float) -> float:
        """The largest error that holds the budget. Raises ValueError where it is no number and no percentage."""
        return reference + increase(self.max_rmse_increase, reference, "quantizer.max_rmse_increase")
