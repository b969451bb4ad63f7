"""The explorer's page in Chromium: fares of the shipped bytes, of exported JavaScript and of an older version."""

from __future__ import annotations

import json
import re
import warnings

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.pipeline.commands.explorer.site import explorer_files
from farebox.pipeline.fare_model import FareModel

pytestmark = pytest.mark.slow

TRIP = {
    "pickup_longitude": -74.5, "pickup_latitude": 40.75, "dropoff_longitude": -73.25, "dropoff_latitude": 41.5,
    "passenger_count": 2, "pickup_hour": 8, "pickup_weekday": 2,
}  # fmt: skip
LITERT_FAULT = (
    "LiteRT.js 2.5.3 cannot be loaded from vendor/ beside this page; write the page again: `make explorer`, then "
    "`farebox explore` ("
)
VALUE = "Number(document.querySelector('[name=%s]').value)"


def fragment(trip=TRIP, date: str = "") -> str:
    ends = {end: f"{trip[f'{end}_longitude']},{trip[f'{end}_latitude']}" for end in ("pickup", "dropoff")}
    rest = {name: value for name, value in trip.items() if "itude" not in name} | ({"date": date} if date else {})
    return "#" + "&".join(f"{name}={value}" for name, value in (ends | rest).items())


@pytest.fixture(scope="module")
def files(models):
    return explorer_files(models)


def test_every_way_to_compute_gives_the_golden_rows(page, serve, files):
    page.open(serve(files))
    page.run("document.querySelector('#check').click()")
    page.until("document.querySelector('#checked').textContent.includes('JavaScript')")
    shown = re.findall(r"(\d+) golden rows, ([^:]*): largest difference (\S+) EUR", page.text("#checked"))
    assert [(rows, title) for rows, title, _ in shown] == [
        ("200", "the file, LiteRT.js 2.5.3"), ("200", "exported JavaScript"),
    ]  # fmt: skip
    assert all(float(difference) < 1e-4 for _, _, difference in shown)


def test_the_page_shows_what_predict_says_and_an_older_version_beside_it(page, serve, files, models):
    page.open(serve(files) + fragment())
    model = FareModel.load(models)
    fare, low, high = model.predict_range(TRIP)
    assert page.text("#fare").split("\n")[0] == (
        f"{fare:.2f} EUR {low:.2f} to {high:.2f} EUR, 9 of 10 trips; by the shipped bytes"
    )
    cells = page.run("[...document.querySelectorAll('#engines tr')].map(r => [...r.children].map(c => c.textContent))")
    assert [float(row[1]) for row in cells] == pytest.approx([fare, fare, fare - 5, fare - 5], abs=1e-4)
    assert [float(row[3].replace(",", "")) > 0 for row in cells] == [True] * 4
    assert "(older)" not in cells[1][0] and "(older)" in cells[2][0]


@pytest.mark.parametrize(
    ("change", "date"),
    [
        ({"dropoff_longitude": -95.5}, ""), ({"pickup_hour": 24}, ""), ({"passenger_count": 0}, ""),
        ({"pickup_longitude": 41, "pickup_latitude": -74}, ""),
        ({}, "2012-12-31"), ({}, "2031-05-02"), ({}, "2016-07-04"),
    ],
)  # fmt: skip
def test_the_page_refuses_and_warns_in_the_words_of_predict(page, serve, files, models, change, date):
    trip = TRIP | change
    page.open(serve(files) + fragment(trip, date))
    dated = trip | ({"pickup_time": np.datetime64(f"{date}T08:00")} if date else {})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            FareModel.load(models).predict(
                {name: value for name, value in dated.items() if not date or "weekday" not in name}
            )
            said = [str(each.message) for each in caught]
        except InputError as error:
            said = [str(error)]
    notes = [line for line in page.text("#notes").splitlines() if line and "in this cell" not in line]
    assert notes == said if caught or not said else said[0] in notes, "predict names the first fault, the page all"
    assert ("No fare" in page.text("#fare")) == bool(said and not caught)


