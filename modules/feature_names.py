"""Names of the columns of the network's numeric input, in the order in which `features` computes them. No TensorFlow
here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from farebox.modules.columns import (
    BRIEF,
    COORDINATES,
    CYCLE_PERIOD,
    FLAGS,
    MODEL_INPUTS,
    NUMERIC,
    PLAIN_INPUTS,
    RAW,
)
from farebox.modules.settings import FeatureSet

CYCLES = tuple(f"{name}_{wave}" for wave in ("sine", "cosine") for name in CYCLE_PERIOD)
BEARING, MOVES = ("bearing_sine", "bearing_cosine"), ("east_km", "north_km")

ABSOLUTE = ("km_east_or_west", "km_north_or_south", "blocks_across_km", "blocks_up_km")


def feature_names(
    feature_set: FeatureSet,
    airports: Sequence[str],
    landmarks: Sequence[str],
    n_tariff_changes: int,
    extras: Mapping[str, Sequence[str]],
) -> dict[str, tuple[str, ...]]:
    """Names by input of the network.

    airports, landmarks: in the order of the Geography's. extras: the city's own inputs, with a category's values, none
    for a number.
    """
    own = [f"{name}={value}" for name, values in extras.items() for value in values]
    own += [name for name, values in extras.items() if not values]
    changes = range(1, n_tariff_changes + 1)
    if feature_set == "raw":
        return {RAW: (*MODEL_INPUTS, *(f"after tariff change {number}" for number in changes), *own)}
    if feature_set == "course":
        to_places = _to_places(("straight_degrees",), airports)
        moves = ("haversine_km", "manhattan_km", *MOVES)
        return {NUMERIC: (*COORDINATES, *to_places, *moves, *BEARING, *CYCLES, *PLAIN_INPUTS, *own)}
    middle = ("middle_across_km", "middle_up_km")
    blocks = ("manhattan_km", "blocks_across_km", "blocks_up_km", "blocks_km")
    to_places = _to_places(("straight_km", "straight_degrees"), (*airports, *landmarks))
    of_trip = (*middle, *MOVES, *to_places, *blocks, *BEARING)
    flags = (*FLAGS, *(f"before tariff change {number}" for number in changes))
    whole = (*PLAIN_INPUTS, *CYCLE_PERIOD, *(f"tariff era, at most {number}" for number in changes))
    return {
        NUMERIC: (*of_trip, *CYCLES, "log_km", *PLAIN_INPUTS, *flags, *own),
        BRIEF: (*whole, *middle, *_to_places(("straight_km",), (*airports, *landmarks)), *ABSOLUTE, "log_km", *own),
    }


def _to_places(straight: tuple[str, ...], places: Sequence[str]) -> tuple[str, ...]:
    """Names of the straight lines from pickup to dropoff, and from both to each place."""
    return (*straight, *(f"{end}_to_{place}_km" for end in ("pickup", "dropoff") for place in places))
