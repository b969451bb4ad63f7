"""What Evaluator asks of the file that would ship: TFMA's evaluation config from our settings."""

from __future__ import annotations

from tensorflow_model_analysis.proto import config_pb2 as tfma  # TFMA's package names only some of these on lane B

from modules.columns import DISTANCE_BAND, FARE, PICKUP_HOUR
from pipeline.settings import GateSettings

CANDIDATE, BASELINE = "candidate", "baseline"
RMSE, MAE = "RootMeanSquaredError", "MeanAbsoluteError"


def eval_config(gates: GateSettings) -> tfma.EvalConfig:
    """RMSE over all rows: at most its bound, and at most a slack above the last blessed model's.

    Measured by hour and by distance band too. Both models are `.tflite`: TFMA mixes no model types. Without a blessed
    model yet, TFMA drops the baseline and the change threshold.
    """
    rmse = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(upper_bound={"value": gates.max_rmse}),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.LOWER_IS_BETTER, absolute={"value": gates.max_rmse_increase}
        ),
    )
    # a plain `threshold` would hold every slice to the bound of the whole
    overall = tfma.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=rmse)
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(name=CANDIDATE, model_type="tf_lite", label_key=FARE),
            tfma.ModelSpec(name=BASELINE, model_type="tf_lite", label_key=FARE, is_baseline=True),
        ],
        slicing_specs=[
            tfma.SlicingSpec(),
            tfma.SlicingSpec(feature_keys=[PICKUP_HOUR]),
            tfma.SlicingSpec(feature_keys=[DISTANCE_BAND]),
        ],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(class_name=RMSE, per_slice_thresholds=[overall]),
                    tfma.MetricConfig(class_name=MAE),
                    tfma.MetricConfig(class_name="ExampleCount"),
                ]
            )
        ],
    )
