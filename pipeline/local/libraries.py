"""Settings of TensorFlow, TFX and absl that a command makes for its own process; a library call makes none."""

from __future__ import annotations

import gc
import logging as python_logging
import os

from absl import logging

from farebox.pipeline.local import lean_imports

GARBAGE = 10_000  # Python's 700 collects so often while TFX is imported that it takes a quarter of the CPU time


def configure_libraries() -> None:
    """Sets what TensorFlow, TFX and absl log, the environment that they read, which of their modules wait, and after
    how many new objects Python looks for garbage."""
    gc.set_threshold(GARBAGE)
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    python_logging.captureWarnings(capture=True)
    lean_imports.defer()
    logging.set_verbosity(logging.INFO)  # the executors' lines with numbers are of this level


def fix_batches() -> None:
    """Gives pipelines that this process builds from now on batches of the same rows on every machine. Imports tfx_bsl.

    Beam's own batches adapt to the machine's pace: the last bit of a mean differs, and with it the network.
    """
    from absl import flags
    from tfx_bsl.coders import batch_util  # noqa: F401 - defines the flag

    flags.FLAGS.set_default(name="tfxio_use_byte_size_batching", value=True)
