"""Stores that speak S3: where nodes on Kubeflow find one, and with what. `components.files.buckets` reads them."""

from __future__ import annotations

import dataclasses

from farebox.components.errors import InputError
from farebox.pipeline.settings.cluster import ClusterSettings
from farebox.pipeline.settings.load import Settings

SCHEMES = ("s3://", "minio://")
ENDPOINT = "AWS_ENDPOINT_URL"
KUBEFLOWS_KEYS = {  # of Kubeflow's own store (backend/src/v2/config/env.go, 2.0.5 to 2.17.0)
    "AWS_ACCESS_KEY_ID": "mlpipeline-minio-artifact/accesskey",
    "AWS_SECRET_ACCESS_KEY": "mlpipeline-minio-artifact/secretkey",
}


def with_credentials(settings: Settings) -> Settings:
    """The settings with the Secret of Kubeflow's own store, if a place is minio:// and no Secret is named.

    Raises InputError if the address of the store is missing.
    """
    cluster = settings.cluster
    if not any((place or "").startswith("minio://") for place in (cluster.root, settings.data)):
        return settings
    if not cluster.endpoint:
        raise InputError(
            "cluster.endpoint must be given for minio:// places; Kubeflow's own store is "
            "http://minio-service.kubeflow:9000 up to 2.15, and http://seaweedfs.kubeflow:9000 since 2.16"
        )
    if cluster.secrets.keys() & KUBEFLOWS_KEYS.keys():
        return settings
    secrets = {**KUBEFLOWS_KEYS, **cluster.secrets}
    return dataclasses.replace(settings, cluster=dataclasses.replace(cluster, secrets=secrets))


def environment(cluster: ClusterSettings) -> dict[str, str]:
    """The environment variables of a container; empty without an address of a store."""
    return {ENDPOINT: cluster.endpoint} if cluster.endpoint else {}
