"""Views of a finished run besides its summary: the page, TensorBoard's logs, MLflow. One that fails is said, and fails
no run: the model may be pushed already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from absl import logging

from farebox.components.errors import fault_of
from farebox.components.reporter.figures import Figures
from farebox.pipeline.local import mlflow_log, report, tensorboard_logs
from farebox.pipeline.local.folder import LOG_FILE
from farebox.pipeline.settings.load import Settings

if TYPE_CHECKING:
    from farebox.pipeline.local.meter import Cost


def write_views(
    settings: Settings, run_id: str, figures: Figures, produced: Mapping[str, list[Any]], costs: Mapping[str, Cost]
) -> tuple[str, ...]:
    """Writes every view of a run; returns a line for each that failed. Its traceback is in the log."""
    folder = settings.runs_dir / run_id
    views: dict[str, Callable[[], object]] = {
        "the page could not be drawn": lambda: report.write(settings, run_id, figures, produced, costs),
        "TensorBoard's logs could not be written": lambda: tensorboard_logs.write(folder, figures, produced, costs),
    }
    if settings.tracking.to == "mlflow":
        views["the run could not be logged to MLflow"] = lambda: mlflow_log.write(
            settings, run_id, figures, produced, costs
        )
    faults: list[str] = []
    for what, write in views.items():
        try:
            write()
        except Exception as error:  # whatever it is: the run is complete without a view
            logging.exception("farebox: %s", what)
            faults.append(f"{what}: {fault_of(error)}; the run is complete without it, see {folder / LOG_FILE}")
    return tuple(faults)
