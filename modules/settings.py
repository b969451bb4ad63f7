"""What a user may set of the features, the network and its training. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Literal

from farebox.modules import columns

MAX_BUCKETS = 64  # ids are computed in float32, exact up to 2^24 = 64^4

FeatureSet = Literal["raw", "course", "full"]


@dataclasses.dataclass(frozen=True)
class CrossSettings:
    """How places become ids.

    n_buckets: buckets per axis of the city's box in the course's crosses; cells are n_buckets², pairs n_buckets⁴.
    In the full set: n_cells per axis for pickup and dropoff cell, n_zones per axis for the pair of zones, over the
    part of the box that holds 98 % of train's trips; a cell that fewer than min_rows rows of train have shares the row
    of those never seen, which is that of the average cell.
    """

    n_buckets: int = 10
    n_cells: int = 12
    n_zones: int = 5
    min_rows: int = 3

    def __post_init__(self) -> None:
        for name in ("n_buckets", "n_cells", "n_zones"):
            if not 1 <= getattr(self, name) <= MAX_BUCKETS:
                raise ValueError(f"crosses.{name}={getattr(self, name)} must be between 1 and {MAX_BUCKETS}")
        if self.min_rows < 1:
            raise ValueError(f"crosses.min_rows={self.min_rows} must be at least 1")


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """hidden: units per Dense layer; embeddings: dimensions of each cross that feeds the network.

    None follows the feature set: raw is [32, 8], course [64, 32] with 100 dimensions per pair of cells, full [32, 16]
    with 1 to 3 dimensions for places and hours, by how many rows of train their cells have, where coordinates are
    many, and none where they are few centroids.
    """

    hidden: tuple[int, ...] | None = None
    embeddings: dict[str, int] | None = None

    def __post_init__(self) -> None:
        known = sorted(columns.CROSSES)
        for cross, dimensions in (self.embeddings or {}).items():
            if cross not in known:
                raise ValueError(f"model.embeddings: {cross} must be one of {', '.join(known)}")
            if dimensions < 1:
                raise ValueError(f"model.embeddings.{cross}={dimensions} must be at least 1")
        if self.hidden is not None and (not self.hidden or min(self.hidden) < 1):
            raise ValueError(f"model.hidden={list(self.hidden)} must name at least one layer of at least 1 unit")


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How the network is fitted; the epoch with the best eval RMSE is kept.

    epochs: fewer where max_steps of batch_size rows are reached before. learning_rate rises over warm_up (a fraction
    of all steps), then falls by a cosine. huber_delta: where the loss turns from square to linear, in standard
    deviations of train's fares. ema: window of the averaged weights, a fraction of all steps. Full features only:
    teacher_weight, the share of the teacher's out-of-fold prediction in the target, and pseudo_trips, made-up trips
    per trip of train that the teacher labels. max_rows: of train, and a fifth as many of eval, that are held, a
    sample where there are more; memory grows with it alone. warm_epochs: at most so many where the network begins with
    another one's weights.
    """

    epochs: int = 40
    warm_epochs: int = 10
    max_steps: int = 20_000
    batch_size: int = 256
    learning_rate: float = 1e-2
    weight_decay: float = 0.01
    warm_up: float = 0.05
    huber_delta: float = 1.6
    ema: float = 0.04
    teacher_weight: float = 0.7
    pseudo_trips: float = 1.0
    max_rows: int = 500_000
    seed: int = 17

    def __post_init__(self) -> None:
        for name in ("epochs", "warm_epochs", "max_steps", "batch_size", "max_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"training.{name}={getattr(self, name)} must be at least 1")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"training.learning_rate={self.learning_rate} must be between 0 and 1")
        for name in ("warm_up", "ema", "teacher_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"training.{name}={getattr(self, name)} must be between 0 and 1")
        for name in ("weight_decay", "pseudo_trips"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"training.{name}={getattr(self, name)} must be at least 0")
        if not self.huber_delta > 0:
            raise ValueError(f"training.huber_delta={self.huber_delta} must be above 0")


@dataclasses.dataclass(frozen=True)
class TunerSettings:
    """trials: networks that Tuner fits before Trainer, the first with the settings as given; 0 for no Tuner."""

    trials: int = 0

    def __post_init__(self) -> None:
        if self.trials < 0:
            raise ValueError(f"tuner.trials={self.trials} must be at least 0")
