"""Steps that make a network's best file cheaper: look-ups to distinct rows, fewer distinct rows, sparse kernels."""

from __future__ import annotations

from collections.abc import Sequence

import tf_keras as keras

from farebox.components.quantizer.bench import Bench
from farebox.components.quantizer.merging import Merging
from farebox.components.quantizer.rungs import RUNGS
from farebox.components.quantizer.tables import PAGES_OPERATORS, with_lookups
from farebox.components.quantizer.trials import QuantizationTrial, cost
from farebox.components.tflite.row_cost import row_cost

LOOKUPS, SPARSE = "look-ups to distinct rows", "sparse kernels"


def try_steps(
    bench: Bench, merging: Merging | None, holding: Sequence[QuantizationTrial], network: str
) -> list[QuantizationTrial]:
    """Tries the steps on the cheapest of the files `holding` the budget that are of a network; for `gzip` on the two
    cheapest: fewer bits are fewer bytes, but leave less of the budget for fewer rows."""
    files = [trial for trial in holding if trial.network == network and not RUNGS[trial.rung].is_trained]
    goal = bench.settings.optimize_for
    ranked = sorted(files, key=lambda trial: cost(trial, goal))[: 2 if goal == "gzip" else 1]
    return [trial for file in ranked for trial in _steps_of(bench, merging, file)]


def _steps_of(bench: Bench, merging: Merging | None, best: QuantizationTrial) -> list[QuantizationTrial]:
    """Tries the steps on a file."""
    network = best.network
    if not bench.allowance.is_left(f"look-ups of the {network} network"):
        return []
    trials, rung, steps = list[QuantizationTrial](), RUNGS[best.rung], tuple[str, ...]()
    has_pages = _has_pages(bench, best)
    thin = with_lookups(bench.networks[network], has_pages=has_pages)
    source = bench.source_of(network) if thin is None else bench.prepare(thin)
    if thin is not None:
        steps = (LOOKUPS,)
        trials.append(bench.try_one(QuantizationTrial(best.rung, network, best.kept_float, steps), source))
    if merging:
        trials += _with_merged_rows(bench, merging, best, has_pages=has_pages)
    if rung.has_float_kernels and not bench.settings.portable:  # tflite-micro has no sparse kernels
        trial = QuantizationTrial(best.rung, network, (), (*steps, SPARSE))
        trials.append(bench.try_one(trial, source, is_sparse=True))
    return [trial for trial in trials if trial.content]


def _has_pages(bench: Bench, best: QuantizationTrial) -> bool:
    """Whether look-ups before the file's tables may be in pages: not before integer activations, nor if one row would
    then cost more than `max_slowdown` allows."""
    layers = bench.networks[best.network].layers
    n_tables = sum(isinstance(layer, keras.layers.Embedding) for layer in layers)
    most = (1 + bench.settings.max_slowdown) * row_cost(bench.reference.content)
    return not RUNGS[best.rung].calibrates and row_cost(best.content) + n_tables * PAGES_OPERATORS <= most


def _with_merged_rows(
    bench: Bench, merging: Merging, best: QuantizationTrial, *, has_pages: bool
) -> list[QuantizationTrial]:
    """Spends what a file leaves of the budget on fewer distinct rows of its tables."""
    trials: list[QuantizationTrial] = []
    room = bench.bound - max(best.error, best.expected_error or 0.0)
    for number, network in merging.networks(bench.networks[best.network], room):
        thin = with_lookups(network, has_pages=has_pages)
        if thin is None or not bench.allowance.is_left(f"{number} distinct rows of the {best.network} network"):
            break
        steps = (f"{number} distinct rows", LOOKUPS)
        trial = QuantizationTrial(best.rung, best.network, best.kept_float, steps)
        trials.append(bench.try_one(trial, bench.prepare(thin)))
        if bench.holds(trial):
            break
    return trials
