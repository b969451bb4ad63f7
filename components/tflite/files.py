"""Names and paths of a model's files, and their size in transit. Imports nothing heavy: the command line needs it."""

from __future__ import annotations

import gzip
import os
from typing import Any

FARE_FILE = "fare.tflite"  # the name under which a model is pushed
TFLITE_IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every file
GOLDEN_FILE = "golden.json"  # beside it: rows, and what the file answers to them
DENSITY_FILE = "density.json"  # beside it: trips by cell of a coarse grid, without cells of few trips
CARD_FILE, CARD_TEXT = "model_card.json", "model_card.md"  # beside it: for whom it is, how well it does
LOCATIONS_FILE = "locations.json"  # beside it: coordinates by id, for a city that has zones


def serving_dir(model: Any) -> str:
    """The folder in which TFX keeps a Model artifact's servable file."""
    return os.path.join(model.uri, "Format-Serving")


def tflite_path(model: Any) -> str:
    """The `.tflite` of a Model artifact, where TFMA and Pusher look for it."""
    return os.path.join(serving_dir(model), "tflite")


def gzip_bytes(data: bytes) -> int:
    """Size in transit: bytes after gzip level 9, without a time stamp, so that equal files have equal sizes."""
    return len(gzip.compress(data, compresslevel=9, mtime=0))
