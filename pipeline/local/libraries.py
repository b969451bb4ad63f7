"""Settings of TensorFlow, TFX and absl that a command makes for its own process; a library call makes none."""

from __future__ import annotations

import logging as python_logging
import os

from absl import logging

from farebox.pipeline.local import lean_imports


def configure_libraries() -> None:
    """What TensorFlow, TFX and absl log, the environment they read when they are imported, and what of them waits."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    python_logging.captureWarnings(True)
    lean_imports.defer()
    logging.set_verbosity(logging.INFO)  # the executors' lines with numbers are of this level


def fix_batches() -> None:
    """Batches of the same rows at every pace of the machine: Beam's own adapt to it, and then the last bit of a mean
    differs, and so does the network. Imports tfx_bsl; for pipelines that are built in this process from now on."""
    from absl import flags
    from tfx_bsl.coders import batch_util  # noqa: F401 - defines the flag

    flags.FLAGS.set_default("tfxio_use_byte_size_batching", True)
