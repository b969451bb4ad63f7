"""What a container of a compiled pipeline runs: TFX's own entry point, with parameters put in place before it.

    python -I -m farebox.pipeline.cluster.container --executor_class_path CLASS --json_serialized_invocation_args ...

Exit codes: 2 where trips or parameters cannot be used, 3 where a gate refused; each with one line on stderr.
"""

from __future__ import annotations

import importlib
import json
import sys

from farebox.pipeline import process
from farebox.pipeline.cluster.parameters import put_in_place
from farebox.pipeline.local import lean_imports, libraries

INVOCATION = "--json_serialized_invocation_args"


def execute(arguments: list[str]) -> None:
    """Executes one node. Raises what its executor raises, and InputError for a parameter that cannot be used."""
    position = arguments.index(INVOCATION) + 1
    arguments[position] = with_parameters_in_place(arguments[position])
    libraries.configure_libraries()
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor as entry_point

    lean_imports.run_waiting(importlib.import_module("tensorflow"))  # here, not in one of Beam's threads
    libraries.fix_batches()
    entry_point.main(entry_point._parse_flags(arguments))


def with_parameters_in_place(invocation: str) -> str:
    """An ExecutorInput as JSON, whose parameter values are what the node's code expects."""
    content = json.loads(invocation)
    inputs = content.get("inputs", {})
    if "parameterValues" in inputs:
        inputs["parameterValues"] = put_in_place(inputs["parameterValues"])
    return json.dumps(content)


if __name__ == "__main__":
    sys.exit(process.code_of(lambda: execute(sys.argv[1:])))
