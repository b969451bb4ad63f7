"""Compiles the pipeline for Kubeflow Pipelines v2 and Vertex AI. Needs kfp-pipeline-spec, not kfp."""

from __future__ import annotations

import re
from typing import Any

from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig

from pipeline.compiled.parameters import declared
from pipeline.graph import create_pipeline
from pipeline.settings import Settings
from pipeline.target import Target

CONTAINER_COMMAND = ("python", "-m", "pipeline.compiled.container")


def compile_job(settings: Settings, root: str, image: str) -> dict[str, Any]:
    """A PipelineJob as JSON has it, as far as TFX writes one; `image` holds this project, `root` is a store that its
    containers reach."""
    city = settings.city.name
    name = re.sub("[^a-z0-9]+", "-", f"farebox-{city}".lower()).strip("-")
    workers = settings.beam.local_workers(0)  # nobody knows the rows yet
    pipeline = create_pipeline(settings, Target(root, f"{root}/models/{city}", workers=workers, pipeline_name=name))
    for node in pipeline.components:
        for key, parameter in declared(settings).items():
            if node.id in parameter.nodes:
                default = parameter.default(settings)
                node.exec_properties[key] = RuntimeParameter(key, type(default), default, parameter.description)
    config = KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=list(CONTAINER_COMMAND), use_pipeline_spec_2_1=True
    )
    return KubeflowV2DagRunner(config=config).run(pipeline, write_out=False)
