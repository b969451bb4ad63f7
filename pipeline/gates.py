"""What Evaluator measures of the file that would ship: TFMA's evaluation config from our settings."""

from __future__ import annotations

import json

from tensorflow_model_analysis.proto import config_pb2 as tfma  # TFMA's package names only some of these on lane B

from modules.columns import FARE
from modules.slicing import ROW_HASH, SLICED_BY
from pipeline.settings import GateSettings

CANDIDATE, BASELINE = "candidate", "baseline"
ERRORS_MODULE = "components.evaluator.regression_errors"


def eval_config(gates: GateSettings) -> tfma.EvalConfig:
    """Errors over all rows and by slice, of the candidate and of the last blessed model, with confidence intervals.

    Both models are `.tflite`: TFMA mixes no model types. Without a blessed model yet, TFMA drops the baseline.
    Evaluator blesses what holds `max_rmse`; ModelGate holds the file to the other bounds. Intervals are our metric's:
    TFMA's jackknife deals rows by lot, anew in every run, and builds a graph of twenty evaluations.
    """
    max_rmse = tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(upper_bound={"value": gates.max_rmse}))
    # a plain `threshold` would hold every slice to the bound of the whole
    overall = tfma.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=max_rmse)
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(name=CANDIDATE, model_type="tf_lite", label_key=FARE),
            tfma.ModelSpec(name=BASELINE, model_type="tf_lite", label_key=FARE, is_baseline=True),
        ],
        slicing_specs=[tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=[key]) for key in SLICED_BY)],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(
                        class_name="RegressionErrors",
                        module=ERRORS_MODULE,
                        config=json.dumps({"hash_key": ROW_HASH}),
                        per_slice_thresholds=[overall],
                    ),
                ],
            )
        ],
    )
