"""The file of train's statistics in an ExampleStatistics artifact: what drift is measured from."""

from __future__ import annotations

import os

from tfx import types
from tfx.types import artifact_utils

TRAIN = "train"
FILE = "FeatureStats.pb"  # tfx.components.statistics_gen.executor.DEFAULT_FILE_NAME, slow to import


def path_of(statistics: types.Artifact) -> str | None:
    """The path of the file; None if the artifact has no split of that name."""
    if TRAIN not in statistics.splits:
        return None
    return os.path.join(artifact_utils.get_split_uri([statistics], TRAIN), FILE)


def new_path(statistics: types.Artifact) -> str:
    """The path to write the file to; the artifact has that split from now on."""
    statistics.split_names = artifact_utils.encode_split_names([TRAIN])
    return os.path.join(artifact_utils.get_split_uri([statistics], TRAIN), FILE)


def leave_empty(statistics: types.Artifact) -> None:
    """Says that the artifact has no split."""
    statistics.split_names = artifact_utils.encode_split_names([])
