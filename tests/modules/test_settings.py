"""Settings of features, network and training: each refused value by its message."""

from __future__ import annotations

import re

import pytest

from farebox.modules.settings import CrossSettings, ModelSettings, TrainingSettings


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: CrossSettings(0), "crosses.n_buckets=0 must be between 1 and 64"),
        (lambda: CrossSettings(65), "crosses.n_buckets=65 must be between 1 and 64"),
        (
            lambda: ModelSettings(embeddings={"pair": 2}),
            "model.embeddings: pair must be one of dropoff_cell, hour_of_week, pair_cell, pickup_cell",
        ),
        (lambda: ModelSettings(embeddings={"pair_cell": 0}), "model.embeddings.pair_cell=0 must be at least 1"),
        (lambda: ModelSettings(hidden=()), "model.hidden=[] must name at least one layer of at least 1 unit"),
        (lambda: ModelSettings(hidden=(8, 0)), "model.hidden=[8, 0] must name at least one layer of at least 1 unit"),
        (lambda: TrainingSettings(epochs=0), "training.epochs=0 must be at least 1"),
        (lambda: CrossSettings(n_zones=65), "crosses.n_zones=65 must be between 1 and 64"),
        (lambda: CrossSettings(min_rows=0), "crosses.min_rows=0 must be at least 1"),
        (lambda: TrainingSettings(max_steps=0), "training.max_steps=0 must be at least 1"),
        (lambda: TrainingSettings(ema=1.5), "training.ema=1.5 must be between 0 and 1"),
        (lambda: TrainingSettings(pseudo_trips=-1), "training.pseudo_trips=-1 must be at least 0 and finite"),
        (
            lambda: TrainingSettings(weight_decay=float("nan")),
            "training.weight_decay=nan must be at least 0 and finite",
        ),
        (lambda: TrainingSettings(huber_delta=0), "training.huber_delta=0 must be above 0 and finite"),
        (lambda: TrainingSettings(batch_size=-1), "training.batch_size=-1 must be at least 1"),
        (lambda: TrainingSettings(learning_rate=1.0), "training.learning_rate=1.0 must be above 0 and below 1"),
    ],
)
def test_a_wrong_value_is_named_with_its_bound(make, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make()


def test_no_embedding_and_the_largest_box_are_fine():
    assert ModelSettings(embeddings={}).embeddings == {}
    assert CrossSettings(64, 64, 64).n_buckets == 64
