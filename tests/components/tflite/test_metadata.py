"""A file that explains itself: our writer and reader, and the public reader of TensorFlow Lite Support."""

from __future__ import annotations

import contextlib
import json
import site
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.interpreter import TfliteModel, schema
from farebox.components.tflite.metadata import described, description_of, encoded
from farebox.components.tflite.slim import slim

READER = ("tflite-support==0.4.4", "libusb-package")  # the first links to libusb, which the second carries
LONGITUDE, LATITUDE = {"meaning": "longitude, WGS84", "unit": "degrees"}, {"meaning": "latitude", "unit": "degrees"}
INPUTS = (
    TensorDescription("pickup_longitude", **LONGITUDE, minimum=-87.95, maximum=-87.52),
    TensorDescription("dropoff_longitude", **LONGITUDE, minimum=-87.95, maximum=-87.52),
    TensorDescription("pickup_latitude", **LATITUDE, maximum=42.03),
    TensorDescription("pickup_weekday", "Monday 0 to Sunday 6, é", minimum=0, maximum=6),
    TensorDescription("pickup_hour", unit="h"),
)
FULL = Description(
    "chicago", "Fares. Float32 only.", "0.1.0+abc", INPUTS, TensorDescription("", "fare", "USD", minimum=2.25),
    {"days": ["2013-01-01", "2016-12-31"], "bands": [[5, 1.5], [10, 2]], "é": None},
)  # fmt: skip


@pytest.fixture(scope="module")
def thin(fare_tflite) -> bytes:
    return slim(fare_tflite)


def test_what_was_written_is_read_in_the_files_order_with_the_files_types(thin):
    """Bounds are float32 in the file and come back as the decimals that were given; a name alone stays one."""
    read, names = description_of(described(thin, FULL)), TfliteModel(thin).input_names
    assert tuple(each.name for each in read.inputs) == names and len(names) == 7
    known = {each.name: each for each in INPUTS}
    for each in read.inputs:
        dtype = "int64" if each.name in ("passenger_count", "pickup_hour", "pickup_weekday") else "float32"
        given = known.get(each.name, TensorDescription(each.name))
        assert each == TensorDescription(**{**vars(given), "dtype": dtype})
    assert (read.output.meaning, read.output.unit, read.output.minimum, read.output.maximum) == (
        "fare", "USD", 2.25, None,
    )  # fmt: skip
    assert read.output.dtype == "float32"
    assert (read.name, read.description, read.version, dict(read.facts)) == (
        FULL.name, FULL.description, FULL.version, dict(FULL.facts),
    )  # fmt: skip


def test_the_fares_stay_and_the_metadata_cost_what_they_hold(thin, trip_rows):
    """Names of inputs stand in the flatbuffer and nowhere else: the tensors point there. That saves more than an entry,
    its name and a buffer take."""
    content = described(thin, FULL)
    np.testing.assert_array_equal(TfliteModel(content).predict(trip_rows), TfliteModel(thin).predict(trip_rows))
    size = len(encoded(FULL, description_of(content).inputs, "fare"))
    assert size - 120 < len(content) - len(thin) < size
    assert content.count(b"pickup_longitude") == 1
    assert described(content, FULL) == content, "the same description again takes the place of the first"
    assert slim(content) == thin


def test_equal_texts_and_bounds_are_written_once():
    pair = [TensorDescription(name, "a long text about places", minimum=0, maximum=1) for name in ("x", "y")]
    one, two = (len(encoded(Description(), pair[:n], "z")) for n in (1, 2))
    assert two - one <= 4 + 16 + 8, "an offset, a table and a name"


def test_a_file_without_metadata_tells_names_and_types(thin):
    read = description_of(thin)
    assert [each.name for each in read.inputs] == list(TfliteModel(thin).input_names)
    assert {each.dtype for each in read.inputs} == {"float32", "int64"} and read.output.dtype == "float32"
    assert (read.name, read.version, dict(read.facts), read.inputs[0].meaning) == ("", "", {}, "")
    manifest = read.as_json()
    assert manifest["facts"] == {} and manifest["inputs"][0] == {
        "name": read.inputs[0].name, "dtype": read.inputs[0].dtype,
    }  # fmt: skip


def test_bounds_of_quantized_inputs_are_the_numbers_that_they_stand_for():
    """An int8 longitude is no whole number."""
    import tensorflow as tf

    @tf.function(input_signature=[{"x": tf.TensorSpec((None, 1), tf.float32, "x")}])
    def serve(columns):
        return {"y": columns["x"] * 2.0}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ({"x": np.float32([[x]])} for x in (-1.0, 1.0))
    converter.inference_input_type = tf.int8
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    given = Description(inputs=(TensorDescription("x", minimum=-87.95, maximum=1),))
    (read,) = description_of(described(converter.convert(), given)).inputs
    assert (read.dtype, read.minimum, read.maximum) == ("int8", -87.95, 1)


