"""A folder of invented trips that come in spans: a folder per day, each complete."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.profile import CityProfile
from farebox.components.trip_example_gen.simulation.simulator import Order, Track, Written, simulate, written_aside

PATTERN, MARKER = "{YYYY}-{MM}-{DD}", "_SUCCESS"


def simulate_spans(profile: CityProfile, order: Order, out: str, track: Track = iter) -> Written:
    """Writes a folder `out` with a span per day of the order, YYYY-MM-DD/trips.csv and the marker `_SUCCESS`.

    The order's rows are spread evenly over the days. The folder is written aside and renamed when it is complete.

    Raises InputError: `out` exists or cannot be written, there are fewer rows than days, or a trip of the profile
    cannot be simulated.
    """
    first = order.first_day(profile)
    if order.rows < order.days:
        raise InputError(f"rows={order.rows} must be at least one a day, got {order.days} days")
    with written_aside(out) as whole:
        days = [_write_day(whole, profile, order, first, day) for day in track(range(order.days))]
    return Written(order.rows, sum(each.dirt for each in days), sum(each.n_bytes for each in days))


def _write_day(whole: Path, profile: CityProfile, order: Order, first: datetime.date, day: int) -> Written:
    date = str(first + datetime.timedelta(days=day))
    rows = order.rows // order.days + (day < order.rows % order.days)
    of_the_day = dataclasses.replace(order, rows=rows, seed=order.seed * order.days + day, since=date, days=1)
    written = simulate(profile, of_the_day, str(whole / date / "trips.csv"))
    (whole / date / MARKER).touch()
    return written
