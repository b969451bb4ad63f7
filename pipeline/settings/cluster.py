"""What a user may set of the cluster that a compiled pipeline runs on."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Resources:
    """What one node may take: CPUs, memory in GB (10^9 bytes), and accelerators as the cluster names them,
    `nvidia.com/gpu` on Kubeflow, `NVIDIA_TESLA_T4` and the like on Vertex AI. None: as every other node."""

    cpu: float | None = None
    memory_gb: float | None = None
    accelerator: str | None = None
    accelerators: int = 1

    def __post_init__(self) -> None:
        for name in ("cpu", "memory_gb"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"cluster: {name}={value} must be above 0")
        if self.accelerators < 1:
            raise ValueError(f"cluster: accelerators={self.accelerators} must be at least 1")


@dataclasses.dataclass(frozen=True)
class ClusterSettings:
    """root: the bucket, or a folder in it, for artifacts and models. image: without a tag, which is then the commit.

    cpu, memory_gb: of every node; `nodes` says otherwise by the node's name.
    """

    root: str | None = None
    image: str | None = None
    cpu: float = 2.0
    memory_gb: float = 8.0
    nodes: dict[str, Resources] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        Resources(self.cpu, self.memory_gb)

    def resources(self, node: str) -> Resources:
        """Of one node."""
        own = self.nodes.get(node, Resources())
        return dataclasses.replace(own, cpu=own.cpu or self.cpu, memory_gb=own.memory_gb or self.memory_gb)
