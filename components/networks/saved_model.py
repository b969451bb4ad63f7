"""A functional network from a SavedModel that Keras wrote."""

from __future__ import annotations

import json
import os

import tensorflow as tf
import tf_keras as keras

from farebox.components.errors import InputError

NETWORK_FILE = "network.keras"
LAYERS_FILE = "keras_metadata.pb"  # that `model.save` writes, and `tf.saved_model.save` does not


def network_of_saved_model(folder: str) -> keras.Model:
    """The network that `model.save` wrote: its layers and weights, without functions and what else is attached to it.

    Raises InputError if the folder has no layers: `tf.saved_model.save` keeps operators alone.

    Keras' own loader gives up on a network that carries the transform's layer, as those of TFX's templates do.
    """
    from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata

    metadata = os.path.join(folder, LAYERS_FILE)
    if not tf.io.gfile.exists(metadata):
        raise InputError(
            f"{folder} must have {NETWORK_FILE} or {LAYERS_FILE}: tf.saved_model.save keeps no layers; "
            f"let run_fn call model.save(os.path.join(fn_args.serving_model_dir, '{NETWORK_FILE}')), too"
        )
    with tf.io.gfile.GFile(metadata, "rb") as file:
        nodes = SavedMetadata.FromString(file.read()).nodes
    root = json.loads(
        nodes[0].metadata,
        object_hook=lambda value: tuple(value["items"]) if value.get("class_name") == "__tuple__" else value,
    )
    config = root["config"]
    if root["class_name"] != "Functional":
        raise InputError(f"{folder} must be of a functional network, got {root['class_name']}")
    config["layers"] = [
        each for each in config["layers"] if each["inbound_nodes"] or each["class_name"] == "InputLayer"
    ]
    network = keras.Model.from_config(config)
    network.load_weights(os.path.join(folder, "variables", "variables")).assert_existing_objects_matched()
    return network
