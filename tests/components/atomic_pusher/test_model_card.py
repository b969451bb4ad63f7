"""The model card: keys that the toolkit's schema has, figures of the judgement, and no slice of few trips."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from throwaway import throwaway_python

from farebox.components.atomic_pusher import push, versions
from farebox.components.atomic_pusher.card_words import CardWords
from farebox.components.atomic_pusher.manifest import describe
from farebox.components.atomic_pusher.model_card import as_json, as_markdown, model_card
from farebox.components.tflite.description import Description, TensorDescription
from farebox.components.tflite.metadata import described
from farebox.modules.card_words import CARD_WORDS

TEXTS = {"description": str}
# Keys and types of model_card.schema.json v0.0.2 in PyPI's model-card-toolkit 2.0.0, as far as a card has them.
SCHEMA = {
    "schema_version": str,
    "model_details": {
        "name": str, "overview": str, "documentation": str, "owners": [{"name": str, "contact": str}],
        "version": {"name": str, "date": str, "diff": str},
    },
    "model_parameters": {
        "model_architecture": str,
        "data": [{"name": str, "description": str, "sensitive": {"sensitive_data": [str]}}],
        "input_format_map": [{"key": str, "value": str}],
        "output_format": str,
    },
    "quantitative_analysis": {
        "performance_metrics": [
            {"type": str, "value": str, "slice": str, "confidence_interval": {"lower_bound": str, "upper_bound": str}}
        ]
    },
    "considerations": {
        "users": [TEXTS], "use_cases": [TEXTS], "limitations": [TEXTS], "tradeoffs": [TEXTS],
        "ethical_considerations": [{"name": str, "mitigation_strategy": str}],
    },
}  # fmt: skip
SLICE = {
    "slice": "airport=o|hare",
    "rows": 120,
    "rmse": 6.8432,
    "mae": 3.0,
    "bias": -1.08,
    "p95_absolute_error": 10.5,
    "intervals": {"rmse": [5.0, 9.123]},
}
JUDGEMENT = {
    "rows": 1482,
    "metrics": {"rmse": 3.7407, "coverage": 0.8792, "range_width": None},
    "intervals": {"rmse": [2.8736, 4.6055]},
    "slices": [SLICE, {**SLICE, "slice": "pickup_hour=4", "rows": 9, "rmse": 77.0}],
}
GRID = {"west": 0.0, "east": 2.0, "south": 0.0, "north": 1.0, "columns": 2, "rows": 1}
DENSITY = {"min_trips": 10, "grid": GRID, "pickups": [[0], [10]], "dropoffs": [[0, 1], [10, 20]]}


def follows(content, schema) -> bool:
    if isinstance(schema, list):
        return isinstance(content, list) and all(follows(each, schema[0]) for each in content)
    if isinstance(schema, dict):
        return isinstance(content, dict) and all(
            key in schema and follows(content[key], schema[key]) for key in content
        )
    return isinstance(content, schema)


@pytest.fixture(scope="module")
def content(fare_tflite) -> bytes:
    longitude = TensorDescription("pickup_longitude", "longitude, WGS84", "degrees", minimum=-80, maximum=-70)
    facts = {"days": ["2013-01-01", "2016-12-30"]}
    return described(
        fare_tflite,
        Description("toytown", inputs=(longitude,), output=TensorDescription("fare", "fare", "EUR"), facts=facts),
    )


@pytest.fixture
def card(content):
    manifest = describe(content, "toytown", {"spans": [3, 5]})
    words = CardWords(**CARD_WORDS)
    return model_card(manifest, JUDGEMENT, DENSITY, contact="fares@example.org", min_rows=10, words=words)


def test_the_card_has_keys_of_the_schema_and_no_others(card):
    assert follows(json.loads(as_json(card)), SCHEMA)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", card["model_details"]["version"]["date"]), "format: date"


@pytest.mark.slow
def test_the_toolkit_s_own_schema_accepts_the_card(card, tmp_path):
    """The schema in the wheel of model-card-toolkit 2.0.0, installed without what it needs: only its file is read."""
    jsonschema = pytest.importorskip("jsonschema")
    python = throwaway_python(tmp_path / "venv", "--no-deps", "model-card-toolkit==2.0.0")
    (file,) = python.parents[1].glob("lib/python3*/site-packages/model_card_toolkit/schema/v0.0.2/*.schema.json")
    schema = json.loads(file.read_text())
    validator = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
    assert list(validator.iter_errors(json.loads(as_json(card)))) == []
    assert list(validator.iter_errors({**card, "score": 1})), "the schema allows no other keys on top"
    assert list(validator.iter_errors({**card, "model_details": {"owners": "us"}}))


def test_figures_and_intervals_are_those_of_the_judgement(card):
    overall, coverage, *slices = card["quantitative_analysis"]["performance_metrics"]
    assert overall == {
        "type": "RMSE in EUR", "value": "3.74", "confidence_interval": {"lower_bound": "2.87", "upper_bound": "4.61"},
    }  # fmt: skip
    assert coverage == {"type": "share of fares in their range", "value": "0.879"}
    assert slices[0]["confidence_interval"] == {"lower_bound": "5", "upper_bound": "9.12"}
    assert [(each["type"], each["value"], each["slice"]) for each in slices] == [
        ("RMSE in EUR", "6.84", "airport=o|hare (120 trips)"),
        ("mean error, prediction minus fare in EUR", "-1.08", "airport=o|hare (120 trips)"),
    ]


def test_a_slice_of_few_trips_is_left_out_everywhere(card):
    assert "pickup_hour=4" not in json.dumps(card) and "77" not in as_markdown(card).decode()


def test_a_reader_learns_scope_data_limits_and_whom_to_ask(card):
    text = as_markdown(card).decode()
    for words in (
        "# Fare model of toytown", "Contact: fares@example.org", "2013-01-01 to 2016-12-30, spans 3, 5",
        "Out of scope: places outside -80 to -70 (longitude, WGS84)", "1,482 trips that nothing was fitted to",
        "at least 10 trips of training begin in 1 and end in 2 of the 2 cells",
        "| airport=o\\|hare (120 trips) | 6.84 | 5 to 9.12 |",
        "Largest RMSE by slice in EUR: airport=o|hare 6.84 (120 trips)",
    ):  # fmt: skip
        assert words in text, words


def test_what_is_not_known_is_said(content):
    card = model_card(describe(content, "toytown", {}), {}, None, contact=None, min_rows=10)
    text = as_markdown(card).decode()
    assert follows(card, SCHEMA) and "owners" not in card["model_details"]
    assert "Contact: not given: push.contact" in text
    assert "Where the model has seen few trips is not published with this version" in text


@pytest.mark.slow
def test_a_push_writes_the_card_and_the_manifest_names_its_bytes(run_pusher, content, tmp_path):
    base = tmp_path / "models" / "toytown"
    judgement = {**JUDGEMENT, "sha256": hashlib.sha256(content).hexdigest()}
    run_pusher(content, base, judgement=json.dumps(judgement), contact="fares@example.org")
    folder = push.latest(base)
    assert (folder / "fare.tflite").read_bytes() == content
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, key in (("model_card.json", "model_card_sha256"), ("model_card.md", "model_card_text_sha256")):
        assert manifest[key] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert "fares@example.org" in (folder / "model_card.md").read_text()
    (folder / "model_card.md").write_text("# The best model\n")
    assert versions.verify(folder)[1][0].startswith(f"{folder}: model_card.md: sha256=")


def test_a_card_that_cannot_be_written_warns_and_the_model_is_pushed(run_pusher, tmp_path):
    """The judgement of these bytes has a slice without its number of rows, which no ModelGate writes."""
    from farebox.components.reporter.executor import checks_of_push

    base, sha = tmp_path / "models" / "toytown", hashlib.sha256(b"a model").hexdigest()
    judgement = json.dumps({"sha256": sha, "metrics": {}, "slices": [{"slice": "pickup_hour=8"}]})
    pushed = run_pusher(b"a model", base, judgement=judgement)
    assert pushed.get_int_custom_property("pushed") == 1 and not (push.latest(base) / "model_card.md").exists()
    (check,) = checks_of_push(pushed)
    assert (check.name, check.refuses, check.ok) == ("model_card", False, False)
    assert check.detail == "KeyError: 'rows'"


def test_without_words_a_card_knows_no_taxi(content, card):
    """Its columns and trips are those of the file and of the ingest."""
    plain = model_card(describe(content, "toytown", {}), JUDGEMENT, DENSITY, contact=None, min_rows=10)
    texts = [json.dumps(each["considerations"] | each["model_details"]) for each in (plain, card)]
    found = [set(re.findall(r"(?i)taxi|fares?|passenger|meter|deliver", text)) for text in texts]
    assert found[0] == set() and {"taxi", "fare", "passenger", "meter", "deliver"} <= found[1]
    assert "A prediction on the device" in texts[0] and "{city}" not in texts[0]


def test_slices_stand_in_their_order_and_intervals_within_what_is_possible(content):
    """An interval by a jackknife is symmetric: of few trips it can end below 0 and above 100 %."""
    slices = [
        {**SLICE, "slice": f"pickup_hour={hour}", "coverage": 0.9, "bias": -0.5,
         "intervals": {"rmse": [-1.26, 10.3], "coverage": [0.77, 1.03], "bias": [-2.0, 1.0]}}
        for hour in (10, 9)
    ]  # fmt: skip
    made = model_card(describe(content, "toytown", {}), {**JUDGEMENT, "slices": slices}, None, contact=None, min_rows=1)
    found = [each for each in made["quantitative_analysis"]["performance_metrics"] if "slice" in each]
    assert [each["slice"].partition(" ")[0] for each in found[::3]] == ["pickup_hour=9", "pickup_hour=10"]
    assert [tuple(each["confidence_interval"].values()) for each in found[:3]] == [
        ("0", "10.3"), ("-2", "1"), ("0.77", "1"),
    ]  # fmt: skip