def test_an_input_that_the_file_lacks_is_refused(thin):
    with pytest.raises(ValueError, match="^description.inputs=colour must be inputs of the file, got .*pickup_hour"):
        described(thin, Description(inputs=(TensorDescription("colour"),)))


def test_metadata_of_another_kind_are_refused(thin):
    content = described(thin, FULL)
    with pytest.raises(ValueError, match="^TFLITE_METADATA must begin with M001, got b'M002'$"):
        description_of(content.replace(b"M001", b"M002"))


def test_damaged_bytes_raise_a_value_error_or_are_read(thin):
    """Offsets, types and lengths that point elsewhere: readers catch ValueError and struct.error only."""
    content = described(thin, FULL)
    for place in range(8, len(content), 12):
        for damage in (b"\xff\xff\xff\xff", b"\1\0\0\0", b"\x63"):
            with contextlib.suppress(ValueError):
                description_of(content[:place] + damage + content[place + len(damage) :])


def test_json_carries_a_description():
    assert Description.from_json(FULL.to_json()) == FULL
    more = FULL.with_facts(bands=[[1, 2]])
    assert (more.facts["bands"], more.facts["days"]) == ([[1, 2]], FULL.facts["days"])
    for text in ("[]", '{"inputs": []}', '{"inputs": [{"nam": "x"}], "output": {"name": ""}}'):
        with pytest.raises(ValueError, match="^description must be JSON of a Description, got "):
            Description.from_json(text)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"meaning": "a [b]"}, r"description.x.meaning=a \[b\] must have no brackets: they hold the unit"),
        ({"minimum": 2, "maximum": 1}, "description.x: minimum=2 must be at most 1"),
    ],
)
def test_what_could_not_be_read_back_is_refused(fields, line):
    with pytest.raises(ValueError, match=f"^{line}$"):
        TensorDescription("x", **fields)


READ = """
import ctypes, glob, json, sys
for file in glob.glob(sys.argv[1] + "/libusb_package/*.so*"):
    ctypes.CDLL(file, mode=ctypes.RTLD_GLOBAL)
from tensorflow_lite_support.metadata import metadata_schema_py_generated as fields
from tensorflow_lite_support.metadata.cc.python import _pywrap_metadata_version
from tensorflow_lite_support.metadata.python.metadata import MetadataDisplayer

displayer = MetadataDisplayer.with_model_file(sys.argv[2])
buffer = bytes(displayer.get_metadata_buffer())
model = fields.ModelMetadata.GetRootAsModelMetadata(buffer, 0)
print(json.dumps({
    "shown": json.loads(displayer.get_metadata_json()),
    "parser": _pywrap_metadata_version.GetMinimumMetadataParserVersion(buffer),
    "facts": json.loads(model.SubgraphMetadata(0).Description()),
}))
"""


@pytest.fixture(scope="module")
def reader_python(tmp_path_factory) -> Path:
    """The Python of an environment with the public reader, which the lock does not have."""
    folder = tmp_path_factory.mktemp("reader")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
    python, (packages,) = folder / "bin" / "python", folder.glob("lib/*/site-packages")
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", *READER]
    ended = subprocess.run(install, capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.skip(f"{' and '.join(READER)} cannot be installed here: {ended.stderr.strip().splitlines()[-1:]}")
    (packages / "numpy-and-flatbuffers.pth").write_text("\n".join(site.getsitepackages()))
    return python


@pytest.mark.slow
def test_the_public_reader_reads_the_same(thin, reader_python, tmp_path):
    content = described(thin, FULL)
    (tmp_path / "fare.tflite").write_bytes(content)
    (packages,) = reader_python.parents[1].glob("lib/*/site-packages")
    ended = subprocess.run(
        [str(reader_python), "-c", READ, str(packages), str(tmp_path / "fare.tflite")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    read, ours = json.loads(ended.stdout), description_of(content)
    shown = read["shown"]
    assert read["facts"] == dict(FULL.facts)
    assert read["parser"] == shown["min_parser_version"] == "1.0.0"
    assert (shown["name"], shown["description"], shown["version"]) == (FULL.name, FULL.description, FULL.version)
    (subgraph,) = shown["subgraph_metadata"]
    tensors = [*subgraph["input_tensor_metadata"], *subgraph["output_tensor_metadata"]]
    for tensor, mine in zip(tensors, (*ours.inputs, ours.output), strict=True):
        assert (tensor["name"], tensor.get("description", "")) == (mine.name, mine.text)
        for key, bound in (("min", mine.minimum), ("max", mine.maximum)):
            stored = tensor.get("stats", {}).get(key, [])
            assert [np.float32(value) for value in stored] == pytest.approx([bound] if bound is not None else [])


def test_only_one_entry_of_this_name_stands_in_the_file(thin):
    content = described(described(thin, Description("other")), FULL)
    model = schema().Model.GetRootAs(content, 0)
    assert [model.Metadata(i).Name() for i in range(model.MetadataLength())] == [b"TFLITE_METADATA"]
    assert description_of(content).name == "chicago" and b"other" not in content
