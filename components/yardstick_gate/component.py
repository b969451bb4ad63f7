"""YardstickGate: has the last word on accuracy: what Evaluator blessed must hold its own against simpler models."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import EvaluatorBlessing
from components.yardstick_gate.executor import NO_BOUND, YardstickGateExecutor


class YardstickGateSpec(ComponentSpec):
    """label, distance: names among the transformed features, distance in km. booster_inputs: those that LightGBM was
    trained on, in its order, separated by commas. max_ratio: 0 where there is no bound."""

    PARAMETERS = {
        "label": ExecutionParameter(type=str),
        "distance": ExecutionParameter(type=str),
        "booster_inputs": ExecutionParameter(type=str),
        "max_ratio": ExecutionParameter(type=float),
        "code_digest": ExecutionParameter(type=str),
    }
    INPUTS = {
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "model_blessing": ChannelParameter(type=EvaluatorBlessing),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.ModelBlessing)}


class YardstickGate(base_component.BaseComponent):
    """Only judges: it reads test as Evaluator does, fits the two trivial yardsticks on train, and chooses nothing.

    Its blessing holds where Evaluator's holds and the shipped file's RMSE is at most `max_ratio` times that of the
    no-embedding DNN; None: no such bound. TFX's Pusher and LatestBlessedModelStrategy read it as they do Evaluator's.

    File structure of the blessing:
      - {uri}/yardsticks.json: rmse of each yardstick, shipped (RMSE), ratio, checks
      - {uri}/BLESSED or {uri}/NOT_BLESSED: empty

    model_run: Trainer's raw_dnn.keras, no_embedding_dnn.keras and lightgbm.txt.
    examples: transformed.
    """

    SPEC_CLASS = YardstickGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(YardstickGateExecutor)

    def __init__(
        self,
        evaluation: types.BaseChannel,
        model_blessing: types.BaseChannel,
        model_run: types.BaseChannel,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        label: str,
        distance: str,
        booster_inputs: str,
        max_ratio: float | None,
        code_digest: str,
    ) -> None:
        if max_ratio is not None and not max_ratio > 0:
            raise ValueError(f"max_ratio={max_ratio} must be above 0, or None, in YardstickGate")
        super().__init__(
            YardstickGateSpec(
                evaluation=evaluation,
                model_blessing=model_blessing,
                model_run=model_run,
                examples=examples,
                transform_graph=transform_graph,
                label=label,
                distance=distance,
                booster_inputs=booster_inputs,
                max_ratio=NO_BOUND if max_ratio is None else float(max_ratio),
                code_digest=code_digest,
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            )
        )
