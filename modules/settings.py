"""Settings of the features, the network and its training. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from farebox.components.errors import (
    Count,
    NotNegative,
    Positive,
    Share,
    at_least,
    between,
    check_fields,
    strictly_between,
)
from farebox.modules import columns

MAX_BUCKETS = 64  # ids are computed in float32, exact up to 2^24 = 64^4

FeatureSet = Literal["raw", "course", "full"]
Buckets = Annotated[int, between(1, MAX_BUCKETS)]


@dataclasses.dataclass(frozen=True)
class CrossSettings:
    """Ids of places: a place's cell on a grid, and pairs of cells."""

    n_buckets: Buckets = 10
    """Buckets per axis of the city's box, in the course set's crosses: n_buckets² cells and n_buckets⁴ pairs."""
    n_cells: Buckets = 12
    """Cells per axis for pickup and dropoff cell in the full set, over the part of the box with 98 % of train's
    trips."""
    n_zones: Buckets = 5
    """Zones per axis for the pair of zones in the full set, over the same part of the box."""
    min_rows: Count = 3
    """Rows of train from which a cell of the full set has an embedding of its own; rarer and unseen cells share that of
    the average cell."""

    def __post_init__(self) -> None:
        check_fields(self, "crosses")


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """Size of the network; null follows the feature set."""

    hidden: tuple[int, ...] | None = None
    """Units per Dense layer; null for [32, 8] with raw features, [64, 32] with course, [32, 16] with full,
    [24, 16] if places and hours have embeddings there."""
    embeddings: dict[str, Count] | None = None
    """Dimensions of each cross that feeds the network (`pickup_cell`, `dropoff_cell`, `pair_cell`, `hour_of_week`).
    Null for 100 dimensions per pair of cells with course features; with full ones, 1 to 3 dimensions for places and
    hours, none for pairs, by how many rows of train their cells have if there are many coordinates, none if they are
    few centroids."""

    def __post_init__(self) -> None:
        check_fields(self, "model")
        known = sorted(columns.CROSSES)
        for cross in self.embeddings or {}:
            if cross not in known:
                raise ValueError(f"model.embeddings: {cross} must be one of {', '.join(known)}")
        if self.hidden is not None and (not self.hidden or min(self.hidden) < 1):
            raise ValueError(f"model.hidden={list(self.hidden)} must name at least one layer of at least 1 unit")


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """Training of the network; the epoch with the best eval RMSE is kept."""

    epochs: Count = 40
    """Passes over train; fewer if max_steps is reached before."""
    warm_epochs: Count = 10
    """Largest number of epochs if the network starts from the weights of another one."""
    max_steps: Count = 20_000
    """Largest number of steps of batch_size rows."""
    batch_size: Count = 256
    """Rows per step."""
    learning_rate: Annotated[float, strictly_between(0, 1)] = 1e-2
    """Highest learning rate; it rises over warm_up and then falls by a cosine."""
    weight_decay: NotNegative = 0.01
    """Weight decay of the optimizer."""
    warm_up: Share = 0.05
    """Part of all steps in which the learning rate rises, a fraction."""
    huber_delta: Positive = 1.6
    """Error at which the loss turns from square to linear, in standard deviations of train's fares."""
    ema: Share = 0.04
    """Window of the averaged weights, a fraction of all steps."""
    teacher_weight: Share = 0.7
    """Share of LightGBM's out-of-fold prediction in the target; full features only."""
    pseudo_trips: NotNegative = 1.0
    """Invented trips per trip of train, which LightGBM labels; full features only."""
    max_rows: Count = 500_000
    """Rows of train in memory, a sample if there are more, and a fifth as many of eval; memory grows with this
    alone."""
    seed: int = 17
    """Seed of training; another seed gives another network."""

    def __post_init__(self) -> None:
        check_fields(self, "training")


@dataclasses.dataclass(frozen=True)
class TunerSettings:
    """Search for better training settings with TFX's Tuner."""

    trials: Annotated[int, at_least(0)] = 0
    """Networks that Tuner fits before Trainer: the settings as given, then random ones; the best on eval is trained. 0
    for no Tuner."""

    def __post_init__(self) -> None:
        check_fields(self, "tuner")
