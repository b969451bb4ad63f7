"""The run_fn of Trainer: reads transformed examples, fits the network that may ship and its yardsticks, saves them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from absl import logging
from tfx_bsl.public import tfxio

from farebox.modules import boosting, columns, features, fitting, model, preprocessing, rows
from farebox.modules.settings import CrossSettings, FeatureSet, ModelSettings, TrainingSettings

NETWORK_FILE = "network.keras"
FIGURES_FILE, LIGHTGBM_FILE = "training.json", "lightgbm.txt"
RAW_DNN, NO_EMBEDDING_DNN = "raw_dnn", "no_embedding_dnn"
CLEARLY_BETTER = 0.995  # of the distilled network's eval RMSE; what is closer may be chance
READ_ROWS, TRAIN_ROWS_PER_EVAL_ROW = 4096, 5  # of the most that are held
MANY_PLACES = 0.1  # of distinct pickups among the rows
OTHER_DROPOFF, OTHER_HOUR, SWAPPED = 0.3, 0.5, 0.15  # of the pseudo-trips


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be fitted: both splits in memory, and the settings from `custom_config`."""

    train: rows.Rows
    evaluation: rows.Rows
    feature_set: FeatureSet
    crosses: CrossSettings
    model: model.Architecture
    training: TrainingSettings


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What a teacher predicts, whatever its weight: for train's rows out of fold, shape (n,), and for pseudo-trips.

    columns: transformed features by name, of train's rows and then of the pseudo-trips.
    """

    columns: dict[str, np.ndarray]
    out_of_fold: np.ndarray
    of_pseudo_trips: np.ndarray


def read_task(fn_args: Any, config: Mapping[str, Any]) -> Task:
    """The task of a Trainer or a Tuner node."""
    settings = TrainingSettings(**config["training"])
    schema = tft.TFTransformOutput(fn_args.transform_graph_path).transformed_metadata.schema
    options = tfxio.TensorFlowDatasetOptions(READ_ROWS, label_key=columns.FARE, num_epochs=1, shuffle=False)
    dataset = tf.autograph.experimental.do_not_convert(fn_args.data_accessor.tf_dataset_factory)  # TFXIO needs none
    train, evaluation = (
        rows.read(dataset(files, options, schema), max_rows, settings.seed)
        for files, max_rows in (
            (fn_args.train_files, settings.max_rows),
            (fn_args.eval_files, max(settings.max_rows // TRAIN_ROWS_PER_EVAL_ROW, 1)),
        )
    )
    crosses = CrossSettings(**config["crosses"])
    by_data = {}
    if has_many_places(train):  # numbers alone tell a few centroids apart
        by_data = model.embeddings_by_data({cross: train.columns[cross] for cross in columns.CROSSES}, crosses.min_rows)
    chosen = model.resolved(ModelSettings(**config["model"]), config["features"], by_data)
    return Task(train, evaluation, config["features"], crosses, chosen, settings)


def chosen_values(hyperparameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings by the names that --set takes, from Tuner's HyperParameters config, where lists are JSON text."""
    values = hyperparameters["values"] if hyperparameters else {}
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in values.items()}


def with_values(task: Task, values: Mapping[str, Any]) -> Task:
    """The task with other values of `model.` and `training.` settings."""
    sections: dict[str, dict[str, Any]] = {"model": {}, "training": {}}
    for name, value in values.items():
        owner, _, key = name.partition(".")
        sections[owner][key] = value
    changed = {name: dataclasses.replace(getattr(task, name), **section) for name, section in sections.items()}
    return dataclasses.replace(task, **changed)


def has_many_places(train: rows.Rows) -> bool:
    """Whether trips start almost anywhere: among the pickups at least a tenth are distinct."""
    pickups = np.unique(train.columns[columns.RAW][:, :2], axis=0)
    return len(pickups) >= MANY_PLACES * len(train)


