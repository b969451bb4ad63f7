"""The Earth as a sphere, for features and simulated trips."""

import math

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG
KM_PER_DEGREE = math.pi / 180.0 * EARTH_RADIUS_KM  # of latitude
