"""The figures of a run as typed records, for figures.json and summary.json. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from farebox.components.device_validator.runtimes.table import RuntimeTrial, trials_from_json
from farebox.components.errors import Check
from farebox.components.model_gate.judgement import LastBlessed, SliceErrors, intervals_from_json, ratios_from_json
from farebox.components.trip_example_gen.judging.losses import Losses

FIGURES_FILE, CONTENT_FILE, PAGE_FILE = "figures.json", "content.json", "report.html"
COST_FILE = "cost.json"  # in a cluster node's outputs: `cpu_s`, `wall_s`, `peak_mb`
LAST_ACCEPTED = "last accepted model"  # a part of the histograms in CONTENT_FILE, beside the splits
FAULT = "fault"  # key of CONTENT_FILE: why Reporter could not gather its other keys
RAW_DNN_KEY = "baseline"  # JSON key of `rmse.raw_dnn`; `baseline` outside `rmse` is the last blessed model


@dataclasses.dataclass(frozen=True)
class Rows:
    """Number of rows that TripExampleGen read: the sum of those that are examples, were rejected, and left out."""

    read: int
    examples: int
    rejected: int
    left_out: int = 0


@dataclasses.dataclass(frozen=True)
class StageRmse:
    """RMSE on the test split in the label's unit: of three yardsticks, of the float network by stage, of the file."""

    predict_mean: float
    linear_on_distance: float
    raw_dnn: float
    engineered: float
    reduced: float
    pruned: float
    shipped: float

    @classmethod
    def from_json(cls, content: Mapping[str, float]) -> StageRmse:
        """Reads what `to_json` returns."""
        return cls(**{"raw_dnn" if key == RAW_DNN_KEY else key: rmse for key, rmse in content.items()})

    def to_json(self) -> dict[str, float]:
        """RMSE by stage."""
        return {RAW_DNN_KEY if key == "raw_dnn" else key: rmse for key, rmse in dataclasses.asdict(self).items()}


@dataclasses.dataclass(frozen=True)
class FileSize:
    """Size of a `.tflite` in bytes, as it is and compressed."""

    bytes: int
    gzip_bytes: int


@dataclasses.dataclass(frozen=True)
class ShippedModel:
    """The shipped file and the network that it was converted from.

    sparsity: fraction of weights that are zero. k: number of kept components, None for the unreduced network.
    mode, network, steps: Quantizer's choice. ops: number of operators by name.
    """

    path: str
    parameters: int
    sparsity: float
    k: int | None
    mode: str
    network: str
    steps: tuple[str, ...]
    sha256: str
    bytes: int
    gzip_bytes: int
    ops: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class RangeFigures:
    """The ranges of the shipped file on the test split: number of bands, share of labels that they promise to hold and
    that they hold, and their mean width in the label's unit. The interval of `covered` is `intervals["coverage"]`."""

    bands: int
    promised: float
    covered: float
    mean_width: float


@dataclasses.dataclass(frozen=True)
class Latency:
    """Microseconds that the file takes for one row."""

    p50: float
    p99: float


