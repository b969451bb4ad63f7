"""Live errors and what follows from them, as the journal keeps them. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from farebox.components.evaluator.metrics import ALL_TRIPS, BIAS, MAE, RMSE, Estimate

Role = Literal["latest", "candidate", "before", "device"]
Action = Literal["promoted", "dropped", "rolled_back"]


@dataclasses.dataclass(frozen=True)
class LiveCheck:
    """An error beside the largest one that promise, margin and chance allow; None for what is not a number.

    name: `rmse`, `mae`, `bias` (distance from the promised one) or `missed` (share of fares out of their range), with
    a slice as `mae[airport=none]`.
    """

    name: str
    value: float | None
    bound: float | None
    ok: bool


@dataclasses.dataclass(frozen=True)
class Live:
    """Errors of a version on one span, which it was not trained on.

    role: whether LATEST or CANDIDATE named it, or LATEST named it before; device: where it runs. span: its number and
    version. errors, promise: by slice, see `Measured.to_json`. checks: of the errors against the promise, of all trips
    and of the slices that broke it. difference: mean absolute error minus that of the latest version on the same trips,
    with its 95 % interval; None for the latest, and if one of the two predicts what is no number.
    """

    span: tuple[int, int]
    role: Role
    version: str
    errors: Mapping[str, Any]
    promise: Mapping[str, Any]
    checks: tuple[LiveCheck, ...] = ()
    difference: Estimate | None = None

    @property
    def broken(self) -> tuple[LiveCheck, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.ok)

    @property
    def verdict(self) -> str:
        """`holds`, `breaks mae, bias and 3 by slice`, `no promise` or `too few trips`."""
        names = [check.name for check in self.broken]
        overall = [name for name in names if "[" not in name]
        by_slice = f"{len(names) - len(overall)} by slice" if len(names) > len(overall) else ""
        told = " and ".join(filter(None, (", ".join(overall), by_slice)))
        if told:
            return f"breaks {told}"
        return "holds" if self.checks else "too few trips" if self.promise else "no promise"

    @property
    def mae(self) -> float | None:
        """Mean absolute error on all trips; None if a prediction is no number."""
        mae: float | None = self.errors[ALL_TRIPS][MAE][0]
        return mae

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Live:
        """The inverse of `dataclasses.asdict` and JSON. Raises TypeError or KeyError."""
        difference = content["difference"]
        return cls(**{
            **content,
            "span": tuple(content["span"]),
            "checks": tuple(LiveCheck(**check) for check in content["checks"]),
            "difference": difference and Estimate(**difference),
        })  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Deployment:
    """A change of LATEST or CANDIDATE that a tick makes.

    version: what it promotes, drops or rolls back. before, latest: what LATEST named, and names then. reason: a
    sentence, which HISTORY has too.
    """

    action: Action
    version: str
    before: str
    latest: str
    reason: str


def of_role(lives: Sequence[Live], role: Role) -> Live | None:
    """The live errors of the version in this role; None without it."""
    return next((live for live in lives if live.role == role), None)


def told(live: Live, currency: str) -> str:
    """`0123456789ab (latest): RMSE 4.21, MAE 2.50, bias 0.10 USD on 1,180 trips; promised RMSE 4.10, ...: holds`."""
    overall, promise = live.errors[ALL_TRIPS], live.promise.get(ALL_TRIPS)
    verdict = "no promise" if promise is None else f"promised {_figures(promise)}"
    if live.checks:
        verdict += f": {live.verdict}"
    return f"{live.version} ({live.role}): {_figures(overall)} {currency} on {overall['rows']:,} trips; {verdict}"


def two_decimals(value: float) -> str:
    """`-1,234.50`; a small negative number is 0.00, not -0.00."""
    return f"{round(value, 2) + 0.0:,.2f}"


def _figures(errors: Mapping[str, Any]) -> str:
    values = {name: errors[name][0] for name in (RMSE, MAE, BIAS)}
    texts = {name: "no number" if value is None else two_decimals(value) for name, value in values.items()}
    return f"RMSE {texts[RMSE]}, MAE {texts[MAE]}, bias {texts[BIAS]}"


def changed(deployment: Deployment) -> str:
    """A change of LATEST or CANDIDATE as people read it."""
    what = {
        "promoted": f"{deployment.version} is promoted from CANDIDATE to LATEST",
        "dropped": f"{deployment.version} is dropped as CANDIDATE",
        "rolled_back": f"{deployment.version} is rolled back to {deployment.latest}",
    }
    return f"{what[deployment.action]}: {deployment.reason}"
