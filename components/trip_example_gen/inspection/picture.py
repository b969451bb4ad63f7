"""A picture of the trips that a draft reads: where, when and for how much."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.columns import (
    FARE,
    PICKUP_HOUR,
    PICKUP_LATITUDE,
    PICKUP_LONGITUDE,
    PICKUP_WEEKDAY,
)

BAR, DOT, LINE = "#33638d", "#33638d", "#c2500a"
MOST_DOTS, FARE_BINS, SHOWN_FARES = 5000, 40, 0.995
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def draw(path: str, trips: pa.RecordBatch, city: Mapping[str, Any], title: str) -> None:
    """Writes a .png with pickups in the box, trips by hour and weekday, and fares. Raises InputError.

    city: the section of the draft, with box and currency.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not path.lower().endswith(".png"):
        raise InputError(f"picture={path} must end in .png")
    figure = Figure(figsize=(10, 8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    figure.suptitle(title)
    values = {name: trips.column(name).to_numpy() for name in trips.schema.names}
    _map(axes[0, 0], values, city.get("box"))
    _bars(axes[0, 1], values[PICKUP_HOUR], range(24), "trips by hour of the pickup", "hour, as read")
    axes[0, 1].set_xticks(range(0, 24, 3))
    _fares(axes[1, 0], values[FARE], str(city.get("currency", "")))
    _bars(axes[1, 1], values[PICKUP_WEEKDAY], range(7), "trips by weekday of the pickup", "weekday, as read")
    axes[1, 1].set_xticks(range(7), WEEKDAYS)
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise InputError(f"picture={path} cannot be written: {error.strerror or error}") from error


def _map(axes: Any, values: Mapping[str, npt.NDArray[Any]], box: Mapping[str, float] | None) -> None:
    longitude, latitude = values[PICKUP_LONGITUDE], values[PICKUP_LATITUDE]
    step = max(1, len(longitude) // MOST_DOTS)
    axes.plot(longitude[::step], latitude[::step], ".", markersize=2, alpha=0.4, color=DOT)
    axes.set(title="pickups, and the box", xlabel="longitude, degrees", ylabel="latitude, degrees")
    if box:
        west, east, south, north = (box[side] for side in ("west", "east", "south", "north"))
        axes.plot([west, east, east, west, west], [south, south, north, north, south], color=LINE, linewidth=1)
        axes.set_aspect(1 / np.cos(np.radians((south + north) / 2)))
    axes.ticklabel_format(useOffset=False)
    axes.locator_params(axis="x", nbins=5)


def _bars(axes: Any, values: npt.NDArray[Any], kinds: range, title: str, label: str) -> None:
    axes.bar(kinds, np.bincount(values.astype(int), minlength=len(kinds))[: len(kinds)], color=BAR)
    axes.set(title=title, xlabel=label, ylabel="trips")


def _fares(axes: Any, fares: npt.NDArray[Any], currency: str) -> None:
    most = np.quantile(fares, SHOWN_FARES)
    axes.hist(fares[fares <= most], bins=FARE_BINS, color=BAR)
    n_more = np.count_nonzero(fares > most)
    axes.set(title=f"fares; {n_more} larger ones are not shown", xlabel=f"fare, {currency}", ylabel="trips")


def title_of(paths: tuple[str, ...], n_trips: int) -> str:
    """`trips.csv: 9,970 sampled trips`."""
    more = f" and {len(paths) - 1} more" * (len(paths) > 1)
    return f"{Path(paths[0]).name}{more}: {n_trips:,} sampled trips"