def pseudo_trips(raw: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n made-up trips, shape (n, width), of real ones (columns as `features.raw` orders them).

    Three in ten end where another trip ends, half start at another trip's hour and weekday, three in twenty go back.
    """
    random = np.random.default_rng(seed)
    made = raw[random.integers(len(raw), size=n)]
    for share, places in ((OTHER_DROPOFF, slice(2, 4)), (OTHER_HOUR, slice(5, 7))):
        changed = random.random(n) < share
        made[changed, places] = raw[random.integers(len(raw), size=int(changed.sum())), places]
    back = random.random(n) < SWAPPED
    made[back, :4] = made[back][:, [2, 3, 0, 1]]
    return made


def transformed(raw: np.ndarray, layer: Any, geography: features.Geography, names: list[str]) -> dict[str, np.ndarray]:
    """Transform's features of raw columns, in batches."""
    inputs = features.inputs_of(raw, geography)
    batches = [
        layer({name: tf.constant(values[start : start + READ_ROWS]) for name, values in inputs.items()})
        for start in range(0, len(raw), READ_ROWS)
    ]
    return {name: np.concatenate([batch[name].numpy() for batch in batches]) for name in names}


def begun(task: Task, folder: str | None) -> tuple[Task, keras.Model | None]:
    """The network in the folder of a model to begin with, and the task with fewer epochs; as it was without one."""
    if not folder:
        return task, None
    fewer = dataclasses.replace(task.training, epochs=min(task.training.epochs, task.training.warm_epochs))
    base = keras.models.load_model(os.path.join(folder, NETWORK_FILE), compile=False)
    return dataclasses.replace(task, training=fewer), base


def fit_network(
    task: Task, targets: tuple[dict[str, np.ndarray], np.ndarray], base: keras.Model | None = None
) -> tuple[keras.Model, dict[str, float]]:
    """A network as the settings say, fitted to the targets by the Huber loss, and its figures; `base` as in `fit`."""
    source = columns.RAW if task.feature_set == "raw" else columns.NUMERIC
    keras.utils.set_random_seed(task.training.seed)
    crosses, embeddings = task.crosses, task.model.embeddings
    cardinalities = columns.cardinalities(
        *((crosses.n_cells, crosses.n_zones) if task.feature_set == "full" else (crosses.n_buckets,))
    )
    width = task.train.columns[source].shape[1]
    network = model.build_network(task.model.hidden, embeddings, cardinalities, width, source)
    held = task.evaluation.columns, task.evaluation.fares
    figures = fitting.fit(network, targets, held, task.training, task.training.huber_delta, base)
    model.centre_embeddings(network, {cross: task.train.columns[cross] for cross in embeddings}, crosses.min_rows)
    return network, {**figures, "eval_rmse": fitting.rmse_of(network, *held)()}


def best_on_eval(candidates: dict[str, tuple[keras.Model, dict[str, float]]]) -> tuple[str, dict[str, float]]:
    """The first candidate's name, or that of one which eval finds clearly better; and the eval RMSE of all."""
    errors = {name: figures["eval_rmse"] for name, (_, figures) in candidates.items()}
    first, best = next(iter(errors)), min(errors, key=lambda name: errors[name])
    return (best if errors[best] < CLEARLY_BETTER * errors[first] else first), errors


def fit_lesson(task: Task, transform_graph: str, geography: features.Geography) -> Lesson | None:
    """A teacher's lesson; None where the settings want none, or train is too small for a teacher."""
    train, settings = task.train, task.training
    if task.feature_set != "full" or not (settings.teacher_weight or settings.pseudo_trips):
        return None
    teacher = boosting.fit_teacher(train, settings.huber_delta, settings.seed)
    if teacher is None:
        return None
    n_made = round(settings.pseudo_trips * len(train))
    if not n_made:
        return Lesson(train.columns, teacher.out_of_fold, np.empty(0))
    layer = tft.TFTransformOutput(transform_graph).transform_features_layer()
    made_up = pseudo_trips(train.columns[columns.RAW], n_made, settings.seed)
    made = transformed(made_up, layer, geography, list(train.columns))
    both = {name: np.concatenate([values, made[name]]) for name, values in train.columns.items()}
    return Lesson(both, teacher.out_of_fold, teacher.predict(made))


def soft_targets(task: Task, lesson: Lesson | None) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Train's columns and fares; with a lesson, fares softened by the teacher, and the pseudo-trips that it labels."""
    train = task.train
    if lesson is None:
        return train.columns, train.fares
    softened = train.fares + task.training.teacher_weight * (lesson.out_of_fold - train.fares)
    return lesson.columns, np.concatenate([softened, lesson.of_pseudo_trips])


def fit_yardsticks(task: Task) -> tuple[dict[str, keras.Model], Any, dict[str, Any]]:
    """What the network must beat: two DNNs and LightGBM, on the fares themselves by mean squared error."""
    networks, figures = {}, {}
    shapes = (
        (RAW_DNN, columns.RAW, model.HIDDEN["raw"]),
        (NO_EMBEDDING_DNN, columns.NUMERIC, model.HIDDEN["course"]),
    )
    for name, source, hidden in shapes:
        keras.utils.set_random_seed(task.training.seed)
        width = task.train.columns[source].shape[1]
        networks[name] = model.build_network(hidden, {}, {}, width, source, name)
        held = task.evaluation.columns, task.evaluation.fares
        figures[name] = fitting.fit(networks[name], (task.train.columns, task.train.fares), held, task.training)
    booster, figures["lightgbm"] = boosting.fit_yardstick(task.train, task.evaluation, task.training.seed)
    return networks, booster, figures


def run_fn(fn_args: Any) -> None:
    """Writes `network.keras` into the model artifact; the yardsticks and `training.json` into model_run.

    What Tuner chose, if it ran, goes before the settings, and is told in `training.json`. With a base model the network
    begins with its weights, and takes fewer epochs; the yardsticks do not. A network that a teacher
    taught has a rival, the engineered DNN without embeddings: where fares follow a smooth law with little noise, trees
    teach badly, and eval tells.
    """
    tuned = chosen_values(fn_args.hyperparameters)
    given = read_task(fn_args, fn_args.custom_config)
    task = with_values(given, tuned)
    geography = preprocessing.geography_of(fn_args.custom_config)
    networks, booster, of_yardsticks = fit_yardsticks(given)  # what is to be beaten does not move with the tuning
    lesson = fit_lesson(task, fn_args.transform_graph_path, geography)
    task, base = begun(task, fn_args.base_model)
    candidates = {"network": fit_network(task, soft_targets(task, lesson), base)}
    if lesson:
        candidates[NO_EMBEDDING_DNN] = networks[NO_EMBEDDING_DNN], of_yardsticks[NO_EMBEDDING_DNN]
    chosen, tried = best_on_eval(candidates)
    network, of_network = candidates[chosen]
    of_teacher = {"out_of_fold_rmse": rows.rmse(lesson.out_of_fold, task.train.fares)} if lesson else {}
    figures = {
        "network": of_network,
        "chosen": chosen,
        "tried": tried,
        "teacher": of_teacher,
        "tuned": tuned or None,
        **of_yardsticks,
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
