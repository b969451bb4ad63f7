"""Moments as seconds since 1970, in the city's local time: hour, weekday and era of the tariff of them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

DAY_S = 86400
END_OF_EPOCH_S = 4102444800  # the year 2100: a larger number is in milliseconds, or no time at all


def seconds_of(day: datetime.date) -> int:
    """Seconds since 1970 at the day's midnight."""
    return (day - datetime.date(1970, 1, 1)).days * DAY_S


def hour_of(epoch: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0 to 23."""
    hours: npt.NDArray[np.int64] = epoch % DAY_S // 3600
    return hours


def weekday_of(day: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0 (Monday) to 6, from days since 1970."""
    weekdays: npt.NDArray[np.int64] = (day + 3) % 7  # 1 January 1970 was a Thursday
    return weekdays


def era_of(epoch: npt.NDArray[np.int64], changes: Sequence[datetime.date]) -> npt.NDArray[np.int64]:
    """Number of the changes, 0 to len(changes), that came before each moment; a change comes at the day's midnight."""
    midnights = np.array(changes, "datetime64[s]").astype(np.int64)
    return np.searchsorted(midnights, epoch, side="right").astype(np.int64)


def days_of(epoch: npt.NDArray[np.int64]) -> tuple[str, str] | None:
    """The first and the last day, YYYY-MM-DD; None without moments."""
    if not len(epoch):
        return None
    first, last = (
        str(np.datetime64(int(moment), "s").astype("datetime64[D]")) for moment in (epoch.min(), epoch.max())
    )
    return first, last
