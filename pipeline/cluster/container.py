"""The command of a compiled pipeline's containers: makes the ExecutorInput one that TFX can read, inserts runtime
parameters, calls TFX's own entry point, then makes the outputs ones that Kubeflow can copy.

    python -I -m farebox.pipeline.cluster.container --executor_class_path CLASS --json_serialized_invocation_args ...

Exit codes: 2 if trips or parameters cannot be used, 3 if a gate refused; each with one line on stderr.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys

from farebox.components.reporter.figures import COST_FILE, PAGE_FILE
from farebox.pipeline import process
from farebox.pipeline.cluster.invocation import LOGS, PAGE, REPORT, for_tfx, outputs_of
from farebox.pipeline.cluster.local_copies import local_artifacts
from farebox.pipeline.cluster.markers import POD, remove_markers
from farebox.pipeline.cluster.parameters import insert_parameters
from farebox.pipeline.local import lean_imports, libraries
from farebox.pipeline.local.meter import Cost, Meter
from farebox.pipeline.provenance import check_lane

INVOCATION = "--json_serialized_invocation_args"
INPUTS_SPEC = "--json_serialized_inputs_spec_args"
ALONE = ("tfx.Schema", "tfx.HyperParameters")  # read by tfx.utils.io_utils.get_only_uri_in_dir (TFX 1.16)


def execute(arguments: list[str]) -> None:
    """Executes one node.

    Raises its executor's errors, and InputError for a parameter that cannot be used or an image of another lane.
    """
    check_lane(os.environ)
    position = arguments.index(INVOCATION) + 1
    inputs_spec = arguments[arguments.index(INPUTS_SPEC) + 1] if INPUTS_SPEC in arguments else "{}"
    invocation = with_parameters(arguments[position])
    meter = Meter()
    libraries.configure_libraries()
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor as entry_point

    lean_imports.run_waiting(importlib.import_module("tensorflow"))  # here, not in one of Beam's threads
    libraries.fix_batches()
    with local_artifacts(invocation) as text:
        arguments[position] = for_tfx(text, inputs_spec)
        entry_point.main(entry_point._parse_flags(arguments))
        publish_page(text)
        publish_cost(text, meter.cost())
    if POD in os.environ:
        remove_markers(artifact["uri"] for artifact in outputs_of(json.loads(invocation)))


def publish_page(invocation: str) -> None:
    """Copies the page out of the report's folder to a place of its own, if the node writes one.

    The pages of Kubeflow and Vertex AI read an artifact of type system.HTML as one file at its address.
    """
    artifacts = json.loads(invocation).get("outputs", {}).get("artifacts", {})
    if PAGE in artifacts:
        from tfx.dsl.io import fileio

        report, page = (artifacts[key]["artifacts"][0]["uri"] for key in (REPORT, PAGE))
        fileio.copy(f"{report}/{PAGE_FILE}", page, overwrite=True)


def publish_cost(invocation: str, cost: Cost) -> None:
    """Writes what the node cost into the folder of each of its outputs, where Reporter looks for it.

    A schema and hyperparameters stay alone in their folders: TFX's nodes read the only file there.
    """
    from tfx.dsl.io import fileio

    for key, entry in json.loads(invocation).get("outputs", {}).get("artifacts", {}).items():
        for artifact in entry["artifacts"] if key not in (PAGE, LOGS) else ():
            is_alone = any(kind in str(artifact.get("type", "")) for kind in ALONE)
            if not is_alone and fileio.isdir(artifact["uri"]):
                with fileio.open(f"{artifact['uri']}/{COST_FILE}", "w") as file:
                    file.write(json.dumps(dataclasses.asdict(cost)))


def with_parameters(invocation: str) -> str:
    """The ExecutorInput, as JSON, with the properties that the node's code expects."""
    content = json.loads(invocation)
    inputs = content.get("inputs", {})
    if "parameterValues" in inputs:
        inputs["parameterValues"] = insert_parameters(inputs["parameterValues"])
    return json.dumps(content)


if __name__ == "__main__":
    sys.exit(process.code_of(lambda: execute(sys.argv[1:])))
