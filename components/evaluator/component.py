"""FileEvaluator: TFX's Evaluator, which also says which bytes it judged."""

from __future__ import annotations

from tfx.components.evaluator.component import Evaluator
from tfx.dsl.components.base import executor_spec

from farebox.components.evaluator.executor import FileEvaluatorExecutor


class FileEvaluator(Evaluator):
    """As TFX's Evaluator; `judged.json` beside the evaluation has the SHA-256 of each `.tflite` that was read.

    exec_properties["slicing"]: what the module of the custom extractors is configured with, as JSON.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(FileEvaluatorExecutor)
