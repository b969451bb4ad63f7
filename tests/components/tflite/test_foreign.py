"""Names, metadata and attached files, which an app reads, stay when its file becomes smaller."""

from __future__ import annotations

import io
import zipfile

import pytest

from farebox.components.tflite.description import Description
from farebox.components.tflite.foreign import slim_foreign
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.tflite.metadata import described, description_of


@pytest.fixture(scope="module")
def app_file() -> bytes:
    """A file with metadata and an archive of labels at its end, as tflite-support's MetadataPopulator writes them."""
    import numpy as np
    import tensorflow as tf

    kernel = tf.constant(np.ones((4, 3), np.float32))
    spec = [tf.TensorSpec([None, 4], tf.float32, "x")]
    function = tf.function(lambda x: tf.nn.relu(x @ kernel), input_signature=spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    file = io.BytesIO(described(bytes(converter.convert()), Description("flowers", "Three kinds.")))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("labels.txt", "rose\nlily\noak\n")
    return file.getvalue()


def test_names_metadata_and_associated_files_stay(app_file):
    from farebox.components.tflite.flatbuffer import opened

    small, has_look_ups = slim_foreign(app_file, app_file)
    assert len(small) < len(app_file) and not has_look_ups
    ends = [[graph.tensors[i].name for i in (*graph.inputs, *graph.outputs)]
            for graph in (opened(app_file).subgraphs[0], opened(small).subgraphs[0])]  # fmt: skip
    assert ends[0] == ends[1]
    assert description_of(small).name == "flowers"
    with zipfile.ZipFile(io.BytesIO(small)) as archive:
        assert archive.read("labels.txt") == b"rose\nlily\noak\n"
        first = archive.infolist()[0].header_offset
        assert archive.start_dir > first and small[first : first + 2] == b"PK", "offsets are those of the new file"
    assert TfliteModel(small).input_names == TfliteModel(app_file).input_names
