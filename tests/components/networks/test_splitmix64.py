"""SplitMix64 against the numbers that its authors' C program prints."""

from __future__ import annotations

import numpy as np

from farebox.components.networks.splitmix64 import GOLDEN_GAMMA, splitmix64


def test_numbers_are_those_of_the_c_program():
    """The first five after the seed 1234567, from https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64."""
    states = np.uint64(1234567) + np.arange(5, dtype=np.uint64) * GOLDEN_GAMMA
    assert splitmix64(states).tolist() == [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
    ]  # fmt: skip
