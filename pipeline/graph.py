"""The pipeline: wiring only, the same for every runner. Read it top to bottom."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

from tfx.components.pusher.component import Pusher
from tfx.components.trainer.component import Trainer
from tfx.components.transform.component import Transform
from tfx.dsl.components.base import executor_spec
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2
from tfx.types import BaseChannel

from farebox.components.artifacts import EvaluatorBlessing
from farebox.components.atomic_pusher.executor import AtomicPusherExecutor
from farebox.components.device_validator.component import DeviceValidator
from farebox.components.evaluator.component import FileEvaluator
from farebox.components.model_gate.component import ModelGate
from farebox.components.networks.node_settings import as_json
from farebox.components.pca_reducer.component import PcaReducer
from farebox.components.pruner.component import Pruner
from farebox.components.quantizer.component import Quantizer
from farebox.components.reporter.component import Reporter
from farebox.components.trip_example_gen.component import TripExampleGen
from farebox.components.trip_example_gen.curated_schema import CuratedSchema
from farebox.modules import columns
from farebox.modules.card_words import CARD_WORDS
from farebox.modules.slices import FARE_SLICES
from farebox.pipeline import provenance
from farebox.pipeline.node_configs import (
    about,
    description,
    feature_config,
    fitting_config,
    locations_config,
    names_of_features,
    slicing_config,
)
from farebox.pipeline.nodes import (
    ERRORS_MODULE,
    data_checks,
    eval_config,
    ingest_code,
    latest_blessed,
    latest_network,
    latest_pushed,
    outcome,
    span_nodes,
    trip_example_gen,
)
from farebox.pipeline.provenance import code_digest
from farebox.pipeline.settings.beam import worker_args
from farebox.pipeline.settings.load import Settings
from farebox.pipeline.target import Target


def create_pipeline(settings: Settings, target: Target) -> Pipeline:
    """The graph from a city's trips to a pushed `.tflite`, or to the reason why none is pushed."""
    label = columns.FARE
    examples = trip_example_gen(settings, target.spans)
    schema = CuratedSchema(provenance.schema_source(settings))
    pushed = latest_pushed(target)
    spans = span_nodes(settings, target, examples.outputs["examples"], schema.outputs["schema"], pushed)
    raw_examples = (spans[-1] if spans else examples).outputs["examples"]
    data = data_checks(raw_examples, schema.outputs["schema"], settings.data_gate_of_a_run, target, pushed=pushed)
    data_gate = data.gate
    transform = with_code_digest(
        Transform(
            examples=raw_examples,
            schema=schema.outputs["schema"],
            preprocessing_fn="farebox.modules.preprocessing.preprocessing_fn",
            custom_config=feature_config(settings),
            disable_statistics=True,
        ),
        "farebox.modules.preprocessing",
    )
    transform.add_upstream_node(data_gate)
    transform_graph, transformed = transform.outputs["transform_graph"], transform.outputs["transformed_examples"]
    tuners = [tuner(settings, transformed, transform_graph)] if settings.tuner.trials else []
    base = latest_network(transformed, target) if settings.spans.warm_start else []
    trainer = with_code_digest(
        Trainer(
            examples=transformed,
            transform_graph=transform_graph,
            hyperparameters=tuners[0].outputs["best_hyperparameters"] if tuners else None,
            base_model=base[0].outputs["model"] if base else None,
            run_fn="farebox.modules.training.run_fn",
            custom_config=fitting_config(settings),
        ),
        "farebox.modules.training",
    )
    reducer = PcaReducer(
        model=trainer.outputs["model"],
        examples=transformed,
        transform_graph=transform_graph,
        settings=as_json(settings.reducer_of_a_run),
        label=label,
        feature_names=names_of_features(settings),
        code_digest=code_digest("farebox.components.pca_reducer.executor"),
    )
    pruner = Pruner(
        model=reducer.outputs["reduced_model"],
        examples=transformed,
        transform_graph=transform_graph,
        settings=as_json(settings.pruner_of_a_run),
        label=label,
        code_digest=code_digest("farebox.components.pruner.executor"),
    )
    quantizer = Quantizer(
        model=pruner.outputs["pruned_model"],
        unreduced_model=trainer.outputs["model"],
        examples=transformed,
        raw_examples=raw_examples,
        transform_graph=transform_graph,
        settings=as_json(settings.quantizer),
        label=label,
        model_inputs=",".join(settings.model_inputs),
        non_negative=True,
        description=description(settings),
        bands=as_json(settings.bands),
        smallest_label=float(settings.city.fare.min),
        code_digest=code_digest("farebox.components.quantizer.executor"),
    )
    quantized = quantizer.outputs["quantized_model"]
    baseline = pushed or latest_blessed(quantized, target)
    evaluator = with_code_digest(
        FileEvaluator(
            examples=raw_examples,
            example_splits=["test"],
            model=quantized,
            baseline_model=baseline.outputs["model"],
            schema=schema.outputs["schema"],
            eval_config=eval_config(
                settings.gates, [name for name, each in settings.city.extra.items() if each.is_category]
            ),
            module_path="farebox.modules.slicing",
        ).with_id("Evaluator"),
        "farebox.components.evaluator.executor",
        ERRORS_MODULE,
        "farebox.modules.slicing",
    )
    evaluator.exec_properties["slicing"] = json.dumps(slicing_config(settings), sort_keys=True)
    evaluator.outputs["blessing"].type = EvaluatorBlessing  # not a ModelBlessing: ModelGate decides
    model_gate = ModelGate(
        model=quantized,
        raw_examples=raw_examples,
        evaluation=evaluator.outputs["evaluation"],
        model_blessing=evaluator.outputs["blessing"],
        model_run=trainer.outputs["model_run"],
        examples=transformed,
        transform_graph=transform_graph,
        label=label,
        distance=columns.DISTANCE_KM,
        booster_inputs=",".join(columns.BOOSTER_INPUTS),
        bounds=as_json(settings.gates),
        code_digest=code_digest("farebox.components.model_gate.executor"),
    )
    device_validator = DeviceValidator(
        model=quantized,
        reference_model=quantizer.outputs["reference_model"],
        examples=raw_examples,
        input_names=settings.model_inputs,
        max_output=settings.device.max_output_ratio * settings.city.fare.max,
        edge_rows=columns.EDGE_ROWS,
        settings=as_json(settings.device),
        code_digest=code_digest("farebox.components.device_validator.executor"),
    )
    digested = (
        data_gate, transform, *tuners, trainer, reducer, pruner, quantizer, evaluator, model_gate,
        device_validator,
    )  # fmt: skip
    pusher = with_code_digest(
        Pusher(
            model=quantized,
            model_blessing=model_gate.outputs["blessing"],
            infra_blessing=device_validator.outputs["blessing"],
            push_destination=pusher_pb2.PushDestination(
                filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=target.models_dir)
            ),
            custom_config={
                "manifest": provenance.manifest(
                    settings,
                    {examples.id: ingest_code(), **digests(digested)},
                    [span for span, _ in target.spans.window] if target.spans else (),
                ),
                "push": dataclasses.asdict(settings.push),
                "card": CARD_WORDS,
                "promise": [*FARE_SLICES, *settings.city.extra],
                **locations_config(settings),
            },
            custom_executor_spec=executor_spec.ExecutorClassSpec(AtomicPusherExecutor),
        ),
        "farebox.components.atomic_pusher.executor",
    )
    if pushed:  # with the version: the next run's data are held against them
        pusher.spec.inputs["statistics"] = data.statistics.outputs["statistics"]
    reporter = Reporter(
        label=label,
        about=about(settings),
        code_digest=code_digest("farebox.components.reporter.executor"),
        raw_examples=raw_examples,
        examples=transformed,
        transform_graph=transform_graph,
        statistics=data.statistics.outputs["statistics"],
        baseline_statistics=data.baseline[0].outputs["statistics"] if data.baseline else None,
        anomalies=data.validator.outputs["anomalies"],
        verdict=data_gate.outputs["verdict"],
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        reduced_model=reducer.outputs["reduced_model"],
        projection=reducer.outputs["projection"],
        pruned_model=pruner.outputs["pruned_model"],
        pruning=pruner.outputs["pruning"],
        quantized_model=quantized,
        reference_model=quantizer.outputs["reference_model"],
        trials=quantizer.outputs["trials"],
        evaluation=evaluator.outputs["evaluation"],
        gate_blessing=model_gate.outputs["blessing"],
        infra_blessing=device_validator.outputs["blessing"],
        pushed_model=pusher.outputs["pushed_model"],
    )
    nodes = [
        examples, schema, *spans, *data.nodes, transform, *tuners, *base,
        trainer, reducer, pruner, quantizer, baseline, evaluator, model_gate, device_validator, pusher, reporter,
        *outcome(reporter.outputs["report"], settings, target),
    ]  # fmt: skip
    add_beam_args(nodes, settings, target.workers)
    return Pipeline(
        pipeline_name=target.pipeline_name or f"farebox-{settings.city.name}",
        pipeline_root=target.pipeline_root,
        components=nodes,
        enable_cache=True,
        metadata_connection_config=target.metadata,
        beam_pipeline_args=list(settings.beam.pipeline_args),
    )


