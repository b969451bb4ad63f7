"""Settings of DeviceValidator. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from farebox.components.device_validator.runtimes.table import RUNTIMES
from farebox.components.errors import Condition, Count, NotNegative, Positive, check_fields

RuntimeName = Annotated[str, Condition(f"one of {', '.join(RUNTIMES)}", RUNTIMES.__contains__)]


@dataclasses.dataclass(frozen=True)
class DeviceSettings:
    """Bounds on the shipped file: by itself, and against the reference, the unreduced float32 file."""

    max_bytes: Count = 200_000
    """Largest size of the file, in bytes, uncompressed."""
    max_gzip_bytes: Count | None = None
    """Largest size of the file compressed by gzip, in bytes; null for no bound."""
    max_output_ratio: Positive = 3.0
    """Largest believable output, as a multiple of the largest fare that ingest accepts (`city.fare.max`)."""
    max_latency_ratio: Positive = 1.3
    """Median time of one row, as a multiple of the reference's."""
    latency_slack_us: NotNegative = 0.5
    """Time in µs added to the bound on the median, for machines with other work."""
    max_p99_ratio: Positive = 2.0
    """99th percentile of the time of one row, as a multiple of the reference's."""
    p99_slack_us: NotNegative = 5.0
    """Time in µs added to the bound on the 99th percentile, for machines with other work."""
    max_memory_ratio: Positive = 1.2
    """Memory by which a process grows that loads the file and runs one row, as a multiple of the reference's."""
    memory_slack_kib: NotNegative = 1024.0
    """Memory in KiB added to the bound on memory."""
    max_mean_difference: NotNegative = 0.06
    """Mean difference from the reference's outputs, as a share of their mean."""
    max_difference: NotNegative = 0.02
    """Largest difference from the reference's outputs, as a share of the largest believable output."""
    max_batch_difference: NotNegative = 0.001
    """Difference between a row alone and the same row in a batch, and between one thread and two, as a share of the
    mean output."""
    max_delegate_difference: NotNegative = 0.1
    """Difference between outputs with XNNPACK and without, as a share of the mean output; hybrid kernels quantize
    activations too."""

    runtimes: tuple[RuntimeName, ...] | None = None
    """Runtimes that must run the file; null for all that are installed. A runtime that is named here and not installed
    refuses the file; the others are tried and reported."""
    max_runtime_difference: NotNegative = 1e-4
    """Difference of a runtime's output from the Interpreter's, on any row, as a share of the mean output: a tenth of a
    cent of an eleven-dollar fare. For a file that computes with integers, whose kernels round differently,
    max_delegate_difference holds instead, if it is more."""

    def __post_init__(self) -> None:
        check_fields(self, "device")
