"""Compiled pipelines: three nodes for the fake services, and a node of each kind for the drivers of Kubeflow."""

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


EXAMPLES = {"artifactType": {"instanceSchema": "title: tfx.Examples\ntype: object\n"}}
MODEL = {"artifactType": {"instanceSchema": "title: tfx.Model\ntype: object\n"}}
LISTED = {**MODEL, "isArtifactList": True}
VALUES = {"epochs": 40.0, "rate": 0.5, "digest": "abc", "verbose": True, "layers": [64, 32], "bounds": {"low": 1.0}}


def components() -> dict[str, dict[str, Any]]:
    """A node with nothing, one with an output, one with parameters and a list as output, one with a list as input."""
    types = {
        "epochs": "NUMBER_INTEGER", "rate": "NUMBER_DOUBLE", "digest": "STRING", "verbose": "BOOLEAN",
        "layers": "LIST", "bounds": "STRUCT",
    }  # fmt: skip
    parameters: dict[str, Any] = {name: {"parameterType": kind} for name, kind in types.items()}
    parameters["depth"] = {"parameterType": "NUMBER_INTEGER", "isOptional": True, "defaultValue": 4.0}
    return {
        "Silent": {},
        "Source": {"outputDefinitions": {"artifacts": {"examples": {**EXAMPLES, "metadata": {"made": "by hand"}}}}},
        "Trainer": {
            "inputDefinitions": {"artifacts": {"examples": EXAMPLES}, "parameters": parameters},
            "outputDefinitions": {"artifacts": {"model": MODEL, "checkpoints": LISTED}},
        },
        "Ensemble": {
            "inputDefinitions": {"artifacts": {"models": LISTED}},
            "outputDefinitions": {"artifacts": {"model": MODEL}},
        },
    }


def spec_of_kinds() -> dict[str, Any]:
    """A PipelineSpec of `components`."""
    tasks: dict[str, Any] = {name: {"componentRef": {"name": name}} for name in components()}
    given = {name: {"runtimeValue": {"constant": value}} for name, value in VALUES.items()}
    examples = {"taskOutputArtifact": {"producerTask": "Source", "outputArtifactKey": "examples"}}
    tasks["Trainer"]["inputs"] = {"artifacts": {"examples": examples}, "parameters": given}
    models = {"taskOutputArtifact": {"producerTask": "Trainer", "outputArtifactKey": "model"}}
    tasks["Ensemble"]["inputs"] = {"artifacts": {"models": models}}
    return {"root": {"dag": {"tasks": tasks}}, "components": components()}
