"""Releases of Kubeflow Pipelines' server, and what each hands to a container.

README.md in this folder says where it was read. This module imports no TFX.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from farebox.components.errors import InputError

READ = ("2.0.5", "2.3.0", "2.5.0", "2.14.0", "2.15.0", "2.16.0", "2.16.1", "2.17.0")
NEWEST = READ[-1]
ANY_PATCH = 10**6  # of a version without one: 2.16 is the last 2.16
OUTPUT_FILE = "output_metadata.json"
MOUNTS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}


@dataclass(frozen=True)
class KfpVersion:
    """name: one of READ."""

    name: str

    def is_since(self, name: str) -> bool:
        return number(self.name) >= number(name)

    @property
    def logs(self) -> str | None:
        """The last part of the address of a node's log; None if its log is no output of the node."""
        if not self.is_since("2.5.0"):
            return None
        return "executor-logs-0" if self.is_since("2.16.1") else "executor-logs"

    @property
    def has_random_folders(self) -> bool:
        """Whether the outputs of each launch are in a folder of their own."""
        return self.is_since("2.5.0")

    @property
    def resolves_run_id(self) -> bool:
        """Whether the run's id replaces its placeholder in a constant parameter."""
        return self.is_since("2.5.0")

    @property
    def names_outputs(self) -> bool:
        return self.is_since("2.15.0")

    @property
    def stores_sessions(self) -> bool:
        """Whether the metadata of an artifact says how to log in to its store."""
        return self.is_since("2.3.0")

    def output_file(self, folder: str) -> str:
        """The container's path for the output metadata of a node with its outputs in `folder`. Raises InputError."""
        here = local_path(folder) if self.is_since("2.15.0") else "/tmp/kfp_outputs"
        return f"{here}/{OUTPUT_FILE}"


def number(name: str) -> tuple[int, ...]:
    """The version as numbers, which compare as versions do."""
    return tuple(int(part) for part in name.split("."))


def known_version(text: str) -> KfpVersion:
    """The newest release in READ that is not after `text`, such as 2.16 or 2.9.1. Raises InputError."""
    parts = re.fullmatch(r"2\.(\d{1,4})(?:\.(\d{1,4}))?", text)
    wanted = (2, int(parts[1]), ANY_PATCH if parts[2] is None else int(parts[2])) if parts else (0,)
    for name in reversed(READ):
        if number(name) <= wanted:
            return KfpVersion(name)
    raise InputError(f"kfp_version={text} must be a release of Kubeflow Pipelines 2; known are {', '.join(READ)}")


def local_path(address: str) -> str:
    """The container's folder for a copy of what is at the address. Raises InputError for a store without one."""
    for scheme, mount in MOUNTS.items():
        if address.startswith(scheme):
            return mount + address.removeprefix(scheme)
    raise InputError(f"{address} must begin with {', '.join(MOUNTS)}: Kubeflow's launcher knows no other store")
