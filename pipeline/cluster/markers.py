"""Empty objects that stand for folders in a bucket: TensorFlow makes them, Kubeflow's launcher takes them for files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

POD = "KFP_POD_NAME"  # a variable of every container of Kubeflow's


def remove_markers(addresses: Iterable[str]) -> None:
    """Deletes the object `FOLDER/` of each folder at and below the addresses in a bucket. Files stay, and so do the
    folders: they are the beginnings of the files' names.

    The launcher copies a node's inputs object by object; on such a marker it makes a file, and ends with `not a
    directory` on the next object (https://github.com/kubeflow/pipelines/issues/13476, open at 2.17.0).
    """
    from tfx.dsl.io import fileio

    for address in addresses:
        if not address.startswith("gs://"):  # the launcher itself writes to other stores
            continue
        for folder in [folder for folder, _, _ in fileio.walk(address)]:
            with contextlib.suppress(fileio.NotFoundError):
                fileio.remove(f"{folder.rstrip('/')}/")
