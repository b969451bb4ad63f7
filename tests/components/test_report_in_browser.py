"""The page in headless Chromium: axe-core finds no violation, no label covers another, no page is wider than its
screen, and the keyboard reads a chart."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import report_page

from farebox.components.reporter.page.cities import CityRun, render_cities
from farebox.components.reporter.page.comparison import ComparisonPage, SliceDifference, render_comparison
from farebox.components.reporter.page.history import HistoryPage, HistoryRow, render_history
from farebox.components.reporter.page.render import render

AXE_FILE = Path(__file__).parents[2] / ".node/node_modules/axe-core/axe.min.js"
DARK = "--blink-settings=preferredColorScheme=0"
AXE = """axe.run().then(found => answer(found.violations.map(
  each => `${each.id}: ${each.help}: ${each.nodes[0].html.slice(0, 200)}`)))"""
OVERLAPS = """
const {contentDocument: page = document, clientWidth: screen = innerWidth} = document.querySelector("iframe") ?? {};
const found = [], width = page.documentElement.scrollWidth;
if (width > screen + 1) found.push(`the page is ${width} wide, the screen ${screen}`);
for (const chart of page.querySelectorAll(".chart svg")) {
  const name = chart.getAttribute("aria-label"), frame = chart.getBoundingClientRect();
  const texts = [...chart.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
  texts.forEach(([text, a], i) => {
    if (a.left < frame.left - 1 || a.right > frame.right + 1) found.push(`${name}: ${text} is cut`);
    for (const [other, b] of texts.slice(i + 1)) {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 2) found.push(`${name}: ${text} covers ${other}`);
    }
  });
}
answer(found)"""
KEYBOARD = """
const chart = [...document.querySelectorAll(".chart svg")].find(each => each.querySelector("[data-tip]"));
chart.focus();
const press = key => chart.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
const said = () => chart.parentElement.querySelector("output").textContent;
const heard = ["ArrowRight", "ArrowRight", "ArrowLeft"].map(key => { press(key); return said(); });
chart.blur();
answer([...heard, said(), [...chart.querySelectorAll("[data-tip]")].slice(0, 2).map(mark => mark.dataset.tip)])"""


def browser() -> str:
    """The browser's program; skips the test without one."""
    found = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
    return found or pytest.skip("chromium must be installed (Debian's package chromium)")


def axe() -> str:
    """The text of axe-core; skips the test without it."""
    return AXE_FILE.read_text() if AXE_FILE.is_file() else pytest.skip("needs axe-core from `make explorer`")


@pytest.fixture
def ask(tmp_path):
    """(page, script, flags) -> what the script answers when the page is loaded in Chromium."""

    def answer(page: str, script: str, *flags: str, library: str = ""):
        program = f"""{library}
function answer(value) {{
  const place = document.createElement("pre");
  place.id = "answer"; place.textContent = JSON.stringify(value); document.body.append(place);
}}
window.addEventListener("load", () => {{ {script} }});"""
        file = tmp_path / "page.html"
        file.write_text(page.replace("</body>", f"<script>{program}</script></body>"))
        command = [
            browser(), "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", *flags,
            f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"file://{file}",
        ]  # fmt: skip
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        found = re.search(r'<pre id="answer">(.*?)</pre>', ended.stdout, re.S)
        assert found, ended.stderr[-2000:]
        return json.loads(html.unescape(found[1]))

    return answer


def history() -> str:
    """The page of ten runs."""
    rows = [
        HistoryRow((f"run-{i}", "2026-01-02", *[""] * 6), 3.5 + i / 50, (3, 4), 10_000, f"{i}.html") for i in range(10)
    ]
    head = ("run", "day", "trips", "RMSE", "interval", "bytes", "outcome", "decision")
    return render_history(HistoryPage("lisbon", "EUR", head, tuple(rows)))


def comparison() -> str:
    """The page of two models, of 24 hours and two areas."""
    errors = {"rmse": 3.6, "mae": 1.7, "bias": 0.1, "coverage": 0.9}
    names = ["all trips", *(f"pickup_hour={hour}" for hour in range(24)), *(f"pickup_area=-8.{i},38.7" for i in (1, 2))]
    slices = [
        SliceDifference(name, 200, errors, errors, i / 10 - 1, i / 10 - 2, i / 10, ("A", "", "B")[i % 3])
        for i, name in enumerate(names)
    ]
    return render_comparison(ComparisonPage("lisbon", "EUR", ("a.tflite", "b.tflite"), "trips", tuple(slices)))


def cities() -> str:
    """The page of two cities."""
    runs = [CityRun(city, "EUR", "20260102-030405-006", report_page.page().figures) for city in ("lisbon", "porto")]
    return render_cities(*runs)


def pages() -> dict[str, str]:
    """A page of every kind."""
    kinds = {kind: render(report_page.page(kind)) for kind in ("shipped", "no model", "next")}
    return kinds | {"history": history(), "comparison": comparison(), "cities": cities()}


@pytest.mark.parametrize(
    ("kind", "flags"), [("shipped", ()), ("shipped", (DARK,)), ("no model", ()), ("history", ()), ("comparison", ())]
)
def test_axe_finds_no_violation(ask, kind, flags):
    assert ask(pages()[kind], AXE, "--window-size=1200,900", *flags, library=axe()) == []


def test_axe_finds_a_planted_fault(ask):
    page = pages()["no model"].replace("<main", '<img src="x.png"><main')
    assert [found.partition(":")[0] for found in ask(page, AXE, library=axe())] == ["image-alt", "region"]


@pytest.mark.parametrize("width", [1200, 500])
@pytest.mark.parametrize("kind", ["shipped", "history", "comparison", "cities"])
def test_no_label_covers_another(ask, kind, width):
    assert ask(pages()[kind], OVERLAPS, f"--window-size={width},900") == []


def test_the_page_fits_a_phone(ask):
    """Chromium's own windows are 500 pixels wide or more, so the page is in a frame of 390; all tables are open. A
    commit is the longest word on the page."""
    shown = report_page.page()
    dirty = dataclasses.replace(shown, facts=dataclasses.replace(shown.facts, commit=f"{'0123456789' * 4}-dirty"))
    content = html.escape(render(dirty).replace("<details>", "<details open>"), quote=True)
    page = f'<!doctype html><body><iframe width="390" height="3000" srcdoc="{content}"></iframe></body>'
    assert ask(page, OVERLAPS, "--window-size=600,3000") == []


def test_the_arrow_keys_read_a_chart(ask):
    first, second, back, after, (tip, following) = ask(pages()["shipped"], KEYBOARD)
    assert (first, second, back, after) == (tip, following, tip, "")
