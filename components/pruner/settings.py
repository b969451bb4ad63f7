"""What a user may set of Pruner. No TensorFlow here."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class PrunerSettings:
    """layers: name patterns of the Dense layers to prune; final_sparsity: the fraction of their kernels that is zero.

    ramp_epochs: epochs in which sparsity rises; recover_epochs: epochs after it, of which the best on eval is kept.
    """

    layers: tuple[str, ...] = ("hidden_*",)
    initial_sparsity: float = 0.0
    final_sparsity: float = 0.25
    ramp_epochs: int = 4
    recover_epochs: int = 6
    learning_rate: float = 2e-3
    batch_size: int = 256
    seed: int = 17

    def __post_init__(self) -> None:
        if not 0 <= self.initial_sparsity <= self.final_sparsity < 1:
            raise ValueError(
                f"pruner.final_sparsity={self.final_sparsity} must be below 1 and not below "
                f"initial_sparsity={self.initial_sparsity}, which must be at least 0"
            )
        if self.ramp_epochs < 1 or self.recover_epochs < 1:
            raise ValueError(
                f"pruner.ramp_epochs={self.ramp_epochs} and recover_epochs={self.recover_epochs} must be at least 1"
            )
