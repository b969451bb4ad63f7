"""Settings of the cluster that a compiled pipeline runs on."""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated

from farebox.components.errors import Condition, Count, Positive, between, check_fields

SECRET = Condition(
    "SECRET/KEY, the name of a Kubernetes Secret and one of its keys",
    lambda text: bool(re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[-._a-zA-Z0-9]+", text)),
)
TAINT = Condition(
    "KEY=VALUE:EFFECT or KEY:EFFECT, a taint with effect NoSchedule, PreferNoSchedule or NoExecute",
    lambda text: bool(re.fullmatch(r"[\w./-]+(=[\w.-]*)?:(NoSchedule|PreferNoSchedule|NoExecute)", text, re.ASCII)),
)
ADDRESS = Condition(
    "http://HOST:PORT or https://HOST, without a path",
    lambda text: bool(re.fullmatch(r"https?://[\w.-]+(:\d+)?", text, re.ASCII)),
)
Retries = Annotated[int, between(0, 10)]
Tolerations = tuple[Annotated[str, TAINT], ...]
Secrets = dict[str, Annotated[str, SECRET]]


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
    retries: Retries | None = None
    """Times that the node is tried again."""
    node_selector: dict[str, str] | None = None
    """Labels that the node's machine must have."""
    tolerations: Tolerations | None = None
    """Taints that the node's machine may have."""
    secrets: Secrets | None = None
    """Environment variables from Kubernetes Secrets, besides those of every node."""


@dataclasses.dataclass(frozen=True)
class ClusterSettings:
    """Storage, image and resources of a compiled pipeline."""

    root: str | None = None
    """Bucket, or a folder in it, for artifacts and models."""
    endpoint: Annotated[str, ADDRESS] | None = None
    """Address of the store of `s3://` and `minio://` places; null for AWS's own."""
    image: str | None = None
    """Container image; without a tag, the commit is its tag."""
    cpu: Positive = 2.0
    """CPUs of every node."""
    memory_gb: Positive = 8.0
    """Memory of every node, in GB (10^9 bytes)."""
    retries: Retries = 0
    """Times that a node is tried again after it failed, for whatever reason: a refusal fails again."""
    node_selector: dict[str, str] = dataclasses.field(default_factory=dict)
    """Labels that the machines of all nodes must have, such as `{pool: batch}`; Kubeflow only."""
    tolerations: Tolerations = ()
    """Taints that the machines of all nodes may have, such as `[dedicated=batch:NoSchedule]`; Kubeflow only."""
    secrets: Secrets = dataclasses.field(default_factory=dict)
    """Environment variables of all nodes from Kubernetes Secrets: `{AWS_ACCESS_KEY_ID: SECRET/KEY}`; Kubeflow only."""
    fail_on_refusal: bool = True
    """Whether a run fails if a gate refuses the model; false for TFX's rule, by which it succeeds."""
    nodes: dict[str, Resources] = dataclasses.field(default_factory=dict)
    """Resources of single nodes by name, such as `{Trainer: {cpu: 4}}`."""

    def __post_init__(self) -> None:
        check_fields(self, "cluster")
        for node, resources in self.nodes.items():
            check_fields(resources, f"cluster.nodes.{node}")
        secrets = [self.secrets, *(each.secrets or {} for each in self.nodes.values())]
        for variable in [name for each in secrets for name in each]:
            if not re.fullmatch(r"[A-Za-z_]\w*", variable, re.ASCII):
                raise ValueError(f"cluster.secrets: {variable} must be the name of an environment variable")

    def resources(self, node: str) -> Resources:
        """Returns the resources of one node: its own, else those of every node. It has the secrets of both."""
        own = self.nodes.get(node, Resources())
        shared = {field.name for field in dataclasses.fields(self)} & {field.name for field in dataclasses.fields(own)}
        shared -= {"secrets"}
        missing = {name: getattr(self, name) for name in shared if getattr(own, name) is None}
        return dataclasses.replace(own, **missing, secrets={**self.secrets, **(own.secrets or {})})
