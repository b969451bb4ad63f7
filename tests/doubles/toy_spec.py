"""A compiled pipeline of three nodes, for the fake services."""

from __future__ import annotations

from typing import Any

NODES = ("TripExampleGen", "Trainer", "Pusher")


def toy_job(schema_version: str = "2.1.0", image: str = "registry.example/farebox:abc1234") -> dict[str, Any]:
    """A PipelineJob of three nodes in a row with four runtime parameters, the last without a value."""
    is_2_0 = schema_version == "2.0.0"
    types = {"epochs": "NUMBER_INTEGER", "budget": "NUMBER_DOUBLE", "span": "STRING", "rows": "NUMBER_INTEGER"}
    plain = {"NUMBER_INTEGER": "INT", "NUMBER_DOUBLE": "DOUBLE", "STRING": "STRING"}
    declared = {name: {"type": plain[kind]} if is_2_0 else {"parameterType": kind} for name, kind in types.items()}
    values = {"epochs": 3, "budget": 0.5, "span": "1"}
    wrapped = {"epochs": {"intValue": "3"}, "budget": {"doubleValue": 0.5}, "span": {"stringValue": "1"}}
    tasks = {
        name: {
            "componentRef": {"name": name},
            "taskInfo": {"name": name},
            **({"dependentTasks": [NODES[at - 1]]} if at else {}),
        }
        for at, name in enumerate(NODES)
    }
    container = {"image": image, "command": ["python", "-m", "farebox"], "args": ["{{$}}"]}
    return {
        "displayName": "farebox-toy",
        "labels": {"tfx_version": "1-16-0"},
        "pipelineSpec": {
            "pipelineInfo": {"name": "farebox-toy"},
            "schemaVersion": schema_version,
            "sdkVersion": "tfx-1.16.0",
            "components": {name: {"executorLabel": f"{name}_executor"} for name in NODES},
            "deploymentSpec": {"executors": {f"{name}_executor": {"container": container} for name in NODES}},
            "root": {"dag": {"tasks": tasks}, "inputDefinitions": {"parameters": declared}},
        },
        "runtimeConfig": {
            "gcsOutputDirectory": "gs://bucket/runs",
            **({"parameters": wrapped} if is_2_0 else {"parameterValues": values}),
        },
    }
