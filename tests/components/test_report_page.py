"""The page of a run: what it says, in which order, and that it needs neither a network nor scripts."""

from __future__ import annotations

import dataclasses
import html
import re
from html.parser import HTMLParser

import pytest
import report_page

from farebox.components.errors import Check, number
from farebox.components.model_gate.judgement import SliceErrors
from farebox.components.reporter import verdict, yardstick_words
from farebox.components.reporter.figures import Figures
from farebox.components.reporter.page import glossary, ladder_charts, top
from farebox.components.reporter.page.axis import Axis
from farebox.components.reporter.page.render import render

KINDS = ("shipped", "refused", "no model", "next")
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Outline(HTMLParser):
    """Headings, texts of paragraphs by class, and the tags that are open at each place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.headings: list[str] = []
        self.missing: list[str] = []
        self.ids: list[str] = []
        self.figures: list[set[str]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag not in VOID:
            self.stack.append(tag if attributes.get("class") != "missing" else "missing")
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag == "figure":
            self.figures.append(set())
        elif "figure" in self.stack:
            self.figures[-1].add(tag)

    def handle_endtag(self, tag):
        open_tag = self.stack.pop()
        assert open_tag in (tag, "missing"), f"{open_tag} is closed by {tag}"

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "h2":
            self.headings.append(data)
        if self.stack and self.stack[-1] == "missing":
            self.missing.append(data)


def written(page):
    """The page without the links to terms."""
    return report_page.without_term_links(render(page))


def text_of(page):
    """The page's text, with a bar for each tag."""
    return re.sub(r"<[^>]+>", "|", written(page))


def test_the_verdict_is_one_sentence():
    """3.6 / 4.0 is 10 % below the line, 3.6 / 3.75 is 4 % below LightGBM."""
    assert verdict.sentence(report_page.page().figures, "EUR") == (
        "Shipped. On unseen trips, half of all fares are off by at most 0.90 EUR; RMSE, where large "
        "errors count most, is 3.60 EUR (95 % interval 2.90 to 4.30); 10 % better than a straight line on "
        "distance (5 to 15 % better); no sure difference from LightGBM (2 % worse to 10 % better); no sure difference "
        "from a DNN without embeddings (2 % worse to 2 % better), the best yardstick; 10,064 bytes, 5.9 µs."
    )


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.85, 0.95, "5 to 15 % better"),
        (1.004, 1.02, "0.4 to 2 % worse"),
        (0.98, 1.01, "1 % worse to 2 % better: no sure difference"),
        (1.0, 1.01, "1 % worse to 0 %: no sure difference"),
    ],
)
def test_the_interval_of_a_ratio_in_words(low, high, text):
    assert yardstick_words.between_percents(low, high) == text


def test_a_yardstick_without_a_paired_interval():
    """As in the figures of runs before there were any: 3.6 / 3.75."""
    old = dataclasses.replace(report_page.measured(), yardstick_ratios={})
    assert yardstick_words.versus(old, "lightgbm") == "4 % better than LightGBM"
    same = dataclasses.replace(old, yardsticks={"lightgbm": 3.601})
    assert yardstick_words.versus(same, "lightgbm") == "as good as LightGBM"


def test_the_page_says_why_it_shipped():
    """Of seven gates, drift compared nothing."""
    assert verdict.why(report_page.page().figures) == (
        "No gate refused: all 6 hold; the closest is RMSE on unseen trips 3.6, bound 4: 90% of the bound used "
        "(max_rmse). 1 more had nothing to compare with."
    )


def test_a_value_beyond_its_bound_that_chance_may_explain():
    near = Check("max_bias", 0.04, 0.03, ok=True, lower=0.02, upper=0.06)
    assert verdict.closest_line((near,)) == (
        "mean error, as a share of the mean fare 0.04, bound 0.03: beyond the bound, but chance may explain it, "
        "interval 0.02 to 0.06 (max_bias)"
    )


