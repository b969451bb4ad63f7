"""What a user may set of Quantizer. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

Mode = Literal["float32", "float16", "dynamic", "qat"]


@dataclasses.dataclass(frozen=True)
class QuantizerSettings:
    """mode: float32; float16 (weights); dynamic (int8 weights, float activations); qat (int8 network, trained so).

    The other fields concern qat alone.
    """

    mode: Mode = "float16"
    epochs: int = 5
    learning_rate: float = 2e-4
    batch_size: int = 256
    seed: int = 17

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"quantizer.mode={self.mode} must be one of {', '.join(get_args(Mode))}")
        if self.epochs < 1:
            raise ValueError(f"quantizer.epochs={self.epochs} must be at least 1")
