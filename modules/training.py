"""The run_fn of Trainer: reads transformed examples, fits the network that may ship and its yardsticks, saves them."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from absl import logging
from tfx_bsl.public import tfxio

from farebox.components.model_gate.yardsticks import LIGHTGBM_FILE, NO_EMBEDDING_DNN, RAW_DNN
from farebox.components.networks import examples_io
from farebox.components.networks.errors import rmse
from farebox.components.networks.rows import Batch, Columns, Rows, in_memory
from farebox.components.networks.saved_model import NETWORK_FILE
from farebox.modules import boosting, columns, extra, features, fitting, model, preprocessing
from farebox.modules.settings import CrossSettings, FeatureSet, ModelSettings, TrainingSettings

FIGURES_FILE = "training.json"
CLEARLY_BETTER = 0.995  # of the distilled network's eval RMSE; a smaller gain is not worth a change
STANDARD_ERRORS = 2.0  # by which the rows must differ on average; else a few fares that nobody can know decide
READ_ROWS = 4096
TRAIN_ROWS_PER_EVAL_ROW = 5  # at most, in memory
MANY_PLACES = 0.1  # distinct pickups per row
OTHER_DROPOFF, OTHER_HOUR, SWAPPED = 0.3, 0.5, 0.15  # of the pseudo-trips


@dataclasses.dataclass(frozen=True)
class Task:
    """Both splits in memory, labelled with fares, float64 of shape (n,), and the settings from `custom_config`.

    n_own_numbers: the last columns of `raw` that are a city's own numbers, of any size.
    """

    train: Rows
    evaluation: Rows
    feature_set: FeatureSet
    crosses: CrossSettings
    model: model.Architecture
    training: TrainingSettings
    n_own_numbers: int = 0


@dataclasses.dataclass(frozen=True)
class Lesson:
    """A teacher's predicted fares, of shape (n,): of train's rows out of fold, and of pseudo-trips.

    columns: transformed features by name, of train's rows and then of the pseudo-trips.
    """

    columns: Columns
    out_of_fold: npt.NDArray[np.float64]
    pseudo_trip_fares: npt.NDArray[np.float64]


def read_task(fn_args: Any, config: Mapping[str, Any]) -> Task:
    """The task of a Trainer or a Tuner node."""
    settings = TrainingSettings(**config["training"])
    schema = tft.TFTransformOutput(fn_args.transform_graph_path).transformed_metadata.schema
    options = tfxio.TensorFlowDatasetOptions(READ_ROWS, label_key=columns.FARE, num_epochs=1, shuffle=False)
    dataset = tf.autograph.experimental.do_not_convert(fn_args.data_accessor.tf_dataset_factory)  # TFXIO needs none
    train, evaluation = (
        read_fares(dataset(files, options, schema), max_rows, settings.seed)
        for files, max_rows in (
            (fn_args.train_files, settings.max_rows),
            (fn_args.eval_files, max(settings.max_rows // TRAIN_ROWS_PER_EVAL_ROW, 1)),
        )
    )
    crosses = CrossSettings(**config["crosses"])
    by_data = {}
    if has_many_places(train):  # a few centroids need no embeddings: their numbers tell them apart
        by_data = model.embeddings_by_data(
            {cross: train.columns[cross] for cross in columns.EMBEDDED}, crosses.min_rows
        )
    chosen = model.resolved(ModelSettings(**config["model"]), config["features"], by_data)
    n_own_numbers = len(extra.numbers_of(preprocessing.geography_of(config).extras))
    return Task(train, evaluation, config["features"], crosses, chosen, settings, n_own_numbers)


def read_fares(batches: Iterable[Batch], max_rows: int, seed: int) -> Rows:
    """A split in memory, labelled with fares, float64 of shape (n,); `in_memory` says which rows."""
    rows = in_memory(batches, max_rows, seed)
    return dataclasses.replace(rows, labels=rows.labels.astype(np.float64).reshape(-1))


def tuned_values(hyperparameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Values by `section.key` from Tuner's HyperParameters config, in which lists and mappings are JSON text."""
    values = hyperparameters["values"] if hyperparameters else {}
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in values.items()}


def with_values(task: Task, values: Mapping[str, Any]) -> Task:
    """The task with these values of `model.` and `training.` settings."""
    sections: dict[str, dict[str, Any]] = {"model": {}, "training": {}}
    for name, value in values.items():
        owner, _, key = name.partition(".")
        sections[owner][key] = value
    changed = {name: dataclasses.replace(getattr(task, name), **section) for name, section in sections.items()}
    return dataclasses.replace(task, **changed)


def has_many_places(train: Rows) -> bool:
    """Whether trips start almost anywhere: there is a distinct pickup for every ten rows, or more."""
    pickups = np.unique(train.columns[columns.RAW][:, :2], axis=0)
    return len(pickups) >= MANY_PLACES * len(train)


