"""What a user may set of PcaReducer. No TensorFlow here."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class ReducerSettings:
    """How far, and where, the network is narrowed.

    n_components: a number of axes, a fraction of cumulative explained variance in (0, 1), or `auto`: the smallest k
    whose eval error after fine-tuning stays within `budget` (a fraction) of the source's. layer: the Dense to reduce.
    """

    n_components: int | float | str = 0.98
    layer: str = "hidden_0"
    budget: float = 0.01
    fine_tune_epochs: int = 8
    learning_rate: float = 2e-3
    batch_size: int = 256
    seed: int = 17

    def __post_init__(self) -> None:
        n = self.n_components
        if isinstance(n, bool) or not (
            n == "auto" or (isinstance(n, int) and n >= 1) or (isinstance(n, float) and 0 < n < 1)
        ):
            raise ValueError(f"reducer.n_components={n} must be an int >= 1, a fraction between 0 and 1, or auto")
        if self.budget < 0:
            raise ValueError(f"reducer.budget={self.budget} must be at least 0")
        if self.fine_tune_epochs < 1:
            raise ValueError(f"reducer.fine_tune_epochs={self.fine_tune_epochs} must be at least 1")
