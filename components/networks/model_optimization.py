"""The import of tfmot, on tf_keras and without a trace in the process's environment."""

from __future__ import annotations

import os
from typing import Any

LEGACY_KERAS = "TF_USE_LEGACY_KERAS"


def import_tfmot() -> Any:
    """Returns `tensorflow_model_optimization`, which takes tf_keras only.

    Its import sets TF_USE_LEGACY_KERAS, which decides which Keras TensorFlow offers at its first use. The variable is
    restored afterwards.
    """
    before = os.environ.get(LEGACY_KERAS)
    os.environ[LEGACY_KERAS] = "1"
    try:
        import tensorflow_model_optimization

        return tensorflow_model_optimization
    finally:
        del os.environ[LEGACY_KERAS]
        if before is not None:
            os.environ[LEGACY_KERAS] = before
