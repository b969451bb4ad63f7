"""The run_fn of Trainer: reads transformed examples, fits the network and the raw-column baseline, saves both."""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from absl import logging
from tfx_bsl.public import tfxio

from modules import columns, model
from modules.settings import FeatureSettings, ModelSettings, TrainingSettings

NETWORK_FILE = "network.keras"
BASELINE_FILE, FIGURES_FILE = "baseline.keras", "training.json"


def batches(
    fn_args: Any, split_files: list[str], transformed: tft.TFTransformOutput, batch_size: int, shuffle: bool
) -> tf.data.Dataset:
    """One epoch of ({feature: (n, width)}, fare (n, 1)) as a tf.data.Dataset."""
    options = tfxio.TensorFlowDatasetOptions(
        batch_size=batch_size, label_key=columns.FARE, num_epochs=1, shuffle=shuffle, shuffle_seed=1
    )
    schema = transformed.transformed_metadata.schema
    return fn_args.data_accessor.tf_dataset_factory(split_files, options, schema).prefetch(2)


def mean_fare(dataset: tf.data.Dataset) -> float:
    """Mean of the labels in the city's currency, float64 sums over one pass."""
    total, rows = 0.0, 0
    for _, fare in dataset:
        total += float(tf.reduce_sum(tf.cast(fare, tf.float64)))
        rows += int(tf.size(fare))
    return total / rows


def fit(
    network: keras.Model, train: tf.data.Dataset, evaluation: tf.data.Dataset, settings: TrainingSettings
) -> dict[str, float]:
    """Fits by mean squared error with Adam; the weights of the best eval epoch stay in `network`.

    Returns parameters, epochs and eval_rmse.
    """
    rmse = keras.metrics.RootMeanSquaredError(name="rmse")
    network.compile(keras.optimizers.Adam(settings.learning_rate), loss="mse", metrics=[rmse])
    best = keras.callbacks.EarlyStopping("val_rmse", mode="min", patience=settings.patience, restore_best_weights=True)
    slower = keras.callbacks.ReduceLROnPlateau(
        "val_rmse", mode="min", factor=0.5, patience=max(settings.patience // 2, 1)
    )
    history = network.fit(
        train, validation_data=evaluation, epochs=settings.epochs, callbacks=[best, slower], verbose=0
    )
    return {
        "parameters": network.count_params(),
        "epochs": len(history.epoch),
        "eval_rmse": min(history.history["val_rmse"]),
    }


def run_fn(fn_args: Any) -> None:
    """Writes `network.keras` into the model artifact, `baseline.keras` and `training.json` into model_run."""
    config = fn_args.custom_config
    settings = TrainingSettings(**config["training"])
    keras.utils.set_random_seed(settings.seed)
    transformed = tft.TFTransformOutput(fn_args.transform_graph_path)
    train = batches(fn_args, fn_args.train_files, transformed, settings.batch_size, shuffle=True)
    evaluation = batches(fn_args, fn_args.eval_files, transformed, 2048, shuffle=False)
    widths = {name: spec.shape[0] for name, spec in transformed.transformed_feature_spec().items()}
    cardinalities = columns.cardinalities(FeatureSettings(**config["features"]).n_buckets)

    settings_of_model = ModelSettings(**config["model"])
    network = model.build_network(settings_of_model, widths[columns.NUMERIC], cardinalities, mean_fare(train))
    baseline = model.build_baseline(widths[columns.RAW])
    figures = {fitted.name: fit(fitted, train, evaluation, settings) for fitted in (network, baseline)}
    logging.info("Trainer: %s", figures)

    tf.io.gfile.makedirs(fn_args.serving_model_dir)
    tf.io.gfile.makedirs(fn_args.model_run_dir)
    network.save(os.path.join(fn_args.serving_model_dir, NETWORK_FILE))
    baseline.save(os.path.join(fn_args.model_run_dir, BASELINE_FILE))
    with tf.io.gfile.GFile(os.path.join(fn_args.model_run_dir, FIGURES_FILE), "w") as file:
        file.write(json.dumps(figures, indent=2))
