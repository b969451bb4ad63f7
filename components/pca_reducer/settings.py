"""Settings of PcaReducer. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from farebox.components.errors import Condition, Count, NotNegative, Positive, at_least, check_fields

Space = Literal["preactivation", "input"]
Method = Literal["pca", "svd", "ica", "pls", "lda", "nmf"]


def _counts_components(value: Any) -> bool:
    if isinstance(value, str):
        return value == "auto"
    return value >= 1 if isinstance(value, int) else 0 < value < 1


@dataclasses.dataclass(frozen=True)
class ReducerSettings:
    """Which layer of the network is narrowed, how far and by which method."""

    n_components: Annotated[
        int | float | str, Condition("an int >= 1, a fraction between 0 and 1, or auto", _counts_components)
    ] = "auto"
    """Components that are kept: a number of them, a fraction of cumulative explained variance, or `auto`, the smallest
    number whose eval error after fine-tuning, and whose expected error, stay within `budget` of the source's; `auto`
    keeps the source itself if no such number shrinks it."""
    layer: str = "hidden_0"
    """Dense layer that is narrowed."""
    space: Space = "preactivation"
    """Values that are projected: the pre-activations of the layer, or its inputs."""
    method: Method = "pca"
    """Method: `pca`; `svd` (axes about zero, not about the mean); `ica` (independent axes within pca's); `pls` (axes
    that follow the label); `lda` (axes that separate classes: the label's own, or `label_bins` quantile bins of a
    number); `nmf` (inputs without negative features, for analysis only)."""
    standardize: bool = False
    """Divide features by their standard deviation first."""
    whiten: bool = False
    """Divide codes by their standard deviation."""
    label_bins: Annotated[int, at_least(2)] = 10
    """Quantile bins of a numeric label that `lda` takes as classes."""
    sample_rows: Annotated[int, at_least(2)] = 20_000
    """Rows of train that ica, pls, lda, nmf and the pictures use; everything else uses every row."""
    budget: NotNegative = 0.002
    """Increase of the error that `auto` accepts, as a fraction of the source's error."""
    fine_tune_epochs: Count = 8
    """Epochs of fine-tuning after the projection."""
    learning_rate: Positive = 2e-3
    """Learning rate of fine-tuning."""
    batch_size: Count = 256
    """Rows per step of fine-tuning."""
    seed: int = 17
    """Seed of sampling and fine-tuning."""

    def __post_init__(self) -> None:
        check_fields(self, "reducer")
        if self.method == "nmf":
            self._check_nmf()

    def _check_nmf(self) -> None:
        if self.space != "input":
            raise ValueError(f"reducer.space={self.space} must be input with method=nmf: pre-activations are negative")
        for name, is_set, reason in (
            ("standardize", self.standardize, "features must keep their zero"),
            ("whiten", self.whiten, "it is not folded into the network"),
        ):
            if is_set:
                raise ValueError(f"reducer.{name}=True must be False with method=nmf: {reason}")
        if self.n_components == "auto":
            raise ValueError(
                "reducer.n_components=auto must be an int or a fraction with method=nmf: "
                "it is not folded into the network, so that no eval error follows from k"
            )
