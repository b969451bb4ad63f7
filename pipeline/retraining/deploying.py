"""Decides from live errors what LATEST shall name, and changes it. No TFX here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from farebox.components.atomic_pusher import canary, versions
from farebox.components.atomic_pusher.hook import call_hook
from farebox.components.atomic_pusher.push import candidate_name, latest_name, read_history
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import InputError
from farebox.pipeline.retraining.live_record import Action, Deployment, Live, Role, of_role
from farebox.pipeline.settings.load import Settings


def pushed_versions(settings: Settings) -> dict[Role, str]:
    """The versions to score on a new span, by role; empty if nothing was pushed yet."""
    if not settings.models_dir.is_dir():
        return {}
    store = LocalStore(settings.models_dir)
    latest = latest_name(store)
    if latest is None:
        return {}
    before = read_history(store).before(latest, store.versions())
    named: dict[Role, str | None] = {"latest": latest, "candidate": candidate_name(store), "before": before}
    return {role: name for role, name in named.items() if name}


def deployment_of(lives: Sequence[Live], span: str, *, may_roll_back: bool) -> Deployment | None:
    """The change that follows from live errors on one span, None if there is none; span: its name.

    A candidate is promoted, unless its mean absolute error is larger than the latest version's on the same trips by
    more than chance explains: the whole 95 % interval of the difference, in pairs by trip, lies above 0. A latest
    version that breaks its promise is rolled back if the one before it does better, by the same interval.
    """
    latest, candidate, before = (of_role(lives, role) for role in ("latest", "candidate", "before"))
    if latest is None:
        return None
    if candidate:
        now = latest.version if is_worse(candidate, latest) else candidate.version
        reason = f"{compared(candidate, latest)} on span {span}"
        action: Action = "promoted" if now == candidate.version else "dropped"
        return Deployment(action, candidate.version, latest.version, now, reason)
    if may_roll_back and latest.broken and before and is_better(before, latest):
        reason = f"it breaks its promise on span {span}, where {compared(before, latest)}"
        return Deployment("rolled_back", latest.version, latest.version, before.version, reason)
    return None


def is_worse(live: Live, latest: Live) -> bool:
    """Whether a version does worse than the latest one by more than chance; predictions that are no numbers do."""
    if live.mae is None or latest.mae is None:
        return live.mae is None
    return live.difference is not None and live.difference.lower > 0


def is_better(live: Live, latest: Live) -> bool:
    """Whether a version does better than the latest one by more than chance."""
    if live.mae is None or latest.mae is None:
        return live.mae is not None
    return live.difference is not None and live.difference.upper < 0


def compared(live: Live, latest: Live) -> str:
    """`MAE of 0123456789ab is 1.21 lower (1.1 to 1.33) than that of ba9876543210`."""
    for each in (live, latest):
        if each.mae is None:
            return f"predictions of {each.version} are not all numbers"
    if live.difference is None:
        return f"{live.version} was not compared with {latest.version}"
    value, ends = live.difference.value, (live.difference.lower, live.difference.upper)
    if ends[0] <= 0 <= ends[1]:
        return f"MAE of {live.version} is that of {latest.version}, {ends[0]:+.3g} to {ends[1]:+.3g}"
    low, high = sorted(map(abs, ends))
    word = "higher" if value > 0 else "lower"
    size = f"{abs(value):.3g} {word} ({low:.3g} to {high:.3g})"
    return f"MAE of {live.version} is {size} than that of {latest.version}"


def served(lives: Sequence[Live], deployment: Deployment | None) -> Live | None:
    """The live errors of the version that LATEST names after the deployment; None if it was not scored."""
    name = deployment.latest if deployment else None
    return next((live for live in lives if live.version == name), None) if name else of_role(lives, "latest")


def carry_out(settings: Settings, deployment: Deployment, warn: Callable[[str], None]) -> None:
    """Makes the change; does nothing if it is made. Warns and leaves LATEST alone if somebody has changed it since.

    If LATEST names another version then, it calls `push.hook`; a tick that ends the work of a killed one does so again.
    """
    store = LocalStore(settings.models_dir)
    if latest_name(store) not in (deployment.before, deployment.latest):
        warn(f"{deployment.version} is not {deployment.action}: LATEST has changed meanwhile")
        return
    try:
        if deployment.action == "promoted":
            canary.promote(store, deployment.version, f"promoted: {deployment.reason}")
        elif deployment.action == "dropped":
            canary.drop(store, deployment.version, f"dropped: {deployment.reason}")
        else:
            versions.rollback(settings.models_dir, deployment.latest, f"rolled back: {deployment.reason}")
    except InputError as error:
        warn(f"{deployment.version} is not {deployment.action}: {error}")
        return
    if settings.push.hook and deployment.action != "dropped":
        folder = f"{store.base}/{deployment.latest}"
        check = call_hook(settings.push.hook, folder, settings.push.hook_timeout_s)
        if not check.ok:
            warn(f"{check.name}: {check.detail}; {check.hint}")