def add_beam_args(nodes: Iterable[BaseNode], settings: Settings, workers: int) -> None:
    """Gives each Beam node the name of its job, which an engine shows, and its number of processes on this machine.

    TripExampleGen keeps one process: a worker takes about as long to start as ten million rows to ingest.
    """
    for node in nodes:
        if isinstance(node, BaseComponent) and isinstance(node.executor_spec, executor_spec.BeamExecutorSpec):
            args = settings.beam.job_args(settings.city.name, node.id)
            args += worker_args(1 if isinstance(node, TripExampleGen) else workers)
            node.executor_spec.add_beam_pipeline_args(args)


def with_code_digest(node: BaseComponent, *modules: str) -> BaseComponent:
    """The stock node with a digest of our code that it runs, so that TFX's cache misses after a change there."""
    node.exec_properties["code_digest"] = code_digest(*modules)
    return node


def digests(nodes: Iterable[BaseComponent]) -> dict[str, str]:
    """The `code_digest` of each node by its id."""
    return {node.id: node.exec_properties["code_digest"] for node in nodes}


def tuner(settings: Settings, examples: BaseChannel, transform_graph: BaseChannel) -> BaseComponent:
    """The node that searches better values for some of Trainer's settings."""
    from tfx.components.tuner.component import Tuner  # with keras_tuner, Keras 3

    node = Tuner(
        examples=examples,
        transform_graph=transform_graph,
        tuner_fn="farebox.modules.tuning.tuner_fn",
        custom_config={**fitting_config(settings), "tuner": dataclasses.asdict(settings.tuner)},
    )
    return with_code_digest(node, "farebox.modules.tuning")
