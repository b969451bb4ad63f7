"""What a user may set of the features, the network and its training. No TensorFlow here."""

from __future__ import annotations

import dataclasses

from modules import columns

MAX_BUCKETS = 64  # pair ids are computed in float32, exact up to 2^24 = 64^4


@dataclasses.dataclass(frozen=True)
class FeatureSettings:
    """n_buckets: buckets per axis of the box; cells are n_buckets², pairs n_buckets⁴."""

    n_buckets: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.n_buckets <= MAX_BUCKETS:
            raise ValueError(f"features.n_buckets={self.n_buckets} must be between 1 and {MAX_BUCKETS}")


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """hidden: units per Dense layer; embeddings: dimensions of each cross that feeds the network."""

    hidden: tuple[int, ...] = (64, 32)
    embeddings: dict[str, int] = dataclasses.field(default_factory=lambda: {columns.PAIR_CELL: 100})

    def __post_init__(self) -> None:
        known = sorted(columns.cardinalities(1))
        for cross, dimensions in self.embeddings.items():
            if cross not in known:
                raise ValueError(f"model.embeddings: {cross} must be one of {', '.join(known)}")
            if dimensions < 1:
                raise ValueError(f"model.embeddings.{cross}={dimensions} must be at least 1")
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"model.hidden={list(self.hidden)} must name at least one layer of at least 1 unit")


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How the network is fitted; the epoch with the best eval RMSE is kept."""

    epochs: int = 40
    patience: int = 6
    batch_size: int = 256
    learning_rate: float = 2e-3
    seed: int = 17

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"training.{name}={getattr(self, name)} must be at least 1")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"training.learning_rate={self.learning_rate} must be between 0 and 1")
