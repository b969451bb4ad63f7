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


def cardinalities(n_cells: int, n_zones: int | None = None) -> dict[str, int]:
    """How many ids each cross can take, with n_cells per axis of the box, and for the pair n_zones (else n_cells)."""
    return {
        PICKUP_CELL: n_cells**2,
        DROPOFF_CELL: n_cells**2,
        PAIR_CELL: (n_zones or n_cells) ** 4,
        HOUR_OF_WEEK: HOURS_OF_WEEK,
    }
