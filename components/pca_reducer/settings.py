"""Settings of PcaReducer. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from farebox.components.errors import Condition, Count, NotNegative, Positive, at_least, check_fields
from farebox.components.networks.metrics import AUTO, MetricName, ObjectiveName, check_metric
from farebox.components.networks.node_settings import DEFAULT_SHARE

Space = Literal["preactivation", "input"]
Method = Literal["pca", "svd", "sparse_pca", "ica", "pls", "lda", "nmf", "kernel_pca"]
ANALYSIS_ONLY = ("nmf", "kernel_pca")  # their codes are no affine function of the features


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
    """Method: `pca`; `svd` (axes about zero, not about the mean); `sparse_pca` (axes of few features); `ica`
    (independent axes within pca's); `pls` (axes that follow the label); `lda` (axes that separate classes: the label's
    own, or `label_bins` quantile bins of a number); and for analysis only `nmf` (parts of inputs without negative
    features) and `kernel_pca` (curved axes, by a Gaussian kernel)."""
    sparse_penalty: Positive = 0.1
    """Penalty of `sparse_pca` on loadings, in units of the largest standard deviation; more makes more of them zero."""
    shift: bool = False
    """Subtract each feature's least value first, so that `nmf` takes features below 0."""
    standardize: bool = False
    """Divide features by their standard deviation first."""
    whiten: bool = False
    """Divide codes by their standard deviation."""
    label_bins: Annotated[int, at_least(2)] = 10
    """Quantile bins of a numeric label that `lda` takes as classes."""
    sample_rows: Annotated[int, at_least(2)] = 20_000
    """Rows of train that ica, pls, lda, nmf, kernel_pca and the pictures use; everything else uses every row."""
    budget: NotNegative | None = None
    """Increase of the error that `auto` accepts, as a fraction of the source's error; null for a percentage that
    quantizer.max_rmse_increase gives, else 0.002. `auto` hands on the smallest networks within all and half of it;
    Quantizer holds its own budget against the source once."""
    search_s: Positive = 300.0
    """CPU seconds after which `auto` begins no further search; the log says so."""
    fine_tune_epochs: Count = 8
    """Epochs of fine-tuning after the projection."""
    learning_rate: Positive = 2e-3
    """Learning rate of fine-tuning."""
    batch_size: Count = 256
    """Rows per step of fine-tuning."""
    seed: int = 17
    """Seed of sampling and fine-tuning."""
    objective: ObjectiveName = AUTO
    """Kind of the answers: `regression`, `binary` (labels 0 and 1), `classes` (class ids or one-hot), `multilabel`
    or `custom:MODULE:FUNCTION` of predictions and labels, which returns an error. `auto` takes what the last layer
    says; labels that contradict it are refused."""
    metric: MetricName = AUTO
    """Error that the budget counts: `rmse` or `mae`; `log_loss`, `accuracy` or `auc` (1 less each of the last two);
    `auto` for the objective's first."""

    @property
    def share(self) -> float:
        """The budget as a fraction of the source's error."""
        return DEFAULT_SHARE if self.budget is None else self.budget

    def __post_init__(self) -> None:
        check_fields(self, "reducer")
        check_metric("reducer", self.objective, self.metric)
        if self.shift and self.method != "nmf":
            raise ValueError(f"reducer.shift=True must be False with method={self.method}: it moves by the mean")
        if self.method in ANALYSIS_ONLY:
            self._check_analysis()

    def _check_analysis(self) -> None:
        method = self.method
        if method == "nmf" and self.space != "input":
            raise ValueError(f"reducer.space={self.space} must be input with method=nmf: pre-activations are negative")
        if method == "nmf" and self.standardize:
            raise ValueError("reducer.standardize=True must be False with method=nmf: features must keep their zero")
        if self.whiten:
            raise ValueError(
                f"reducer.whiten=True must be False with method={method}: it is not folded into the network"
            )
        if self.n_components == "auto":
            raise ValueError(
                f"reducer.n_components=auto must be an int or a fraction with method={method}: "
                "it is not folded into the network, so that no eval error follows from k"
            )
