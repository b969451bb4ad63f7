"""The list of all settings: complete, described, and equal to docs/settings.md."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from farebox.components.pruner.settings import PrunerSettings
from farebox.pipeline.commands.settings import page, text
from farebox.pipeline.settings.load import Settings, SettingsError, load_settings
from farebox.pipeline.settings.reference import SettingEntry, descriptions, sections

ROOT = Path(__file__).parents[3]
ENTRIES = {entry.key: entry for section in sections() for entry in section.entries}
REFUSED = {
    "at least 1": 0,
    "at least 0": -1,
    "at least 0 and finite": -1,
    "above 0 and finite": 0,
    "between 0 and 1": 2,
}


def test_the_page_of_the_documentation_is_this_list():
    assert (ROOT / "docs" / "settings.md").read_text() == page(sections()) + "\n", "farebox settings --markdown"


def test_sections_have_the_order_of_settings():
    names = [field.name for field in dataclasses.fields(Settings)]
    assert [section.name for section in sections()[1:]] == [
        name for name in names if name not in ("data", "schema", "out", "features")
    ]
    assert [entry.key for entry in sections()[0].entries] == ["schema", "features"]


@pytest.mark.parametrize("key", ENTRIES)
def test_every_setting_is_described_in_a_sentence(key):
    assert ENTRIES[key].description[-1:] == "." and len(ENTRIES[key].description) > 10


def test_every_key_of_a_section_is_listed():
    keys = {f"pruner.{field.name}" for field in dataclasses.fields(PrunerSettings)}
    assert keys == {key for key in ENTRIES if key.startswith("pruner.")} and len(keys) > 15


@pytest.mark.parametrize(
    "entry",
    [
        SettingEntry("gates.slices.max_p95", "number or null", "null", "above 0 and finite", ""),
        SettingEntry("pruner.block_size", "list of 2 integers", "[1, 1]", "", ""),
        SettingEntry("data_gate.thresholds", "mapping of names to numbers or null", "{}", "each: between 0 and 1", ""),
        SettingEntry("spans.drift", "true or false", "true", "", ""),
        SettingEntry(
            "quantizer.max_rmse_increase", "number or text", "0.2%", "a number or a percentage such as 0.2%", ""
        ),
        SettingEntry("city.name", "text", "required", "", ""),
        SettingEntry("cluster.nodes.NAME.accelerators", "integer", "1", "at least 1", ""),
    ],
    ids=lambda entry: entry.key,
)
def test_an_entry(entry):
    assert dataclasses.replace(ENTRIES[entry.key], description="") == entry


@pytest.mark.parametrize(
    "key", [key for key, entry in ENTRIES.items() if entry.bounds in REFUSED and "NAME" not in key]
)
def test_the_listed_bound_is_the_one_that_is_checked(key):
    with pytest.raises(SettingsError, match=f"{key}=.* must be {ENTRIES[key].bounds}"):
        load_settings("chicago", overrides={key: REFUSED[ENTRIES[key].bounds]})


def test_the_listed_defaults_are_accepted():
    """Also proves that a mapping of overrides works for every key."""
    defaults = {
        key: yaml.safe_load(entry.default)
        for key, entry in ENTRIES.items()
        if not key.startswith("city.") and "NAME" not in key
    }
    changed, plain = load_settings("chicago", overrides=defaults), load_settings("chicago")
    own = {"schema": plain.schema, "gates": plain.gates}  # chicago's city file sets these two
    assert dataclasses.replace(changed, **own) == plain


def test_the_text_has_a_line_for_each_setting():
    lines = text(sections()).splitlines()
    assert [line.split()[0] for line in lines] == ["setting", *ENTRIES]
    assert next(line for line in lines if line.startswith("push.signing_key")).endswith("  text or null")


def test_descriptions_belong_to_the_field_above_them():
    assert descriptions(PrunerSettings)["rounds"].startswith("Rounds of the criteria other than `magnitude`;")
