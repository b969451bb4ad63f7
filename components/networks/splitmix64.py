"""SplitMix64, the hash that draws rows: the same on every machine, and for a row the same in every chunk of rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # the step between two states of a stream: 2^64 over the golden ratio, odd


def splitmix64(states: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The number that follows each state, element by element; arithmetic wraps modulo 2^64.

    Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators";
    https://prng.di.unimi.it/splitmix64.c.
    """
    z = states + GOLDEN_GAMMA
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
