"""Compiles the pipeline for Kubeflow Pipelines v2: a file that a cluster runs. Needs kfp-pipeline-spec, not kfp."""

from __future__ import annotations

from pathlib import Path

from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig

from pipeline.graph import Target, create_pipeline
from pipeline.settings import Settings


def compile_spec(settings: Settings, pipeline_root: str, image: str, output: str) -> None:
    """Writes the job spec (JSON) to `output`; `image` holds this project, `pipeline_root` is a store that its
    containers reach."""
    root = pipeline_root.rstrip("/")
    target = Target(
        pipeline_root=root,
        schema_file=f"{root}/schema/{settings.city.name}.pbtxt",
        models_dir=f"{root}/models/{settings.city.name}",
    )
    file = Path(output).resolve()
    config = KubeflowV2DagRunnerConfig(default_image=image)
    runner = KubeflowV2DagRunner(config=config, output_dir=str(file.parent), output_filename=file.name)
    runner.run(create_pipeline(settings, target), write_out=True)
