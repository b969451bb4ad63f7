"""The nodes that find what earlier runs left: baselines, and a first network."""

from __future__ import annotations

from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.types import BaseChannel, Channel
from tfx.types.standard_artifacts import ExampleStatistics, InfraBlessing, Model, ModelBlessing

from components.baseline_statistics import LatestBlessedStatisticsStrategy
from components.latest_blessed import LatestOtherBlessedStrategy
from components.latest_network import LatestNetworkStrategy
from components.latest_pushed import LatestPushed
from pipeline.code_digest import code_digest
from pipeline.target import Target


def latest_blessed(candidate: BaseChannel, target: Target) -> BaseNode:
    """The model to compare with: of those that both ModelGate, whose blessings are the only ModelBlessings, and
    DeviceValidator blessed.

    Orchestrators that are not ours know no strategy of ours, and Kubeflow knows no resolver: there it is what was
    pushed last.
    """
    if target.metadata is None:
        return LatestPushed(target.models_dir, code_digest("components.latest_pushed"))
    channels = {"model": Channel(type=Model), "model_blessing": Channel(type=ModelBlessing)}
    node = Resolver(
        strategy_class=LatestOtherBlessedStrategy,
        config={"models_dir": target.models_dir},
        candidate=candidate,
        infra_blessing=Channel(type=InfraBlessing),
        **channels,
    )
    return node.with_id("LatestBlessed")


def latest_network(examples: BaseChannel, target: Target) -> list[Resolver]:
    """The network of the latest blessed model, but for those of the same examples; no node where the orchestrator
    knows no strategy of ours."""
    if target.metadata is None:
        return []
    node = Resolver(
        strategy_class=LatestNetworkStrategy,
        config={"models_dir": target.models_dir, "network_key": "unreduced_model", "examples_key": "examples"},
        candidate=examples,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
        infra_blessing=Channel(type=InfraBlessing),
    )
    return [node.with_id("LatestNetwork")]


def latest_blessed_statistics(
    candidate: BaseChannel, target: Target, node_id: str = "LatestStatistics"
) -> list[Resolver]:
    """The data to compare with, other than the candidate; no node where the orchestrator knows no strategy of ours."""
    if target.metadata is None:
        return []
    node = Resolver(
        strategy_class=LatestBlessedStatisticsStrategy,
        config={"models_dir": target.models_dir},
        candidate=candidate,
        statistics=Channel(type=ExampleStatistics),
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
        infra_blessing=Channel(type=InfraBlessing),
    )
    return [node.with_id(node_id)]
