"""FileEvaluator: TFX's Evaluator, which also records the SHA-256 of the files that it judged."""

from __future__ import annotations

from tfx.components.evaluator.component import Evaluator
from tfx.dsl.components.base import executor_spec

from farebox.components.evaluator.executor import FileEvaluatorExecutor


class FileEvaluator(Evaluator):
    """TFX's Evaluator; writes the SHA-256 of each `.tflite` that it reads to `judged.json` beside the evaluation.

    exec_properties["slicing"]: configuration of the module of the custom extractors, as JSON.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(FileEvaluatorExecutor)
