"""A compiled spec's file: its parameters, checked before anything is sent, and the digest that knows a submission."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from farebox.components.errors import InputError
from farebox.pipeline.cluster import spec as specs


@pytest.mark.parametrize("version", ["2.0.0", "2.1.0"])
def test_values_given_replace_the_files_own_and_have_the_declared_types(spec_file, version):
    spec = specs.load(spec_file(version))
    values = specs.parameter_values(spec, ["rows=5", "budget=1", "span=007", "epochs=9"])
    assert values == {"epochs": 9, "budget": 1.0, "span": "007", "rows": 5}
    assert [type(values[name]) for name in ("epochs", "budget", "span")] == [int, float, str]


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["rows=5", "epoch=3"], "parameter epoch: .* has no such .*; it has: budget, epochs, rows, span"),
        (["rows=5", "epochs=2.5"], "parameter epochs=2.5 must be an integer"),
        (["rows=5", "epochs=true"], "parameter epochs=true must be an integer"),
        (["rows=5", "epochs="], "parameter epochs= must be an integer"),
        (["rows=5", "epochs=1e300"], "parameter epochs=1e300 must be an integer"),
        (["rows=5", f"epochs={10**300}"], "parameter epochs=10+ must be between -2.53 and 2.53: services pass numbers"),
        (["rows=5", "budget=much"], "parameter budget=much must be a number"),
        (["rows=5", "budget=NaN"], "parameter budget=NaN must be a number"),
        (["rows=5", "budget=Infinity"], "parameter budget=Infinity must be a number"),
        (["rows"], "parameter rows must read KEY=VALUE"),
        ([], "parameter rows=VALUE must be given"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_one_line(spec_file, assignments, message):
    with pytest.raises(InputError, match=f"^{message}"):
        specs.parameter_values(specs.load(spec_file()), assignments)


@pytest.mark.parametrize(
    ("kind", "text", "value"), [("LIST", "[1, 2]", [1, 2]), ("STRUCT", '{"a": 1}', {"a": 1}), ("BOOLEAN", "true", True)]
)
def test_structured_parameters_are_json(tmp_path, spec_file, kind, text, value):
    job = json.loads(Path(spec_file()).read_text())
    job["pipelineSpec"]["root"]["inputDefinitions"]["parameters"] = {"it": {"parameterType": kind}}
    job["runtimeConfig"].pop("parameterValues")
    (tmp_path / "job.json").write_text(json.dumps(job))
    spec = specs.load(str(tmp_path / "job.json"))
    assert specs.parameter_values(spec, [f"it={text}"]) == {"it": value}
    with pytest.raises(InputError, match="parameter it=3 must be"):
        specs.parameter_values(spec, ["it=3"])


def test_a_bare_pipeline_spec_in_yaml_will_do(tmp_path, spec_file):
    job = json.loads(Path(spec_file()).read_text())
    job["pipelineSpec"]["defaultPipelineRoot"] = "gs://other/root"
    (tmp_path / "bare.yaml").write_text(yaml.safe_dump(job["pipelineSpec"]))
    spec = specs.load(str(tmp_path / "bare.yaml"))
    assert (spec.name, spec.root, spec.commit) == ("farebox-toy", "gs://other/root", "abc1234")


@pytest.mark.parametrize("text", ["", "[]", "pipeline: 1", "{", '{"pipelineSpec": {"pipelineInfo": {"name": "x"}}}'])
def test_what_is_no_spec_is_one_line(tmp_path, text):
    (tmp_path / "not.json").write_text(text)
    with pytest.raises(InputError, match="spec=.*not.json must be a") as error:
        specs.load(str(tmp_path / "not.json"))
    assert "\n" not in str(error.value)


def test_the_digest_is_of_what_runs_and_not_of_the_order_of_keys(tmp_path, spec_file):
    spec = specs.load(spec_file())
    (tmp_path / "turned.json").write_text(json.dumps(dict(reversed(list(spec.job.items())))))
    turned = specs.load(str(tmp_path / "turned.json"))
    values = specs.parameter_values(spec, ["rows=5"])
    assert specs.submission_digest(spec, values, None) == specs.submission_digest(turned, values, None)
    others = [
        specs.submission_digest(spec, {**values, "rows": 6}, None),
        specs.submission_digest(spec, values, "2026-01-01"),
        specs.submission_digest(specs.load(spec_file(image="registry.example/farebox:def5678")), values, None),
    ]
    assert len({specs.submission_digest(spec, values, None), *others}) == 4


@pytest.mark.parametrize(
    ("image", "commit"),
    [
        ("registry.example:5000/farebox:abc1234", "abc1234"),
        ("registry.example:5000/farebox", None),
        ("farebox:abc1234@sha256:00", "abc1234"),
        ("farebox@sha256:00", None),
    ],
)
def test_the_commit_is_the_images_tag(spec_file, image, commit):
    assert specs.load(spec_file(image=image)).commit == commit


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "compiled pipeline, got nothing"),
        ("[1]", "compiled pipeline, got no mapping"),
        ("{}", "it lacks 'pipelineInfo'"),
    ],
)
def test_a_file_that_is_no_pipeline_is_one_line(tmp_path, text, complaint):
    (tmp_path / "spec.json").write_text(text)
    with pytest.raises(InputError, match=f"spec={tmp_path}/spec.json must be .*{complaint}"):
        specs.load(str(tmp_path / "spec.json"))
