"""What a user may set of DeviceValidator. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class DeviceSettings:
    """How far the file may stand behind the reference, the unreduced float32 file, and from itself.

    max_latency_ratio, max_p99_ratio: of the median, and of the 99th percentile, of one row's time; the slacks, in
    microseconds, are added to the bound, for machines with other work.
    max_memory_ratio: of what a process grows by that loads the file and runs one row; memory_slack_kib is added.
    max_gzip_bytes: of the file; None for no bound.
    max_mean_difference: from the reference's outputs, as a share of their mean; max_difference: the largest, as a share
    of the largest believable output.
    max_batch_difference: of a row alone and in a batch, or with one thread and with two; max_delegate_difference: with
    XNNPACK and without, where hybrid kernels quantize activations too. Both as shares of the mean output.
    """

    max_latency_ratio: float = 1.3
    latency_slack_us: float = 0.5
    max_p99_ratio: float = 2.0
    p99_slack_us: float = 5.0
    max_memory_ratio: float = 1.2
    memory_slack_kib: float = 1024.0
    max_gzip_bytes: int | None = None
    max_mean_difference: float = 0.06
    max_difference: float = 0.02
    max_batch_difference: float = 0.001
    max_delegate_difference: float = 0.1

    def __post_init__(self) -> None:
        for name in ("max_latency_ratio", "max_p99_ratio", "max_memory_ratio"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"device.{name}={getattr(self, name)} must be above 0 and finite")
        for name in (
            "latency_slack_us", "p99_slack_us", "memory_slack_kib", "max_mean_difference", "max_difference",
            "max_batch_difference", "max_delegate_difference",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"device.{name}={getattr(self, name)} must be at least 0 and finite")
        if self.max_gzip_bytes is not None and self.max_gzip_bytes < 1:
            raise ValueError(f"device.max_gzip_bytes={self.max_gzip_bytes} must be at least 1, or null")
