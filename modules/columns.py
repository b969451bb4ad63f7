"""Names of raw and derived columns; the only place where they are spelt. No TensorFlow here."""

PICKUP_LONGITUDE, PICKUP_LATITUDE = "pickup_longitude", "pickup_latitude"
DROPOFF_LONGITUDE, DROPOFF_LATITUDE = "dropoff_longitude", "dropoff_latitude"
PASSENGER_COUNT, PICKUP_HOUR, PICKUP_WEEKDAY = "passenger_count", "pickup_hour", "pickup_weekday"
PICKUP_EPOCH = "pickup_epoch"
FARE = "fare"

COORDINATES = (PICKUP_LONGITUDE, PICKUP_LATITUDE, DROPOFF_LONGITUDE, DROPOFF_LATITUDE)
MODEL_INPUTS = (*COORDINATES, PASSENGER_COUNT, PICKUP_HOUR, PICKUP_WEEKDAY)
DATED_INPUTS = (*MODEL_INPUTS, PICKUP_EPOCH)  # where the tariff's era is a feature

NUMERIC, RAW, DISTANCE_KM, DISTANCE_BAND = "numeric", "raw", "distance_km", "distance_band"
PICKUP_CELL, DROPOFF_CELL, PAIR_CELL, HOUR_OF_WEEK = "pickup_cell", "dropoff_cell", "pair_cell", "hour_of_week"

CYCLE_PERIOD = {PICKUP_HOUR: 24, PICKUP_WEEKDAY: 7}
HOURS_OF_WEEK = 24 * 7

BOOSTER_INPUTS = (RAW, NUMERIC)  # what LightGBM sees, side by side
CROSSES = (PICKUP_CELL, DROPOFF_CELL, PAIR_CELL, HOUR_OF_WEEK)
# What a device may send beside missing, infinite and huge numbers: by name, what changes in a real trip.
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
    """How many ids each cross can take, with n_cells per axis of the box, and for the pair n_zones (else n_cells)."""
    return {
        PICKUP_CELL: n_cells**2,
        DROPOFF_CELL: n_cells**2,
        PAIR_CELL: (n_zones or n_cells) ** 4,
        HOUR_OF_WEEK: HOURS_OF_WEEK,
    }