def test_a_click_and_the_arrow_keys_move_the_ends(page, serve, files):
    """Cells are one degree wide and half a degree high."""
    page.open(serve(files) + fragment())
    before = page.text("#fare")
    page.run("document.querySelector('#map').scrollIntoView({block: 'center'})")
    box = page.run("(b => [b.x, b.y, b.width, b.height])(document.querySelector('canvas').getBoundingClientRect())")
    page.click(box[0] + box[2] * 0.25, box[1] + box[3] * 0.5)
    page.until(
        f"Math.abs({VALUE % 'dropoff_longitude'} + 77.5) < 0.03 && Math.abs({VALUE % 'dropoff_latitude'} - 41) < 0.03"
    )
    page.run("document.querySelector('#map').focus()")
    for key in ("ArrowRight", "ArrowDown", "p", "ArrowLeft"):
        page.press(key)
    page.until(
        f"Math.abs({VALUE % 'dropoff_longitude'} + 76.5) < 0.03 && Math.abs({VALUE % 'dropoff_latitude'} - 40.5) < 0.03"
    )
    page.until(f"{VALUE % 'pickup_longitude'} === -75.5 && location.hash.includes('pickup=-75.5')")
    assert page.text("#fare") != before, "a pickup one degree further west costs 0.10 more"


def test_the_surface_is_the_fare_of_a_drop_off_in_each_cell(page, serve, files):
    """The toy's fare does not depend on the drop-off: one colour, and a place without counted trips is named."""
    page.open(serve(files) + fragment())
    colours = page.run(
        "(c => new Set(Array.from({length: 8}, (_, i) => c.getContext('2d').getImageData("
        "c.width * (i + 0.5) / 10, c.height / 8, 1, 1).data.join())).size)(document.querySelector('canvas'))"
    )
    assert colours <= 2, "one step of the legend, and perhaps a square of trips"
    assert page.run("document.querySelectorAll('#legend div').length") == 1
    assert "Fewer than 10 trips of training end in this cell" in page.text("#notes")


def test_a_zone_by_id_or_name_sets_the_end_and_an_unknown_one_gives_no_fare(page, serve, files):
    site = json.loads(files["site.json"]) | {"places": {"230": [-73.5, 40.25, "Times Sq"], "132": [-72.5, 41.75, ""]}}
    page.open(serve({**files, "site.json": json.dumps(site).encode()}) + fragment())
    name = "document.querySelector('[name=pickup_location]')"
    enter = "(f => {{ f.value = '{}'; f.dispatchEvent(new Event('input', {{bubbles: true}})); }})({})"
    for text, longitude in (("times sq", -73.5), ("132", -72.5)):
        page.run(enter.format(text, name))
        page.until(f"{VALUE % 'pickup_longitude'} === {longitude} && location.hash.includes('pickup={longitude}')")
    page.run(enter.format("nowhere", name))
    page.until("document.querySelector('#fare').textContent === 'No fare'")
    said = "pickup_location=nowhere must be the id or name of one of the model's 2 places"
    assert page.text("#notes").splitlines()[0] == said
    assert page.run("[...document.querySelectorAll('#engines td')].map(e => e.textContent)") == [said] * 4


def test_a_damaged_file_is_named_on_the_page_and_the_rest_still_works(page, serve, files):
    name = next(path for path in files if path.endswith("fare.tflite"))
    damaged = {**files, name: files[name][:-100] + bytes(100)}
    page.open(serve(damaged) + fragment())
    assert re.match(
        r"fare.tflite of \w{12} is not the pushed file: its SHA-256 is \w{64}, must be \w{64}", page.text("#fault")
    )
    assert "by the exported JavaScript" in page.text("#fare")


@pytest.mark.parametrize("missing", [r"internal\.wasm", r"core\.js", r"model\.mjs", r"site\.json"])
def test_a_missing_file_is_named_on_the_page(page, serve, files, missing):
    page.open(serve({path: each for path, each in files.items() if not re.search(missing, path)}) + fragment())
    page.until("document.querySelector('#fault').textContent")
    expected = {
        r"internal\.wasm": LITERT_FAULT, r"core\.js": LITERT_FAULT,
        r"model\.mjs": "model.mjs of ", r"site\.json": "site.json cannot be read: the server answers 404",
    }  # fmt: skip
    assert page.text("#fault").startswith(expected[missing])
    if missing != r"site\.json":
        page.until("document.querySelector('#fare').textContent.includes('EUR')")


def test_the_page_fits_a_phone(page, serve, files):
    page.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
    page.open(serve(files) + fragment())
    assert page.run("document.documentElement.scrollWidth") == 390
    page.call("Emulation.clearDeviceMetricsOverride")
