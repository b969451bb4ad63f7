"""Outcome: the last node on a cluster, which fails if nothing was pushed, so that the run does."""

from __future__ import annotations

import json
import os
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from farebox.components.artifacts import Report
from farebox.components.errors import Check, GateError, number
from farebox.components.reporter.figures import FIGURES_FILE, Figures


class OutcomeSpec(ComponentSpec):
    """report: Reporter's."""

    PARAMETERS = {"code_digest": ExecutionParameter(type=str)}
    INPUTS = {"report": ChannelParameter(type=Report)}
    OUTPUTS: dict[str, ChannelParameter] = {}


class OutcomeExecutor(base_executor.BaseExecutor):
    """Reads the figures of the run."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],  # noqa: ARG002 - TFX's signature
        exec_properties: dict[str, Any],  # noqa: ARG002
    ) -> None:
        """Raises GateError with the reasons if a gate refused the model."""
        (report,) = input_dict["report"]
        with fileio.open(os.path.join(report.uri, FIGURES_FILE)) as file:
            figures = Figures.from_json(json.loads(file.read()))
        if figures.pushed is None:
            refusing = [check for check in figures.gates if check.refuses]
            reasons = "; ".join(map(_reason, refusing))
            raise GateError(f"the model was not pushed: {reasons or 'see the report'}", refusing)


def _reason(check: Check) -> str:
    """`max_rmse 3.788, bound 0.5 (on all test trips)`: a detail does not repeat the name of its check."""
    bound = "" if check.bound is None else f", bound {'at least ' if check.at_least else ''}{number(check.bound)}"
    return f"{check.name} {number(check.value)}{bound}" + (f" ({check.detail})" if check.detail else "")


class Outcome(base_component.BaseComponent):
    """A run in which a gate refuses the model succeeds for TFX, and nobody is told."""

    SPEC_CLASS = OutcomeSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(OutcomeExecutor)

    def __init__(self, report: types.BaseChannel, code_digest: str) -> None:
        super().__init__(OutcomeSpec(report=report, code_digest=code_digest))