def pseudo_trips(raw: npt.NDArray[np.float32], n: int, seed: int, n_extra: int = 0) -> npt.NDArray[np.float32]:
    """n made-up trips from real ones, shape (n, width), columns as `features.raw` orders them.

    30 % end where another trip ends, 50 % start at another trip's hour and weekday, 15 % go from dropoff to pickup.
    The last n_extra columns, a city's own inputs, come with the hour: traffic goes with the time of day.
    """
    random = np.random.default_rng(seed)
    trips = raw[random.integers(len(raw), size=n)]
    width = raw.shape[1]
    own = range(width - n_extra, width)
    for share, places in ((OTHER_DROPOFF, np.array([2, 3])), (OTHER_HOUR, np.array([5, 6, *own]))):
        changed = np.flatnonzero(random.random(n) < share)
        trips[np.ix_(changed, places)] = raw[np.ix_(random.integers(len(raw), size=len(changed)), places)]
    swapped = random.random(n) < SWAPPED
    trips[swapped, :4] = trips[swapped][:, [2, 3, 0, 1]]
    return np.asarray(trips)


def transform(raw: npt.NDArray[np.float32], layer: Any, geography: features.Geography, names: Sequence[str]) -> Columns:
    """Transform's features of raw columns, computed in batches."""
    inputs = features.inputs_of(raw, geography)
    batches = [
        layer({name: tf.constant(values[start : start + READ_ROWS]) for name, values in inputs.items()})
        for start in range(0, len(raw), READ_ROWS)
    ]
    return {name: np.concatenate([batch[name].numpy() for batch in batches]) for name in names}


def warm_started(task: Task, folder: str | None) -> tuple[Task, keras.Model | None]:
    """The task with at most `warm_epochs` and the base network in the folder; without one the same task and None."""
    if not folder:
        return task, None
    shorter = dataclasses.replace(task.training, epochs=min(task.training.epochs, task.training.warm_epochs))
    base = examples_io.network_at(os.path.join(folder, NETWORK_FILE))
    return dataclasses.replace(task, training=shorter), base


def fit_network(task: Task, train: Rows, base: keras.Model | None = None) -> tuple[keras.Model, dict[str, Any]]:
    """The settings' network, fitted to the labels of `train` by the Huber loss, and its figures; `base` as in `fit`."""
    keras.utils.set_random_seed(task.training.seed)
    crosses, embeddings = task.crosses, task.model.embeddings
    source = columns.RAW if task.feature_set == "raw" else columns.NUMERIC
    if model.looks_all_up(task.feature_set, embeddings):
        source = columns.BRIEF
    cardinalities = columns.cardinalities(
        *((crosses.n_cells, crosses.n_zones) if task.feature_set == "full" else (crosses.n_buckets,))
    )
    width = task.train.columns[source].shape[1]
    network = model.build_network(task.model.hidden, embeddings, cardinalities, width=width, source=source)
    delta = task.training.huber_delta
    figures = _fit(network, source, train, task, huber_delta=delta, base=base)
    model.centre_embeddings(network, {cross: task.train.columns[cross] for cross in embeddings}, crosses.min_rows)
    return network, {**figures, "eval_rmse": fitting.rmse_of(network, task.evaluation)()}


def _fit(network: keras.Model, source: str, train: Rows, task: Task, **options: Any) -> dict[str, Any]:
    """`fitting.fit` of a network on `source`, whose own numbers have mean 0 and variance 1 meanwhile if it is `raw`.

    Raw coordinates and hours are small; a count of thousands beside them makes the network's units die.
    """
    if source != columns.RAW or not task.n_own_numbers:
        return fitting.fit(network, train, task.evaluation, task.training, **options)
    values = task.train.columns[source].astype(np.float64)
    is_own = np.arange(values.shape[1]) >= values.shape[1] - task.n_own_numbers
    mean = np.where(is_own, values.mean(axis=0), 0.0)
    scale = np.where(is_own & (values.std(axis=0) > 0), values.std(axis=0), 1.0)
    train, evaluation = (
        dataclasses.replace(rows, columns={**rows.columns, source: ((rows.columns[source] - mean) / scale).astype("f")})
        for rows in (train, task.evaluation)
    )
    figures = fitting.fit(network, train, evaluation, task.training, **options)
    first = network.get_layer("hidden_0")
    kernel, bias = first.get_weights()
    kernel = kernel / scale[:, None]
    first.set_weights([kernel, bias - mean @ kernel])
    return figures


def best_on_eval(squared: Mapping[str, npt.NDArray[np.float64]]) -> tuple[str, dict[str, float]]:
    """The first candidate's name, or the best one's if its eval RMSE is clearly lower; and the eval RMSE of all.

    squared: the squared error of each eval row by candidate, shape (n,). Clearly: by 0.5 %, and by two standard errors
    of the mean of the rows' differences.
    """
    errors = {name: float(np.sqrt(each.mean())) for name, each in squared.items()}
    first, best = next(iter(errors)), min(errors, key=lambda name: errors[name])
    gains = squared[first] - squared[best]
    is_clear = gains.mean() > STANDARD_ERRORS * gains.std() / math.sqrt(len(gains))
    return (best if is_clear and errors[best] < CLEARLY_BETTER * errors[first] else first), errors


