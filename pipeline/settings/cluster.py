"""Settings of the cluster that a compiled pipeline runs on."""

from __future__ import annotations

import dataclasses

from farebox.components.errors import Count, Positive, check_fields


@dataclasses.dataclass(frozen=True)
class Resources:
    """Resources of one node; null for those of every other node."""

    cpu: Positive | None = None
    """CPUs of the node."""
    memory_gb: Positive | None = None
    """Memory of the node, in GB (10^9 bytes)."""
    accelerator: str | None = None
    """Accelerator as the cluster names it: `nvidia.com/gpu` on Kubeflow, `NVIDIA_TESLA_T4` and the like on Vertex
    AI."""
    accelerators: Count = 1
    """Number of accelerators, if one is named."""


@dataclasses.dataclass(frozen=True)
class ClusterSettings:
    """Storage, image and resources of a compiled pipeline."""

    root: str | None = None
    """Bucket, or a folder in it, for artifacts and models."""
    image: str | None = None
    """Container image; without a tag, the commit is its tag."""
    cpu: Positive = 2.0
    """CPUs of every node."""
    memory_gb: Positive = 8.0
    """Memory of every node, in GB (10^9 bytes)."""
    nodes: dict[str, Resources] = dataclasses.field(default_factory=dict)
    """Resources of single nodes by name, such as `{Trainer: {cpu: 4}}`."""

    def __post_init__(self) -> None:
        check_fields(self, "cluster")
        for node, resources in self.nodes.items():
            check_fields(resources, f"cluster.nodes.{node}")

    def resources(self, node: str) -> Resources:
        """Returns the resources of one node."""
        own = self.nodes.get(node, Resources())
        return dataclasses.replace(own, cpu=own.cpu or self.cpu, memory_gb=own.memory_gb or self.memory_gb)
