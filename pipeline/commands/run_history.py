"""All runs of a city: what each measured, and what became of its model; as records and as a folder of pages."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from farebox.components.atomic_pusher.push import candidate_name, latest_name, read_history
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import InputError
from farebox.components.files import write_atomically
from farebox.components.reporter import verdict
from farebox.components.reporter.figures import PAGE_FILE, Figures
from farebox.components.reporter.page.history import HistoryPage, HistoryRow, render_history
from farebox.pipeline.local.folder import LATEST, SUMMARY_FILE
from farebox.pipeline.local.report import day
from farebox.pipeline.retraining.journal import Journal

HEAD = ("run", "day", "trips", "RMSE", "interval", "bytes", "outcome", "decision")
INDEX_FILE = "index.html"


@dataclasses.dataclass(frozen=True)
class PastRun:
    """A run: RMSE with its interval, bytes and number of trips, None without a model.

    outcome: the version that it pushed, with its state now, or the gates that refused. decision: of retraining, empty
    for a run that a person began. has_page: whether its folder has a report.
    """

    run_id: str
    currency: str
    trips: int | None
    rmse: float | None
    interval: tuple[float, float] | None
    bytes: int | None
    is_shipped: bool
    outcome: str
    decision: str
    has_page: bool

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of its line under HEAD."""
        low, high = self.interval or (None, None)
        return (
            self.run_id,
            day(self.run_id),
            "" if self.trips is None else f"{self.trips:,}",
            "" if self.rmse is None else f"{self.rmse:.3f}",
            "" if low is None or high is None else f"{low:.3f} to {high:.3f}",
            "" if self.bytes is None else f"{self.bytes:,}",
            self.outcome,
            self.decision,
        )


def run_folder(runs_dir: Path, name: str) -> Path:
    """The folder of a run: its id, an unambiguous beginning of one, or `latest`. Raises InputError if there is none."""
    if name == LATEST and (runs_dir / LATEST).is_dir():
        return (runs_dir / LATEST).resolve()
    names = run_ids(runs_dir)
    matches = [each for each in names if each.startswith(name)]
    if len(matches) != 1:
        shown = ", ".join((matches or names)[-5:]) or "none"
        raise InputError(f"run={name} must be the beginning of one run in {runs_dir}, or latest, got {shown}")
    return runs_dir / matches[0]


def run_ids(runs_dir: Path) -> list[str]:
    """The ids of the runs that came to an end, the oldest first."""
    return sorted(path.parent.name for path in runs_dir.glob(f"*/{SUMMARY_FILE}") if not path.parent.is_symlink())


def past_runs(out: Path, city: str) -> list[PastRun]:
    """The runs of a city, the oldest first. Raises InputError if it has none, or a summary is damaged."""
    runs_dir = out / "runs" / city
    names = run_ids(runs_dir)
    if not names:
        raise InputError(f"city={city} must have a run in {out / 'runs'}, got none")
    states, decisions = version_states(out / "models" / city), decisions_of(runs_dir)
    return [past_run(runs_dir / name, states, decisions.get(name, "")) for name in names]


def past_run(folder: Path, states: dict[str, str], decision: str) -> PastRun:
    """A run from its summary; states: of the versions by name."""
    path = folder / SUMMARY_FILE
    try:
        content = json.loads(path.read_text())
        figures, currency = Figures.from_json(content), str(content["currency"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} must be a summary that a run wrote, got {error!r}") from error
    measured = figures.measured
    return PastRun(
        run_id=folder.name,
        currency=currency,
        trips=measured.rows.examples if measured else figures.losses.total.examples if figures.losses else None,
        rmse=measured.rmse.shipped if measured else None,
        interval=measured.intervals.get("rmse") if measured else None,
        bytes=measured.model.bytes if measured else None,
        is_shipped=verdict.is_shipped(figures),
        outcome=outcome_of(figures, states),
        decision=decision,
        has_page=(folder / PAGE_FILE).is_file(),
    )


def outcome_of(figures: Figures, states: dict[str, str]) -> str:
    """`pushed VERSION (latest)`, or the gates that refused."""
    refusing = [check.name for check in figures.gates if check.refuses]
    if refusing:
        return f"refused: {', '.join(refusing)}"
    if not figures.pushed:
        return "nothing was pushed"
    version = Path(figures.pushed).name
    state = states.get(version, "removed" if states else "")
    return f"pushed {version}" + (f" ({state})" if state else "")


def version_states(models_dir: Path) -> dict[str, str]:
    """`latest`, `candidate`, `dropped`, `rolled back` or nothing of each version that is there."""
    if not models_dir.is_dir():
        return {}
    store = LocalStore(models_dir)
    latest, candidate, history = latest_name(store), candidate_name(store), read_history(store)
    states = {name: history.state_of(name, latest, candidate) for name in store.versions()}
    return {name: "" if state == "earlier" else state for name, state in states.items()}


def decisions_of(runs_dir: Path) -> dict[str, str]:
    """The decision of retraining that led to a run, by run id."""
    return {
        record.run_id: f"{record.decision} ({', '.join(record.causes)})" if record.causes else record.decision
        for record in Journal(runs_dir).records()
        if record.run_id
    }


def write_pages(found: Sequence[PastRun], runs_dir: Path, city: str, folder: Path) -> Path:
    """Writes index.html and a copy of each run's page into a folder; returns the index. Raises InputError if it cannot
    be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for run in found:
            if run.has_page:
                shutil.copyfile(runs_dir / run.run_id / PAGE_FILE, folder / f"{run.run_id}.html")
        rows = [
            HistoryRow(run.cells, run.rmse, run.interval, run.bytes, f"{run.run_id}.html" if run.has_page else None)
            for run in found
        ]
        page = HistoryPage(city, found[-1].currency, HEAD, tuple(rows))
        write_atomically(folder / INDEX_FILE, render_history(page))
    except OSError as error:
        raise InputError(f"pages={folder} cannot be written: {error.strerror}") from error
    return folder / INDEX_FILE