@dataclasses.dataclass(frozen=True)
class ModelFigures:
    """Measurements of a run: its data and its model; the fields are JSON keys, in this order.

    yardsticks: RMSE by name. mae, bias, p95_absolute_error, intervals (lower, upper; 95 %) and slices: of the shipped
    file on the test split, in the label's unit. baseline: the last blessed model, None without one. tuned: the settings
    that Tuner chose, None without Tuner. unreduced: the file of the network before reduction. latency_us: None if
    DeviceValidator stopped before it measured. ranges: None for a file without bands. runtimes: what each runtime did
    with the shipped file. yardstick_intervals: of their RMSE, 95 %. median_absolute_error: of the shipped file.
    yardstick_ratios: (value, lower, upper; 95 %) of the file's RMSE over each yardstick's.
    machine: where latency_us was measured. From `ranges` on, fields are empty or None in the figures of runs before
    there were any.
    """

    rows: Rows
    yardsticks: Mapping[str, float]
    rmse: StageRmse
    mae: float
    bias: float
    p95_absolute_error: float
    intervals: Mapping[str, tuple[float, float]]
    baseline: LastBlessed | None
    slices: tuple[SliceErrors, ...]
    tuned: Mapping[str, Any] | None
    model: ShippedModel
    unreduced: FileSize
    latency_us: Latency | None
    ranges: RangeFigures | None = None
    runtimes: tuple[RuntimeTrial, ...] = ()
    yardstick_intervals: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    median_absolute_error: float | None = None
    yardstick_ratios: Mapping[str, tuple[float, float, float]] = dataclasses.field(default_factory=dict)
    machine: str = ""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ModelFigures:
        """Reads what `to_json` returns; ignores other keys."""
        return cls(**{
            **{key: content[key] for key in MODEL_KEYS if key not in LATER_KEYS},
            "rows": Rows(**content["rows"]),
            "rmse": StageRmse.from_json(content["rmse"]),
            "intervals": intervals_from_json(content["intervals"]),
            "baseline": LastBlessed(**content["baseline"]) if content["baseline"] else None,
            "slices": tuple(SliceErrors.from_json(errors) for errors in content["slices"]),
            "model": ShippedModel(**{**content["model"], "steps": tuple(content["model"]["steps"])}),
            "unreduced": FileSize(**content["unreduced"]),
            "latency_us": Latency(**content["latency_us"]) if content["latency_us"] else None,
            "ranges": RangeFigures(**content["ranges"]) if content.get("ranges") else None,
            "runtimes": trials_from_json(content.get("runtimes", ())),
            "yardstick_intervals": intervals_from_json(content.get("yardstick_intervals") or {}),
            "median_absolute_error": content.get("median_absolute_error"),
            "yardstick_ratios": ratios_from_json(content.get("yardstick_ratios") or {}),
            "machine": content.get("machine") or "",
        })  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {**dataclasses.asdict(self), "rmse": self.rmse.to_json()}


MODEL_KEYS = tuple(field.name for field in dataclasses.fields(ModelFigures))
LATER_KEYS = ("ranges", "runtimes", "yardstick_intervals", "median_absolute_error", "yardstick_ratios", "machine")


@dataclasses.dataclass(frozen=True)
class Figures:
    """The figures of a run. measured: None if a gate stopped the run before a model existed.

    blessed: ModelGate and DeviceValidator accept the model. pushed: folder of the version, None if nothing was pushed.
    losses: the rows that gave no example; None in the figures of runs before they were counted so.
    """

    measured: ModelFigures | None
    gates: tuple[Check, ...]
    blessed: bool
    pushed: str | None
    losses: Losses | None = None

    @classmethod
    def of_refusal(cls, checks: Sequence[Check], losses: Losses | None = None) -> Figures:
        """The figures of a run that a gate stopped before a model existed."""
        return cls(measured=None, gates=tuple(checks), blessed=False, pushed=None, losses=losses)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Figures:
        """Reads figures.json or summary.json; ignores keys that are not in figures.json."""
        return cls(
            measured=ModelFigures.from_json(content) if content["model"] else None,
            gates=tuple(Check(**check) for check in content["gates"]),
            blessed=content["blessed"],
            pushed=content["pushed"],
            losses=Losses.from_json(content["losses"]) if content.get("losses") else None,
        )

    def to_json(self) -> dict[str, Any]:
        """The content of figures.json; the keys of `ModelFigures` are null without a model."""
        return {
            **(self.measured.to_json() if self.measured else dict.fromkeys(MODEL_KEYS)),
            "gates": [dataclasses.asdict(check) for check in self.gates],
            "blessed": self.blessed,
            "pushed": self.pushed,
            "losses": self.losses.to_json() if self.losses else None,
        }
