"""Runs the pipeline on this machine, node by node, with TFX's own launcher. See README.md in this folder.

Executors and their imports are loaded at the first node that does not come from the cache.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_metadata.proto.metadata_store_pb2 import Execution
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils
from tfx.orchestration.portable.base_executor_operator import BaseExecutorOperator
from tfx.orchestration.portable.mlmd import execution_lib

from farebox.components.atomic_pusher.push import is_offered, is_rolled_back
from farebox.components.tflite.files import tflite_path
from farebox.components.trip_example_gen.sources.reading import estimated_rows, find_files
from farebox.pipeline.local import local_files, rows_read, stored_graph
from farebox.pipeline.local.meter import Cost, Meter
from farebox.pipeline.metadata import connection as database
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.target import SpanInput, Target

OnStart = Callable[[str, int, int], None]
OnEnd = Callable[[str, dict[str, list[Any]], bool, "Cost"], None]


@local_files.plain_paths_first()
def run(
    settings: Settings,
    run_id: str,
    *,
    on_start: OnStart,
    on_end: OnEnd,
    prepare: Callable[[], None],
    last: str | None = None,
    spans: SpanInput | None = None,
) -> None:
    """Runs every node up to `last`, or takes it from the cache. Exceptions of executors pass through.

    on_start(node, number, count): called before a node. on_end(node, output artifacts, is_cached, cost): after it.
    prepare: called once, before anything is compiled or executed; costs are counted from then on.
    """
    connection = database.connection_config(settings)
    place = database.folder_id(settings, connection)
    target = Target(
        pipeline_root=str(settings.runs_dir.resolve() / ("artifacts" + (f"-{place}" if place else ""))),
        models_dir=str(settings.models_dir.resolve()),
        metadata=connection,
        workers=settings.beam.local_workers(estimated_rows(files_of(settings, spans))),
        spans=spans,
        pipeline_name=database.pipeline_name(settings, place),
    )
    meter = Meter()

    @functools.cache
    def prepare_once() -> None:
        prepare()
        meter.start()

    def compile_graph() -> Any:
        prepare_once()
        from tfx.dsl.compiler.compiler import Compiler

        from farebox.pipeline.graph import create_pipeline

        return Compiler().compile(create_pipeline(settings, target))

    pipeline = stored_graph.compiled(settings, target, compile_graph)
    runtime_parameter_utils.substitute_runtime_parameter(pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    deployment = runner_utils.extract_local_deployment_config(pipeline)
    database.register_types(settings, connection, pipeline)
    produced: dict[str, list[Any]] = {}
    operators = {
        kind: deferred(operator, prepare_once) for kind, operator in launcher.DEFAULT_EXECUTOR_OPERATORS.items()
    }
    for number, node in enumerate(pipeline.nodes, start=1):
        name = node.pipeline_node.node_info.id
        if name == "Pusher":
            prepare_push(node.pipeline_node, Path(tflite_path(produced["quantized_model"][0])), settings)
        on_start(name, number, len(pipeline.nodes))
        meter.start()
        with rows_read.counted(name, produced):
            info = launcher.Launcher(
                pipeline_node=node.pipeline_node,
                mlmd_connection=database.open_metadata(connection),
                pipeline_info=pipeline.pipeline_info,
                pipeline_runtime_spec=pipeline.runtime_spec,
                executor_spec=runner_utils.extract_executor_spec(deployment, name),
                custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
                custom_executor_operators=operators,
            ).launch()
        cost = meter.cost()
        with database.open_metadata(connection) as handle:
            outputs, cached = outcome(handle, info.execution_id)
        produced.update(outputs)
        on_end(name, outputs, cached, dataclasses.replace(cost, is_cached=cached))
        if name == last:
            return


def deferred(operator: type[BaseExecutorOperator], prepare: Callable[[], None]) -> type[BaseExecutorOperator]:
    """TFX's executor operator, built only if its executor runs: building it imports the executor."""

    class DeferredOperator(operator):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            BaseExecutorOperator.__init__(self, *args, **kwargs)
            self.arguments = args, kwargs

        def run_executor(self, *args: Any, **kwargs: Any) -> Any:
            prepare()
            positional, named = self.arguments
            built = operator(*positional, **named).with_execution_watcher(self._execution_watcher_address)
            return built.run_executor(*args, **kwargs)

    return DeferredOperator


def files_of(settings: Settings, spans: SpanInput | None) -> list[str]:
    """The files of trips that a run reads, including those of its window's spans."""
    paths = spans.paths if spans else (settings.data,)
    return [file for path in paths for file in find_files(path, settings.city.ignore_files)]


def prepare_push(node: Any, model: Path, settings: Settings) -> None:
    """Switches Pusher's cache off if the model is not the latest pushed; gives a refused push its own cache key.

    A cached Pusher would not restore a lost or replaced model. A cached refusal would outlive its cause.
    """
    offered = is_offered(model, settings.models_dir, settings.push.signing_key)
    node.execution_options.caching_options.enable_cache = offered
    rolled_back = is_rolled_back(model, settings.models_dir)
    node.parameters.parameters["rolled_back"].field_value.int_value = int(rolled_back)


def outcome(handle: metadata.Metadata, execution_id: int) -> tuple[dict[str, list[Any]], bool]:
    """The output artifacts of an execution, and whether they came from the cache."""
    (execution,) = handle.store.get_executions_by_id([execution_id])
    return execution_lib.get_output_artifacts(handle, execution_id), execution.last_known_state == Execution.CACHED
