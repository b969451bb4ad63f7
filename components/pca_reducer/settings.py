"""What a user may set of PcaReducer. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

Space = Literal["preactivation", "input"]
Method = Literal["pca", "svd", "ica", "pls", "lda", "nmf"]


@dataclasses.dataclass(frozen=True)
class ReducerSettings:
    """How far, and where, the network is narrowed.

    n_components: a number of components, a fraction of cumulative explained variance in (0, 1), or `auto`: the smallest
    k whose eval error after fine-tuning, and whose expected one, stay within `budget` (a fraction) of the source's, the
    source itself where no such k shrinks it. layer: the Dense to reduce.
    space: what is projected, the pre-activations of that layer or its inputs. method: pca; svd (axes about zero, not
    about the mean); ica (independent ones within pca's); pls (they follow the label); lda (they part classes: the
    label's own, or `label_bins` quantile bins of a number); nmf (inputs without negative features, for analysis only).
    standardize: features are divided by their standard deviation first; whiten: codes by theirs. sample_rows: what ica,
    pls, lda, nmf and the pictures see of train; all else sees every row.
    """

    n_components: int | float | str = "auto"
    layer: str = "hidden_0"
    space: Space = "preactivation"
    method: Method = "pca"
    standardize: bool = False
    whiten: bool = False
    label_bins: int = 10
    sample_rows: int = 20_000
    budget: float = 0.002
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
        for name, known in (("space", get_args(Space)), ("method", get_args(Method))):
            if getattr(self, name) not in known:
                raise ValueError(f"reducer.{name}={getattr(self, name)} must be one of {', '.join(known)}")
        for name, least in (("fine_tune_epochs", 1), ("batch_size", 1), ("label_bins", 2), ("sample_rows", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"reducer.{name}={getattr(self, name)} must be at least {least}")
        if self.budget < 0:
            raise ValueError(f"reducer.budget={self.budget} must be at least 0")
        if self.learning_rate <= 0:
            raise ValueError(f"reducer.learning_rate={self.learning_rate} must be above 0")
        if self.method == "nmf":
            self._check_nmf()

    def _check_nmf(self) -> None:
        if self.space != "input":
            raise ValueError(f"reducer.space={self.space} must be input with method=nmf: pre-activations are negative")
        for name, reason in (
            ("standardize", "features must keep their zero"),
            ("whiten", "it is not folded into the network"),
        ):
            if getattr(self, name):
                raise ValueError(f"reducer.{name}=True must be False with method=nmf: {reason}")
        if self.n_components == "auto":
            raise ValueError(
                "reducer.n_components=auto must be an int or a fraction with method=nmf: "
                "it is not folded into the network, so that no eval error follows from k"
            )
