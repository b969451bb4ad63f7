"""What the report's pictures say where numbers are alike, missing, or beyond the picture."""

from __future__ import annotations

import dataclasses
import itertools
import re

import pytest
import report_page

from farebox.components.reporter.page import comparison, data_charts, fare_charts, gates, ladder_charts, line_charts


def ramp(*reached):
    return [{"step": step, "target": 0.5, "reached": each} for step, each in enumerate(reached)]


def test_ramps_that_coincide_are_one_line():
    """The second differs by 0.01 only, the third by 0.1, the fourth has fewer steps."""
    steps = {"a": ramp(0.1, 0.5), "b": ramp(0.11, 0.5), "c": ramp(0.2, 0.5), "d": ramp(0.1)}
    assert line_charts.alike(steps) == [["a", "b"], ["c"], ["d"]]
    figure = line_charts.ramp(steps, "half holds")
    assert figure.legend == (("a", "a, b (one line)"), ("b", "c"), ("c", "d"), ("ideal", "target"))
    assert figure.svg.count("<polyline") == 4 and len(figure.table.rows) == 4
    assert "as float16, not of the file" in figure.note


def test_the_line_shows_the_network_that_shipped():
    """Quantizer may choose a candidate that is not reduced, and pruned although Pruner prefers none."""
    sections = report_page.sections()
    sections["ladder"]["network"] = "25% pruned"
    sections["pruning"] |= {"steps": {}, "why": "skipped, as none holds"}
    blocks = line_charts.section(sections, "EUR").blocks
    texts = [block.text for block in blocks if block.kind == "note"]
    assert (
        "The chosen file is of the 25% pruned network, which is not reduced; these pictures show what was tried."
        in texts
    )
    assert "The chosen file is of the 25% pruned network: Quantizer chooses among all candidates of Pruner." in texts
    assert "Mask of hidden_0" in [block.title for block in blocks if block.kind == "figure"]
    sections["pruning"] |= {"masks": {}}
    unpruned = line_charts.section(sections, "EUR").blocks
    assert any(block.kind == "note" and block.text.endswith("none of its weights is pruned.") for block in unpruned)
    assert [line_charts.is_reduced(name) for name in ("k=8, 50% pruned", "reduced", "unreduced", "50% pruned")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_hours_that_are_left_out_are_gaps():
    """Hour 5 of 14 hours is missing: its place stays empty, and its label is there."""
    names = [str(hour) for hour in range(14) if hour != 5]
    rows = [{"rmse": 2.0, "lower": 1.0, "upper": 3.0, "rows": 40, "mae": 1.0, "bias": 0.0, "coverage": 0.9}] * 13
    figure = fare_charts.errors_figure("Error by hour", names, rows, "EUR", "hour")
    lefts = [float(x) for x in re.findall(r'<rect class="a" x="([\d.]+)"', figure.svg)]
    steps = [right - left for left, right in itertools.pairwise(lefts)]
    assert steps[4] == pytest.approx(2 * steps[3], rel=0.02) and steps[5] == pytest.approx(steps[3], rel=0.02)
    assert fare_charts.without_gaps(["Monday", "Friday"]) == ["Monday", "Friday"]


@pytest.mark.parametrize(
    ("edges", "reach", "names", "note"),
    [
        ([0, 2, 4], [0, 4], ["0 to 2", "2 to 4"], ""),
        ([0, 2, 4], [0, 9], ["0 to 2", "2 or more"], "Of the outermost bins, the last holds all above, up to 9."),
        ([0, 2, 4], [-1, 4], ["under 2", "2 to 4"], "Of the outermost bins, the first holds all below, from -1."),
        (
            [0.5, 1.5, 2.5],
            [1, 4],
            ["1", "2 or more"],
            "Counted by hundredths of the rows: each share is right within 1 %. "
            "Of the outermost bins, the last holds all above, up to 4.",
        ),
    ],
)
def test_the_outermost_bins_say_that_they_hold_the_tails(edges, reach, names, note):
    figure = data_charts.histogram("fare", {"edges": edges, "reach": reach, "shares": {"train": [0.5, 0.5]}}, "EUR")
    assert ([row[0] for row in figure.table.rows], figure.note, figure.table.head[0]) == (names, note, "fare, EUR")


def test_whole_numbers_have_a_tick_each():
    """Era 0 and 1: no tick at 0.5."""
    content = {"edges": [-0.5, 0.5, 1.5], "reach": [0, 1], "shares": {"train": [0.9, 0.1], "test": [0.8, 0.2]}}
    figure = data_charts.histogram("pickup_era", content, "EUR")
    assert re.findall(r'text-anchor="middle">([^<]+)</text>', figure.svg) == ["0", "1", "pickup era", "% of rows"]
    (first, _) = re.findall(r'<rect class="a pale" x="([\d.]+)"[^>]* width="([\d.]+)"', figure.svg)
    line = re.search(r'<polyline class="line b" points="([\d.]+),', figure.svg)
    assert first[0] == line[1]


def test_the_time_of_pickup_is_a_day():
    feature = {"name": "pickup_epoch", "std": 864_000.0, "min": 1_357_006_500.0, "median": -86_400.0}
    assert [data_charts.moment(feature, key) for key in ("std", "min", "median", "max")] == [
        "10 days", "2013-01-01", "1969-12-31", "–",
    ]  # fmt: skip
    table = data_charts.numbers({"features": [{**feature, "present": 9, "missing": 0}], "rows": {"train": 9}})
    assert table.is_number == (False, *[True] * 7)


@pytest.mark.parametrize(
    "content",
    [
        {"values": ["1"], "shares": {"train": [1.0], "test": [1.0]}},
        {"edges": [0.5, 1.5], "reach": [1, 1], "shares": {"train": [1.0], "test": [1.0]}},
    ],
)
def test_a_feature_that_never_varies_has_a_sentence(content):
    note = data_charts.histogram("passenger_count", content, "EUR")
    assert note.text == "Histogram of passenger count: none, because it is 1 in all rows of train and test."
    three = {**content, "shares": {**content["shares"], "last accepted model": [1.0]}}
    assert data_charts.histogram("n", three, "EUR").text.endswith("in all rows of train, test and last accepted model.")
    assert data_charts.only_value({"values": ["1"], "shares": {"train": [1.0], "test": [0.9]}}) == ""


@pytest.mark.parametrize(
    ("rungs", "why"),
    [
        (("float32", "float16"), "this run tried none of those (tried: float32, float16)."),
        (("float32", "int8"), "int8 held or was too far off (tried: float32, int8)."),
    ],
)
def test_why_the_harm_of_int8_was_not_measured(rungs, why):
    assert ladder_charts.sensitivity([], [{"rung": rung} for rung in rungs]).text.endswith(why)


def test_the_colours_of_the_gates_have_a_legend():
    """RMSE uses 90 % of its bound: the only bar of the second colour."""
    (bars, *_) = gates.section(report_page.GATES).blocks
    styles = re.findall(r'<rect class="(fine|near|bad)"', "".join(row[1] for row in bars.rows))
    assert styles.count("near") == 1 and {"fine", "near"} == set(styles) < {style for style, _ in bars.legend}
    refused = gates.section((report_page.REFUSING,)).blocks[0]
    assert '<rect class="bad"' in refused.rows[0][1]


def test_loadings_name_the_features_that_matter_most(monkeypatch):
    """The second feature correlates least, so that a picture of three rows leaves it out."""
    facts = {"features": ["east_km", "weekend", "north_km", "log_km"], "loadings": [[0.5, 0.1, -0.9, 0.3]]}
    assert all(f">{name}</text>" in line_charts.loadings(facts, "pca").svg for name in facts["features"])
    monkeypatch.setattr(line_charts, "MOST_FEATURES", 3)
    figure = line_charts.loadings(facts, "pca")
    assert re.findall(r">(\w+_km|weekend)</text>", figure.svg) == ["log_km", "north_km", "east_km"]
    assert "component 1, north_km: -0.90" in figure.svg and "Drawn are the 3 of 4 features" in figure.note


def test_a_comparison_on_trips_of_training_claims_nothing_of_new_ones():
    errors = {"rmse": 3.6, "mae": 1.7, "bias": 0.1, "coverage": 0.9}
    whole = comparison.SliceDifference("all trips", 200, errors, errors, -0.1, -0.2, -0.05, "B")
    page = comparison.ComparisonPage("lisbon", "EUR", ("a", "b"), "trips", (whole,), trained_share=0.81)
    assert comparison.sentence(page).startswith("On these trips B is better: RMSE 3.60 EUR of A")
    assert "fitted to about 81% of them, so this says little of trips to come" in comparison.sentence(page)
    unseen = dataclasses.replace(page, trained_share=None)
    assert comparison.sentence(unseen).startswith("B is better: RMSE") and "fitted" not in comparison.sentence(unseen)


@pytest.mark.parametrize(
    ("shape", "runs", "sides", "path"),
    [
        ((2, 4), [[1, 1, 3]], "2 inputs down, 4 outputs; coloured: kept", "M9.0 13.5h27.0"),
        ((144, 1), [[143, 0, 1]], "144 inputs across, 1 output; coloured: kept", "M478.3 0.0v3.3"),
    ],
)
def test_the_longer_side_of_a_mask_lies_across(shape, runs, sides, path):
    """A table of 144 ids was a column of one square each, higher than the screen."""
    figure = line_charts.mask_figure("table", {"shape": shape, "runs": runs, "kept": 0.25})
    assert figure.unit == sides and f'd="{path}"' in figure.svg
    assert float(re.search(r'height="([\d.]+)"', figure.svg)[1]) < 40
