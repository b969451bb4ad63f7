"""Retries of a node, and what only Kubernetes knows of it: node selectors, tolerations, secrets by name.

Retries are in the PipelineSpec. The rest is in a PlatformSpec beside it, which Kubeflow has and Vertex AI has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from farebox.components.errors import InputError
from farebox.pipeline.settings.cluster import ClusterSettings, Resources

KUBERNETES_ONLY = {
    "node_selector": "Vertex AI chooses a machine by cpu, memory_gb and accelerator",
    "tolerations": "Vertex AI has no taints",
    "secrets": "on Vertex AI a container has the rights of the run's service account",
}


def retry_policy(retries: int) -> dict[str, Any]:
    """A task's PipelineTaskSpec.RetryPolicy as JSON, with the pauses of kfp's own `set_retry`."""
    return {"maxRetryCount": retries, "backoffDuration": "0s", "backoffFactor": 2.0, "backoffMaxDuration": "3600s"}


def platforms(cluster: ClusterSettings, nodes: Iterable[str]) -> dict[str, Any]:
    """The PlatformSpec as JSON; empty if no node needs one."""
    configs = {f"{node}_executor": executor_config(cluster.resources(node)) for node in nodes}
    executors = {label: config for label, config in configs.items() if config}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}} if executors else {}


def executor_config(node: Resources) -> dict[str, Any]:
    """A node's KubernetesExecutorConfig as JSON.

    It names a secret as `secretName`: every version reads that, and those before 2.5 refuse `secretNameParameter`.
    """
    secrets = [
        {"secretName": name, "keyToEnv": [{"secretKey": key, "envVar": variable}]}
        for variable, place in (node.secrets or {}).items()
        for name, _, key in [place.partition("/")]
    ]
    parts = {
        "nodeSelector": {"labels": dict(node.node_selector)} if node.node_selector else None,
        "tolerations": [toleration(taint) for taint in node.tolerations or ()],
        "secretAsEnv": secrets,
    }
    return {key: value for key, value in parts.items() if value}


def toleration(taint: str) -> dict[str, str]:
    """`KEY=VALUE:EFFECT` or `KEY:EFFECT`, as `kubectl taint` writes a taint, as the toleration of it."""
    subject, _, effect = taint.rpartition(":")
    key, has_value, value = subject.partition("=")
    operator = {"operator": "Equal", "value": value} if has_value else {"operator": "Exists"}
    return {"key": key, **operator, "effect": effect}


def check_vertex(cluster: ClusterSettings) -> None:
    """Raises InputError for a setting that Vertex AI has nothing for."""
    places: Mapping[str, Any] = {
        "cluster": cluster,
        **{f"cluster.nodes.{name}": n for name, n in cluster.nodes.items()},
    }
    for place, settings in places.items():
        for name, reason in KUBERNETES_ONLY.items():
            if getattr(settings, name):
                raise InputError(f"{place}.{name} must be left out for runner=vertex: {reason}")