def fit_lesson(task: Task, transform_graph: str, geography: features.Geography) -> Lesson | None:
    """A teacher's lesson; None if the settings want none, or if train is too small for a teacher."""
    train, settings = task.train, task.training
    if task.feature_set != "full" or not (settings.teacher_weight or settings.pseudo_trips):
        return None
    teacher = boosting.fit_teacher(train, settings.huber_delta, settings.seed)
    if teacher is None:
        return None
    n_pseudo_trips = round(settings.pseudo_trips * len(train))
    if not n_pseudo_trips:
        return Lesson(train.columns, teacher.out_of_fold, np.empty(0))
    layer = tft.TFTransformOutput(transform_graph).transform_features_layer()
    raw = pseudo_trips(train.columns[columns.RAW], n_pseudo_trips, settings.seed, extra.width(geography.extras))
    pseudo = transform(raw, layer, geography, list(train.columns))
    both = {name: np.concatenate([values, pseudo[name]]) for name, values in train.columns.items()}
    return Lesson(both, teacher.out_of_fold, teacher.predict(pseudo))


def soft_targets(task: Task, lesson: Lesson | None) -> Rows:
    """Train's rows; with a lesson, their fares softened by the teacher, and the pseudo-trips that it labels."""
    train = task.train
    if lesson is None:
        return train
    softened = train.labels + task.training.teacher_weight * (lesson.out_of_fold - train.labels)
    return Rows(lesson.columns, np.concatenate([softened, lesson.pseudo_trip_fares]), train.batch_size)


def fit_yardsticks(task: Task) -> tuple[dict[str, keras.Model], Any, dict[str, Any]]:
    """The models to beat: two DNNs and LightGBM, fitted to the fares by mean squared error; and their figures."""
    networks, figures = {}, {}
    shapes = (
        (RAW_DNN, columns.RAW, model.HIDDEN["raw"]),
        (NO_EMBEDDING_DNN, columns.NUMERIC, model.HIDDEN["course"]),
    )
    for name, source, hidden in shapes:
        keras.utils.set_random_seed(task.training.seed)
        width = task.train.columns[source].shape[1]
        networks[name] = model.build_network(hidden, {}, {}, width=width, source=source, name=name)
        figures[name] = _fit(networks[name], source, task.train, task)
    booster, figures["lightgbm"] = boosting.fit_yardstick(task.train, task.evaluation, task.training.seed)
    return networks, booster, figures


def run_fn(fn_args: Any) -> None:
    """Writes `network.keras` into the model artifact; the yardsticks and `training.json` into model_run.

    Tuner's values, if it ran, replace the settings, and `training.json` lists them. With a base model the network
    starts from its weights and takes fewer epochs; the yardsticks do not. A network with a teacher has a rival, the
    engineered DNN without embeddings: if fares follow a smooth law with little noise, trees teach badly, and the eval
    RMSE decides.
    """
    tuned = tuned_values(fn_args.hyperparameters)
    untuned = read_task(fn_args, fn_args.custom_config)
    task = with_values(untuned, tuned)
    geography = preprocessing.geography_of(fn_args.custom_config)
    networks, booster, yardstick_figures = fit_yardsticks(untuned)  # tuning does not move the models to beat
    lesson = fit_lesson(task, fn_args.transform_graph_path, geography)
    task, base = warm_started(task, fn_args.base_model)
    candidates = {"network": fit_network(task, soft_targets(task, lesson), base)}
    if lesson:
        candidates[NO_EMBEDDING_DNN] = networks[NO_EMBEDDING_DNN], yardstick_figures[NO_EMBEDDING_DNN]
    chosen, tried = best_on_eval(
        {name: fitting.squared_errors(network, task.evaluation) for name, (network, _) in candidates.items()}
    )
    network, network_figures = candidates[chosen]
    figures = {
        "network": network_figures,
        "chosen": chosen,
        "tried": tried,
        "teacher": {"out_of_fold_rmse": rmse(lesson.out_of_fold, task.train.labels)} if lesson else {},
        "tuned": tuned or None,
        **yardstick_figures,
    }
    logging.info("Trainer: %s", figures)

    for folder in (fn_args.serving_model_dir, fn_args.model_run_dir):
        tf.io.gfile.makedirs(folder)
    network.save(os.path.join(fn_args.serving_model_dir, NETWORK_FILE))
    for name, yardstick in networks.items():
        yardstick.save(os.path.join(fn_args.model_run_dir, f"{name}.keras"))
    for file, text in ((LIGHTGBM_FILE, booster.model_to_string()), (FIGURES_FILE, json.dumps(figures, indent=2))):
        with tf.io.gfile.GFile(os.path.join(fn_args.model_run_dir, file), "w") as handle:
            handle.write(text)
