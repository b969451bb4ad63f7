"""A stock TFX pipeline of Farebox's stages, as TFX's own taxi tutorial builds it: the peer that `run.py` measures.

The same features by the same preprocessing_fn, the same network, as many training steps; Keras' `fit`, a SavedModel
with a serving signature, TFMA over that SavedModel, a Pusher that copies it. It reduces, prunes and quantizes nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

BEAM = ["--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"]
SLICES = ("pickup_hour", "pickup_weekday")
MAX_RMSE = 10.0


def run(trips: Path, out: Path, features: dict[str, Any], steps: int, batch_size: int) -> None:
    """Runs it to its end. trips: a folder with a CSV file of canonical rows; features: as `preprocessing_fn` has them;
    steps: of training, each of batch_size rows."""
    from tfx import v1 as tfx

    metadata = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(out / "metadata.sqlite"))
    pipeline = tfx.dsl.Pipeline(
        pipeline_name="stock-taxi",
        pipeline_root=str(out / "artifacts"),
        components=components(trips, out, features, steps, batch_size),
        enable_cache=True,
        metadata_connection_config=metadata,
        beam_pipeline_args=BEAM,
    )
    tfx.orchestration.LocalDagRunner().run(pipeline)


def components(trips: Path, out: Path, features: dict[str, Any], steps: int, batch_size: int) -> list[Any]:
    """The tutorial's nodes."""
    from tfx import v1 as tfx

    split = tfx.proto.SplitConfig.Split
    splits = [split(name=name, hash_buckets=buckets) for name, buckets in (("train", 8), ("eval", 1), ("test", 1))]
    example_gen = tfx.components.CsvExampleGen(
        input_base=str(trips), output_config=tfx.proto.Output(split_config=tfx.proto.SplitConfig(splits=splits))
    )
    statistics = tfx.components.StatisticsGen(examples=example_gen.outputs["examples"])
    schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=True)
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    transform = tfx.components.Transform(
        examples=example_gen.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="farebox.modules.preprocessing.preprocessing_fn",
        custom_config=features,
    )
    trainer = tfx.components.Trainer(
        module_file=__file__,
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        train_args=tfx.proto.TrainArgs(num_steps=steps),
        eval_args=tfx.proto.EvalArgs(),
        custom_config={"batch_size": batch_size},
    )
    resolver = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed_model_resolver")
    evaluator = tfx.components.Evaluator(
        examples=example_gen.outputs["examples"],
        example_splits=["test"],
        model=trainer.outputs["model"],
        baseline_model=resolver.outputs["model"],
        eval_config=eval_config(),
    )
    destination = tfx.proto.PushDestination.Filesystem(base_directory=str(out / "serving"))
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(filesystem=destination),
    )
    return [example_gen, statistics, schema, validator, transform, trainer, resolver, evaluator, pusher]


def eval_config() -> Any:
    """RMSE overall and by hour and weekday."""
    import tensorflow_model_analysis as tfma

    threshold = tfma.MetricThreshold(value_threshold=tfma.GenericValueThreshold(upper_bound={"value": MAX_RMSE}))
    metrics = [
        tfma.MetricConfig(class_name="RootMeanSquaredError", threshold=threshold),
        tfma.MetricConfig(class_name="ExampleCount"),
    ]
    slices = [tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=[name]) for name in SLICES)]
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(label_key="fare", signature_name="serving_default")],
        slicing_specs=slices,
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )


def run_fn(fn_args: Any) -> None:
    """Trainer's: one network, fitted by Keras from TFXIO, saved with a signature that takes serialized examples."""
    import tensorflow as tf
    import tensorflow_transform as tft
    import tf_keras as keras
    from tfx_bsl.public import tfxio

    from farebox.modules import columns, model

    transformed = tft.TFTransformOutput(fn_args.transform_output)
    batch_size = fn_args.custom_config["batch_size"]

    def batches(files: Any, epochs: int | None) -> tf.data.Dataset:
        options = tfxio.TensorFlowDatasetOptions(batch_size=batch_size, label_key=columns.FARE, num_epochs=epochs)
        schema = transformed.transformed_metadata.schema
        return fn_args.data_accessor.tf_dataset_factory(files, options, schema)

    train = batches(fn_args.train_files, None)
    width = train.element_spec[0][columns.NUMERIC].shape[1]
    network = model.build_network(model.HIDDEN["full"], {}, {}, width=width)
    network.compile(keras.optimizers.Adam(1e-3), "mse", metrics=[keras.metrics.RootMeanSquaredError()])
    used = train.map(lambda inputs, fares: ({columns.NUMERIC: inputs[columns.NUMERIC]}, fares))
    held = batches(fn_args.eval_files, 1).map(lambda inputs, fares: ({columns.NUMERIC: inputs[columns.NUMERIC]}, fares))
    network.fit(used, steps_per_epoch=fn_args.train_steps, validation_data=held, verbose=2)
    network.transform_layer = transformed.transform_features_layer()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        specification = transformed.raw_feature_spec()
        specification.pop(columns.FARE)
        found = network.transform_layer(tf.io.parse_example(serialized, specification))
        return {"outputs": network({columns.NUMERIC: found[columns.NUMERIC]})}

    network.save(fn_args.serving_model_dir, save_format="tf", signatures={"serving_default": serve})


if __name__ == "__main__":
    import sys

    trips_dir, out_dir, order = sys.argv[1:]
    asked = json.loads(order)
    os.makedirs(out_dir, exist_ok=True)
    run(Path(trips_dir), Path(out_dir), asked["features"], asked["steps"], asked["batch_size"])
