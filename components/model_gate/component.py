"""ModelGate: decides on accuracy: checks Evaluator's metrics of the shipped file against every bound."""

from __future__ import annotations

import json

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from farebox.components.artifacts import EvaluatorBlessing
from farebox.components.model_gate.executor import ModelGateExecutor
from farebox.components.model_gate.settings import ModelBounds


class ModelGateSpec(ComponentSpec):
    """label, distance: transformed features, distance in km. booster_inputs: the transformed features that LightGBM was
    trained on, in its order, separated by commas. bounds: `ModelBounds` as JSON."""

    PARAMETERS = {
        "label": ExecutionParameter(type=str),
        "distance": ExecutionParameter(type=str),
        "booster_inputs": ExecutionParameter(type=str),
        "bounds": ExecutionParameter(type=str),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "raw_examples": ChannelParameter(type=standard_artifacts.Examples),
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "model_blessing": ChannelParameter(type=EvaluatorBlessing),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.ModelBlessing)}


class ModelGate(base_component.BaseComponent):
    """Reads test as Evaluator does, fits the two trivial yardsticks on train, and chooses nothing.

    Blesses if Evaluator blesses and the shipped file holds all bounds: overall, in slices, against the last blessed
    model, and against the no-embedding DNN. TFX's Pusher and LatestBlessedModelStrategy read the blessing as they read
    Evaluator's. Raises ValueError for a bound that cannot be used.

    File structure of the blessing:
      - {uri}/judgement.json: a `Judgement`
      - {uri}/BLESSED or {uri}/NOT_BLESSED: empty

    model_run: Trainer's raw_dnn.keras, no_embedding_dnn.keras and lightgbm.txt.
    model: the file that may ship. raw_examples: its inputs; examples: transformed.
    """

    SPEC_CLASS = ModelGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ModelGateExecutor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        raw_examples: types.BaseChannel,
        evaluation: types.BaseChannel,
        model_blessing: types.BaseChannel,
        model_run: types.BaseChannel,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        label: str,
        distance: str,
        booster_inputs: str,
        bounds: str,
        code_digest: str = "",
    ) -> None:
        ModelBounds(**json.loads(bounds))
        super().__init__(
            ModelGateSpec(
                model=model,
                raw_examples=raw_examples,
                evaluation=evaluation,
                model_blessing=model_blessing,
                model_run=model_run,
                examples=examples,
                transform_graph=transform_graph,
                label=label,
                distance=distance,
                booster_inputs=booster_inputs,
                bounds=bounds,
                code_digest=code_digest,
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
