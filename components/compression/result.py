"""Result of `compress`: the file, how it compares with the float32 file, and why it was chosen."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from farebox.components.compression.confidence import Measured
from farebox.components.files import write_atomically
from farebox.components.networks.resolution import Resolution
from farebox.components.quantizer import ladder, trial_log
from farebox.components.quantizer.settings import Goal

Content = bytes  # `bytes` is a field of Compression


@dataclasses.dataclass(frozen=True)
class Errors:
    """Error on the evaluation rows, which chose the file: RMSE or MAE in the label's unit, log loss in nats, or
    1 - accuracy or AUC. bound: what the budget allows."""

    float32: float
    shipped: float
    bound: float


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Bytes of the unreduced float32 file and of the chosen one."""

    float32: int
    shipped: int


@dataclasses.dataclass(frozen=True)
class Compression:
    """The chosen `.tflite`, and how it compares with the float32 file of the network.

    mode: the rung, a name in `quantizer.rungs.RUNGS`. network: `reduced` or `unreduced`. why: why it was chosen.
    reducer, pruner: what each did to the network, in words. objective: its kind, and what says so. metric: what the
    errors are of. optimize_for: what the file is the smallest in. test: the errors on rows that chose nothing; None
    without such rows. notes: what the user should know. content: the file itself.
    """

    mode: str
    network: str
    why: str
    eval_error: Errors
    test: Measured | None
    bytes: Sizes
    gzip_bytes: Sizes
    reducer: str
    pruner: str
    objective: str
    metric: str
    optimize_for: Goal
    notes: tuple[str, ...]
    content: Content = dataclasses.field(repr=False)
    outcome: ladder.QuantizationOutcome = dataclasses.field(repr=False)

    @classmethod
    def of(
        cls,
        outcome: ladder.QuantizationOutcome,
        resolution: Resolution,
        *,
        optimize_for: Goal,
        notes: tuple[str, ...],
        reducer: str,
        pruner: str,
    ) -> Compression:
        """The result of a search, whose first trial is the reference; not yet tested."""
        reference, chosen = outcome.trials[0], outcome.chosen
        return cls(
            mode=chosen.rung,
            network=chosen.network,
            why=outcome.why,
            eval_error=Errors(reference.error, chosen.error, outcome.bound),
            test=None,
            bytes=Sizes(reference.bytes, chosen.bytes),
            gzip_bytes=Sizes(reference.gzip_bytes, chosen.gzip_bytes),
            reducer=reducer,
            pruner=pruner,
            objective=resolution.text,
            metric=resolution.objective.metric,
            optimize_for=optimize_for,
            notes=notes,
            content=chosen.content,
            outcome=outcome,
        )

    def save(self, path: str | Path) -> None:
        """Writes the `.tflite`."""
        write_atomically(Path(path), self.content)

    def save_log(self, folder: str | Path) -> None:
        """Writes choice.json, trials.jsonl, sensitivity.json and pareto.png: every file tried, and why it lost."""
        trial_log.write_log(self.outcome, self.objective, self.metric, self.optimize_for, str(folder))

    def as_json(self) -> dict[str, Any]:
        """Returns everything except the content and the trials, as dictionaries, numbers and text."""
        names = [field.name for field in dataclasses.fields(self) if field.name not in ("content", "outcome")]
        values = {name: getattr(self, name) for name in names} | {"notes": list(self.notes)}
        return {
            name: dataclasses.asdict(value) if isinstance(value, Errors | Sizes | Measured) else value
            for name, value in values.items()
        }
