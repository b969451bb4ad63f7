"""The schema text: TFX can read it, and the shipped files agree with the shipped profiles.

`python tests/components/trip_example_gen/test_schema.py` writes the shipped files anew.
"""

import json
from pathlib import Path

import pytest
import yaml

from farebox.components.trip_example_gen.columns import EXAMPLE_COLUMNS
from farebox.components.trip_example_gen.profile import CityProfile, profile_from_json
from farebox.components.trip_example_gen.schema import schema_text

ROOT = Path(__file__).parents[3]
CITIES = ("chicago", "nyc")


def shipped(city: str) -> CityProfile:
    fields = yaml.safe_load((ROOT / "data" / city / "city.yaml").read_text())["city"]
    return profile_from_json(
        json.dumps({"passengers": {"min": 1, "max": 6}, "airports": {}, "landmarks": {}} | fields, default=str)
    )


@pytest.mark.parametrize("city", CITIES)
def test_shipped_schemas_agree_with_their_profiles(city: str) -> None:
    comment, _, schema = (ROOT / "data" / city / "schema.pbtxt").read_text().partition("\n")
    assert comment.startswith("# ")
    assert schema == schema_text(shipped(city))


def test_tfx_reads_one_value_of_each_column() -> None:
    import tensorflow as tf
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_transform.tf_metadata.schema_utils import schema_as_feature_spec

    schema = text_format.Parse(schema_text(shipped("nyc")), schema_pb2.Schema())
    spec = schema_as_feature_spec(schema).feature_spec
    assert set(spec) == set(EXAMPLE_COLUMNS)
    assert spec["fare"] == tf.io.FixedLenFeature([1], tf.float32)
    assert spec["pickup_hour"] == tf.io.FixedLenFeature([1], tf.int64)
    domains = {feature.name: feature for feature in schema.feature}
    assert domains["dropoff_latitude"].float_domain.max == pytest.approx(40.85)
    assert (domains["passenger_count"].int_domain.min, domains["passenger_count"].int_domain.max) == (1, 6)


if __name__ == "__main__":
    for name in CITIES:
        path = ROOT / "data" / name / "schema.pbtxt"
        header = path.read_text().partition("\n")[0]
        path.write_text(f"{header}\n{schema_text(shipped(name))}")
