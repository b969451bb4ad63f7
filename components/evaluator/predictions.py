"""Predictions of `.tflite` files in a TFMA evaluation: a batch at once, with numbers in the types that a file takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.extractors import tflite_predict_extractor as tfma

from farebox.components.files import progress
from farebox.components.tflite.interpreter import TfliteModel


class FilePredictionDoFn(tfma.TFLitePredictionDoFn):
    """TFMA's own DoFn copies each row by itself, and refuses the int64 numbers of an example where a file takes int32.

    Runs on the built-in kernels, as TFMA does. Raises InputError if a file lacks a column.
    """

    def setup(self) -> None:
        """Loads the files."""
        super().setup()
        self._files = {
            name: TfliteModel(model.contents, delegates=False) for name, model in self._loaded_models.items()
        }

    def _batch_reducible_process(self, element: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Adds predictions of shape (n, 1), by the model's name if there are several, to a batch of extracts."""
        features = element[constants.FEATURES_KEY]
        progress.add(len(next(iter(features.values()))))
        predictions = {
            name: file.predict(features).astype(np.float64).reshape(-1, 1) for name, file in self._files.items()
        }
        is_one = len(self._eval_config.model_specs) == 1
        return [{**element, constants.PREDICTIONS_KEY: next(iter(predictions.values())) if is_one else predictions}]


def predict_extractor(eval_shared_model: Any, eval_config: Any) -> Any:
    """The extractor that takes the place of TFMA's `ExtractTFLitePredictions`."""
    return tfma.TFLitePredictExtractor(eval_config, eval_shared_model, do_fn=FilePredictionDoFn)
