"""Names of raw and derived columns, for features and model. No TensorFlow here.

The table of the raw columns is components/trip_example_gen/columns.py.
"""

from farebox.components.trip_example_gen import columns as raw

PASSENGER_COUNT, FARE, PICKUP_TIME = raw.PASSENGER_COUNT, raw.FARE, raw.PICKUP_TIME
PICKUP_HOUR, PICKUP_WEEKDAY, PICKUP_ERA = raw.PICKUP_HOUR, raw.PICKUP_WEEKDAY, raw.PICKUP_ERA
COORDINATES, MODEL_INPUTS, DATED_INPUTS = raw.COORDINATES, raw.MODEL_INPUTS, raw.DATED_INPUTS
PICKUP_LONGITUDE, PICKUP_LATITUDE, DROPOFF_LONGITUDE, DROPOFF_LATITUDE = COORDINATES
STANDARD_INPUTS = frozenset(DATED_INPUTS)  # of a model of any city; its others are the city's own
# Each enters the features as a number of its own: all inputs except places and times.
PLAIN_INPUTS = tuple(name for name in MODEL_INPUTS if name not in (*COORDINATES, PICKUP_HOUR, PICKUP_WEEKDAY))
# The value of each optional input that has the same default in every city.
DEFAULTS = {
    name: column.default
    for name, column in raw.EXAMPLE_COLUMNS.items()
    if column.default is not None and not isinstance(column.default, str)
}

# Facts of a model's description: days, ISO 8601; IANA name.
TARIFF_CHANGES, TIME_ZONE = "tariff_changes", "time_zone"
NUMERIC, RAW, DISTANCE_KM, DISTANCE_BAND = "numeric", "raw", "distance_km", "distance_band"
BRIEF = "numeric_brief"  # the numbers of a network that looks up the hour of the week
PICKUP_CELL, DROPOFF_CELL, PAIR_CELL, HOUR_OF_WEEK = "pickup_cell", "dropoff_cell", "pair_cell", "hour_of_week"

CYCLE_PERIOD = {PICKUP_HOUR: 24, PICKUP_WEEKDAY: 7}
HOURS_OF_WEEK = 24 * 7
# Times of day and week by name: the column, the middle and half the width of its interval, whose ends lie between whole
# hours or days.
FLAGS = {
    "weekend": (PICKUP_WEEKDAY, 5.5, 1.0),
    "morning rush, 7-9 h": (PICKUP_HOUR, 8.0, 1.5),
    "evening rush, 16-19 h": (PICKUP_HOUR, 17.5, 2.0),
    "working day, 9-18 h": (PICKUP_HOUR, 13.5, 5.0),
    "day, 6-19 h": (PICKUP_HOUR, 12.5, 7.0),
}

BOOSTER_INPUTS = (RAW, NUMERIC)  # LightGBM's, side by side
CROSSES = (PICKUP_CELL, DROPOFF_CELL, PAIR_CELL, HOUR_OF_WEEK)
EMBEDDED = (PICKUP_CELL, DROPOFF_CELL, HOUR_OF_WEEK)  # in the full set, if the data have enough rows of each
# Inputs that a device may send besides missing, infinite and huge numbers: changes of a real trip, by name.
EDGE_ROWS: dict[str, dict[str, float | str]] = {
    "north pole": {PICKUP_LATITUDE: 90.0, DROPOFF_LATITUDE: 90.0},
    "south pole": {PICKUP_LATITUDE: -90.0, DROPOFF_LATITUDE: -90.0},
    "from pole to pole": {PICKUP_LATITUDE: -90.0, DROPOFF_LATITUDE: 90.0},
    "around the date line": {PICKUP_LONGITUDE: -180.0, DROPOFF_LONGITUDE: 180.0},
    "no position yet": dict.fromkeys(COORDINATES, 0.0),
    "no pickup yet": {PICKUP_LONGITUDE: 0.0, PICKUP_LATITUDE: 0.0},
    "swapped": {
        PICKUP_LONGITUDE: DROPOFF_LONGITUDE,
        PICKUP_LATITUDE: DROPOFF_LATITUDE,
        DROPOFF_LONGITUDE: PICKUP_LONGITUDE,
        DROPOFF_LATITUDE: PICKUP_LATITUDE,
    },
    "longitude for latitude": {PICKUP_LONGITUDE: PICKUP_LATITUDE, PICKUP_LATITUDE: PICKUP_LONGITUDE},
    "equal points": {DROPOFF_LONGITUDE: PICKUP_LONGITUDE, DROPOFF_LATITUDE: PICKUP_LATITUDE},
    "hour 0": {PICKUP_HOUR: 0},
    "hour 23": {PICKUP_HOUR: 23},
    "hour 24": {PICKUP_HOUR: 24},
    "Sunday, hour 23": {PICKUP_HOUR: 23, PICKUP_WEEKDAY: 6},
    "nobody": {PASSENGER_COUNT: 0},
    "a bus": {PASSENGER_COUNT: 60},
}


def cardinalities(n_cells: int, n_zones: int | None = None) -> dict[str, int]:
    """Number of ids of each cross; the box has n_cells per axis, n_zones (or n_cells) for the pair."""
    return {
        PICKUP_CELL: n_cells**2,
        DROPOFF_CELL: n_cells**2,
        PAIR_CELL: (n_zones or n_cells) ** 4,
        HOUR_OF_WEEK: HOURS_OF_WEEK,
    }
