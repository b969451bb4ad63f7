"""TensorBoard's logs of a run, read back by TensorBoard itself."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from types import SimpleNamespace

import pytest
import report_page

from farebox.components.errors import Check
from farebox.components.reporter.figures import Figures
from farebox.pipeline.local import tensorboard_logs

COSTS = {"Trainer": SimpleNamespace(cpu_s=9.5, peak_mb=700.0)}
TRAINING = {
    "network": {"curve": [5.0, 3.9, 4.0], "best_epoch": 2}, "raw_dnn": {"curve": [9.6, math.inf, 9.25]},
    "lightgbm": {"trees": 88}, "chosen": "network", "tuned": None,
}  # fmt: skip


def read(folder):
    """[(step, value), ...] by tag, as TensorBoard reads them."""
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = accumulators.EventAccumulator(str(folder)).Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


@pytest.fixture
def produced(tmp_path):
    (tmp_path / "model_run").mkdir()
    (tmp_path / "model_run" / "training.json").write_text(json.dumps(TRAINING))
    return {"model_run": [SimpleNamespace(uri=str(tmp_path / "model_run"))]}


def figures() -> Figures:
    return Figures(measured=report_page.measured(), gates=report_page.GATES, blessed=True, pushed=None)


def test_tensorboard_reads_curves_figures_and_costs(tmp_path, produced):
    tensorboard_logs.write(tmp_path, figures(), produced, COSTS)
    logs = tmp_path / "tensorboard"
    assert sorted(each.name for each in logs.iterdir()) == ["network", "raw_dnn", "run"]
    assert read(logs / "network") == {"eval_rmse": [(1, 5.0), (2, pytest.approx(3.9)), (3, 4.0)]}
    assert [step for step, _ in read(logs / "raw_dnn")["eval_rmse"]] == [1, 3], "an infinite error is no point"
    run = read(logs / "run")
    assert run["test_rmse/shipped"] == [(0, pytest.approx(3.6))] and run["gates/max_rmse"] == [(0, pytest.approx(3.6))]
    assert run["cpu_s/Trainer"] == [(0, 9.5)] and run["peak_mb/Trainer"] == [(0, 700.0)]
    assert run["shipped_file/bytes"] == [(0, report_page.measured().model.bytes)]


def test_a_refused_run_logs_what_it_has_and_a_second_writing_replaces_the_first(tmp_path, produced):
    tensorboard_logs.write(tmp_path, figures(), produced, COSTS)
    refused = Figures.of_refusal([Check("rows", 10, 1000, ok=False)])
    tensorboard_logs.write(tmp_path, refused, {}, COSTS)
    assert read(tmp_path / "tensorboard" / "run") == {
        "gates/rows": [(0, 10.0)], "cpu_s/Trainer": [(0, 9.5)], "peak_mb/Trainer": [(0, 700.0)],
    }  # fmt: skip


def test_writing_imports_no_tensorflow(tmp_path):
    """A fully cached run takes seconds because nothing does."""
    code = (
        "import sys, pathlib; from farebox.pipeline.local import tensorboard_logs as logs; "
        "logs._write_events(pathlib.Path(sys.argv[1], 'logs'), [('a', 0, 1.0)]); print('tensorflow' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