def test_the_page_says_why_it_did_not_ship():
    why = verdict.why(report_page.page("refused").figures)
    assert why == "Refused by 1 of 7 gates: RMSE on unseen trips is 4.8, interval 4.2 to 5.4, allowed 4 (max_rmse)."
    assert html.escape(why) in written(report_page.page("refused"))
    warned = Check("drift", 0.4, 0.2, ok=False, severity="warn")
    figures = dataclasses.replace(report_page.page().figures, gates=(report_page.CLOSEST, warned))
    assert verdict.why(figures).startswith("No gate refused: 1 of 2 hold and 1 warn; the closest is ")
    assert verdict.why(dataclasses.replace(figures, gates=())) == "No gate compared anything."


def test_a_refused_model_names_its_gates_first():
    sentence = verdict.sentence(report_page.page("refused").figures, "EUR")
    assert sentence.startswith(
        "Not shipped. Refused: RMSE on unseen trips is 4.8, interval 4.2 to 5.4, allowed 4 (max_rmse). The model: "
    )


def test_the_page_says_what_it_was_trained_on():
    page = report_page.page()
    assert top.trained_on(page.figures, page.sections, page.about.split) == (
        "2,000 trips of 2025-01-01 to 2025-12-30, from trips.csv (2,040 rows, 40 rejected). 1,600 to fit the model "
        "(train), 200 to choose among candidates (eval), 200 to judge what ships (test); a hash of the whole row "
        "decides the part, 8:1:1 for train:eval:test, seed 0."
    )
    windowed = page.sections | {"origin": {"spans": "[[1, 0], [2, 0]]", "days": None}}
    text = top.trained_on(page.figures, windowed, page.about.split)
    assert "2,000 trips without times" in text
    assert text.endswith("; the newest of 2 spans judges and chooses, older ones train.")


def test_refused_data_give_no_model():
    assert verdict.sentence(report_page.page("no model").figures, "EUR") == (
        "Not shipped. The data were refused, so no model was trained: share of rows rejected is 0.4, allowed 0.2 "
        "(rejected_share)."
    )


def test_a_push_after_a_refusal_is_no_shipped_model():
    """A rolled-back version may leave a folder behind; a refusing gate decides."""
    figures = dataclasses.replace(report_page.page("refused").figures, pushed="models/lisbon/abc")
    assert not verdict.is_shipped(figures)


@pytest.mark.parametrize(
    ("check", "used"),
    [
        (Check("a", 3.0, 4.0, ok=True), 0.75),
        (Check("a", 2000, 1000, ok=True, at_least=True), 0.5),
        (Check("a", 0, 0, ok=True), None),
        (Check("a", 1, 1, ok=True), None),
        (Check("a", 5.0, None, ok=True), None),
        (Check("a", 0.0, 1000, ok=False, at_least=True), None),
        (Check("a", float("inf"), 4.0, ok=False), None),
    ],
)
def test_the_used_share_of_a_bound(check, used):
    assert verdict.used_share(check) == used


def test_failed_gates_come_first_then_the_closest():
    infinite = Check("not_finite", float("inf"), 0.0, ok=False)
    ranked = [margin.check for margin in verdict.margins((*report_page.GATES, infinite, report_page.REFUSING))]
    assert ranked[:3] == [report_page.REFUSING, infinite, report_page.CLOSEST]
    assert verdict.closest(report_page.GATES) is report_page.CLOSEST
    assert verdict.closest_line(report_page.GATES) == (
        "RMSE on unseen trips 3.6, bound 4: 90% of the bound used (max_rmse)"
    )


def test_no_gate_has_a_margin():
    assert verdict.closest_line((Check("anomalies", 0, 0, ok=True),)) == ""


