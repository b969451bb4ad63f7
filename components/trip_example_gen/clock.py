"""Moments as seconds since 1970, in the city's local time: hour and weekday of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

DAY_S = 86400
END_OF_EPOCH_S = 4102444800  # the year 2100: a larger number is in milliseconds, or no time at all


def hour_of(epoch: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0 to 23."""
    hours: npt.NDArray[np.int64] = epoch % DAY_S // 3600
    return hours


def weekday_of(day: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0 (Monday) to 6, from days since 1970."""
    weekdays: npt.NDArray[np.int64] = (day + 3) % 7  # 1 January 1970 was a Thursday
    return weekdays