def test_what_changed():
    assert "This is the first model" in verdict.changes(report_page.page().figures, "EUR")
    assert verdict.changes(report_page.page("next").figures, "EUR") == (
        "Against the last accepted model, on the same trips: RMSE 3.80 EUR before, 3.60 EUR now; MAE 1.80 EUR before, "
        "1.70 EUR now; RMSE changes by -0.2 (-0.3 to -0.1)."
    )
    noise = Check("max_rmse_increase", 0.008, 0.07, ok=True, lower=-0.012, upper=0.028)
    figures = dataclasses.replace(report_page.page("next").figures, gates=(noise,))
    assert verdict.changes(figures, "EUR").endswith("RMSE changes by +0.008 (-0.012 to +0.028: no sure difference).")
    assert "Settings since the run before: training.seed 1 (was the default)." in written(report_page.page("next"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_needs_no_network_and_is_small(kind):
    html = render(report_page.page(kind))
    assert len(html.encode()) < 3_000_000
    assert not re.search(r"https?://|src=|url\(|@import|<link|<iframe|fetch\(|XMLHttpRequest", html)


@pytest.mark.parametrize("kind", KINDS)
def test_sections_stand_in_the_readers_order(kind):
    outline = Outline(render(report_page.page(kind)))
    line = "The line from network to file"
    assert outline.headings == ["Gates", "Fares", "Models", line, "Device", "Data", "History", "Lineage", "Terms"]
    assert outline.stack == [] and len(outline.ids) == len(set(outline.ids))


def test_every_picture_stays_without_scripts():
    """Pictures and tables are in the HTML itself; each picture has a caption."""
    html = render(report_page.page())
    outline = Outline(html)
    assert len(outline.figures) == 22
    assert all({"figcaption", "svg"} <= tags for tags in outline.figures)
    caption = "lisbon · run 20260102-030405-006 · 2026-01-02"
    assert html.count(f"· {caption}</span></figcaption>") == len(outline.figures)


def constant(content, number):
    """The content with each measured number in it replaced; counts and shapes, which are integers, stay."""
    if isinstance(content, dict):
        return {name: constant(each, number) for name, each in content.items()}
    if isinstance(content, (list, tuple)):
        return [constant(each, number) for each in content]
    return float(number) if isinstance(content, float) else content


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("section", report_page.sections())
def test_equal_numbers_have_pictures_too(section, number):
    """Nothing is pruned, one epoch, one distance, one fare: no scale is without a length."""
    page = report_page.page()
    sections = page.sections | {section: constant(page.sections[section], number)}
    assert len(Outline(render(dataclasses.replace(page, sections=sections))).figures) > 15


def test_the_page_says_where_the_model_errs_most():
    """Slices of 90 trips are too small to tell."""
    few, airport = (
        report_page.measured(),
        SliceErrors("airport=ohare", 120, 6.7, 3.0, -1.0, 9.0, intervals={"rmse": (3, 10)}),
    )
    assert top.where_bad(few, "EUR") == top.where_bad(None, "EUR") == ""
    hour = SliceErrors("pickup_weekday=6", 100, 5.0, 2.0, 0.0, 9.0, intervals={"rmse": (-1, 11)})
    some = dataclasses.replace(
        few, slices=(*few.slices, hour, airport, SliceErrors("airport=none", 100, 4.0, 2.0, 0.0, 9.0))
    )
    assert top.where_bad(some, "EUR") == (
        "By RMSE, of slices with at least 100 trips: airport ohare 6.70 EUR (3.00 to 10.00; 120 trips), weekday of "
        "pickup Sunday 5.00 EUR (0.00 to 11.00; 100 trips), no airport 4.00 EUR (–; 100 trips). See Fares."
    )


def test_what_the_file_costs_and_where_it_runs():
    text = text_of(report_page.page())
    for row in (
        "one fare, median (p50)||5.9 µs||half of the",
        "memory of one fare||7000 KiB||1.00 x the reference",
        "measured on||AMD EPYC, x86_64, 2 cores||",
        "CompiledModel||1.4.0||runs||0||–||–",
        "tflite-micro||not installed||not tried||–||–||–",
    ):
        assert row in text, row


def test_how_to_repeat_the_run():
    page = report_page.page()
    text = text_of(page)
    for row in (
        "1. the code||git checkout 0123456789ab &amp;&amp; make setup|",
        "2. Python||3.10.13, lane A: TFX 1.16, Python 3.10|",
        "3. the trips||data/trips.csv, fingerprint split:single,num_files:1|",
        "4. the command||farebox run --city lisbon|",
        "seeds||split.seed 0, training.seed 17|",
        "gates.max_rmse||4.5||9.0|",
    ):
        assert row in text, row
    assert "not committed" not in text
    dirty = dataclasses.replace(page, facts=dataclasses.replace(page.facts, commit="0123456789ab-dirty"))
    assert "Warning: the code of this run had changes that are not committed. Commit 0123456789ab" in text_of(dirty)


def test_what_a_section_lacks_is_said():
    html = written(report_page.page("no model"))
    assert "Trips, none trained on" in html and "Trained on" not in html
    missing = " ".join(Outline(html).missing)
    for text in ("No model was trained", "were not counted", "No statistics", "Drift was not compared"):
        assert text in missing
    assert "no baseline yet" in written(report_page.page())
    assert "Drift by feature" in written(report_page.page("next"))


def test_each_link_of_a_term_leads_to_what_it_means():
    """A term is linked once in a section; a text that looks like markup stays text."""
    outline, html = Outline(render(report_page.page())), render(report_page.page())
    links = re.findall(r'<a class="term" href="#([\w-]+)">', html)
    assert set(links) <= set(outline.ids) and {"term-rmse", "term-lane", "term-accepted-model"} <= set(links)
    assert links.count("term-gate") > 1, "once in each section"
    for part in html.split("<section ")[1:]:
        found = re.findall(r'<a class="term" href="#([\w-]+)">', part)
        assert len(found) == len(set(found))
    link = glossary.Linker()
    assert link("RMSE <b> of a slice, RMSE") == (
        '<a class="term" href="#term-rmse">RMSE</a> &lt;b&gt; of a <a class="term" href="#term-slice">slice</a>, RMSE'
    )
    assert link("unlabelled, max_rmse, gates.rows") == "unlabelled, max_rmse, gates.rows"


def test_text_of_the_data_is_no_markup():
    page = report_page.page()
    page = dataclasses.replace(page, about=dataclasses.replace(page.about, city="<b>x</b>", currency='"&'))
    html = render(page)
    assert "<b>x</b>" not in html and "&lt;b&gt;x&lt;/b&gt;" in html


def test_a_page_of_a_run_before_intervals_were_kept():
    figures = report_page.page().figures
    old = dataclasses.replace(figures.measured, median_absolute_error=None, latency_us=None, ranges=None, intervals={})
    page = dataclasses.replace(report_page.page(), figures=dataclasses.replace(figures, measured=old))
    assert "RMSE, where large errors count most, is 3.60 EUR; " in written(page)


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis("", 0, 10), [0, 2, 4, 6, 8, 10]),
        (Axis("", 0.05, 0.31), [0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
        (Axis("", 3, 60, is_log=True), [5, 10, 20, 50]),
        (Axis.of("", "abcdefgh"), [0, 2, 4, 6]),
    ],
)
def test_ticks_are_round(axis, ticks):
    assert [value for value, _ in axis.ticks()] == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("value", "text"),
    [(14495.0, "14,495"), (3.14159, "3.142"), (0.0000076, "0.000008"), (None, "–"), (0.5, "0.5"), (-1e-9, "0")],
)
def test_numbers_as_people_write_them(value, text):
    assert number(value) == text


def test_a_run_without_any_gate_says_so():
    figures = Figures(None, (), blessed=False, pushed=None)
    html = written(dataclasses.replace(report_page.page("no model"), figures=figures))
    assert "No gate measured a margin" in html


def test_a_label_covers_no_dot_and_no_label():
    """Five dots within a few pixels: each label stands beside them."""
    dots, taken = [(300.0, 100.0), (300.0, 104.0), (303.0, 98.0), (297.0, 101.0), (306.0, 103.0)], []
    for dot in dots:
        taken.append(ladder_charts.free_place(*dot, taken, dots))
    assert len(set(taken)) == 5
    for x, y in taken:
        assert all(abs(x - a) > 5 or b < y - 15 or b > y + 5 for a, b in dots), (x, y)
