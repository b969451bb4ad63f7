"""The section of models: learning curves, yardsticks, what the model looks at before and after compression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from farebox.components.errors import number
from farebox.components.evaluator.metrics import RMSE
from farebox.components.model_gate.yardsticks import (
    LIGHTGBM,
    LINEAR_ON_DISTANCE,
    NO_EMBEDDING_DNN,
    PREDICT_MEAN,
    RAW_DNN,
)
from farebox.components.reporter import yardstick_words
from farebox.components.reporter.figures import ModelFigures
from farebox.components.reporter.page.axis import Axis
from farebox.components.reporter.page.blocks import Block, Figure, Section, missing, table
from farebox.components.reporter.page.charts import Chart, bars
from farebox.components.reporter.page.fare_charts import interval

NAMES = {
    PREDICT_MEAN: "the mean fare",
    RAW_DNN: "DNN on raw columns",
    LINEAR_ON_DISTANCE: "line on distance",
    NO_EMBEDDING_DNN: "DNN without embeddings",
    LIGHTGBM: "LightGBM",
    "engineered": "engineered network",
    "reduced": "after reduction",
    "pruned": "after pruning",
    "shipped": "shipped file",
}
CURVES = ((RAW_DNN, "course's baseline, raw columns", "b"), ("network", "engineered network", "a"))


def section(
    measured: ModelFigures | None,
    training: Mapping[str, Any] | None,
    importance: Sequence[Mapping[str, Any]] | None,
    currency: str,
) -> Section:
    """Pictures of how the models learned and compare."""
    blocks: list[Block]
    if measured is None or not training:
        blocks = [missing("No model was trained in this run.")]
    else:
        blocks = [*curves(training, currency), yardsticks(measured, currency), inputs(importance or (), currency)]
    return Section("models", "Models", tuple(blocks))


def curves(training: Mapping[str, Any], currency: str) -> list[Block]:
    """Eval RMSE by epoch of the course's baseline and of the engineered network, each on its own scale."""
    curves_of = {name: training.get(name, {}).get("curve") or [] for name, _, _ in CURVES}
    everything = [value for curve in curves_of.values() for value in curve]
    if not everything:
        return [missing("No learning curves: Trainer's record has none, as in runs of before they were kept.")]
    blocks: list[Block] = []
    for name, title, style in CURVES:
        curve = curves_of[name]
        if not curve:
            blocks.append(missing(f"No learning curve of the {title}: it was not trained."))
            continue
        facts = training[name]
        chart = Chart(Axis("epoch", 0, len(curve) + 1), Axis.over(f"RMSE on eval, {currency}", curve), 220)
        chart.line(list(enumerate(curve, start=1)), style)
        best = facts["best_epoch"]
        if best:
            text = f"epoch {best}: {number(facts['eval_rmse'])}"
            chart.dot(best, curve[best - 1], text, style)
        caption = f"Learning curve: {title}"
        rows = [(str(epoch), number(value)) for epoch, value in enumerate(curve, start=1)]
        note = f"Best epoch {best} of {len(curve)}: RMSE {number(facts['eval_rmse'])} {currency} on eval."
        numbers = table(caption, ("epoch", f"RMSE on eval, {currency}"), rows)
        blocks.append(Figure(caption, f"RMSE on eval, {currency}, own scale", chart.svg(caption), numbers, note))
    return blocks


def yardsticks(measured: ModelFigures, currency: str) -> Figure:
    """RMSE of every yardstick, of the network by stage and of the shipped file, on the same unseen trips."""
    intervals = {**measured.yardstick_intervals, "shipped": measured.intervals.get(RMSE, (None, None))}
    errors = {**measured.yardsticks, **measured.rmse.to_json(), "raw_dnn": measured.rmse.raw_dnn}
    order = [name for name in NAMES if name in errors]
    rows = [
        (errors[name], *intervals.get(name, (None, None)), f"{NAMES[name]}: {number(errors[name])} {currency}")
        for name in order
    ]
    names, title = [NAMES[name] for name in order], "Yardsticks and the network by stage"
    svg = bars(names, f"RMSE on test, {currency}", rows, name=title)
    cells = [
        (NAMES[name], number(value), interval(low, high), against(measured, name))
        for name, (value, low, high, _) in zip(order, rows, strict=True)
    ]
    head = ("model", f"RMSE, {currency}", "interval, 95 %", "the shipped file against it, on the same trips")
    best = NAMES[yardstick_words.best_yardstick(measured)]
    note = (
        f"The best yardstick is {best}. All on the same trips of test, so intervals that overlap may still differ: the "
        "table has the paired interval of the shipped file against each yardstick."
    )
    return Figure(title, f"RMSE on test, {currency}", svg, table(title, head, cells), note)


def against(measured: ModelFigures, name: str) -> str:
    """How much better the shipped file is than a yardstick, with its paired interval; a dash for what is none."""
    if name not in measured.yardsticks:
        return "–"
    value, low, high = yardstick_words.ratio_to(measured, name)
    between = "" if low is None or high is None else f" ({yardstick_words.between_percents(low, high)})"
    return f"{yardstick_words.percent(value) or 'as good'}{between}"


def inputs(importance: Sequence[Mapping[str, Any]], currency: str) -> Block:
    """How much MAE rises if an input is shuffled, before and after compression."""
    if not importance:
        return missing("The importance of inputs was not measured.")
    files = [key for key in importance[0] if key != "input"]
    ranked = sorted(importance, key=lambda row: -max(row[file] for file in files))
    names = [str(row["input"]).replace("_", " ") for row in ranked]
    title, label = "What the model looks at", f"rise of MAE if shuffled, {currency}"
    everything = [row[file] for row in ranked for file in files]
    order = list(range(len(names)))[::-1]
    x = Axis.over(label, [*everything, 0.0], zero=True)
    chart = Chart(x, Axis.of("", [names[each] for each in order]), 60 + 34 * len(names))
    for place, each in enumerate(order):
        for part, (file, style) in enumerate(zip(files, ("b", "a"), strict=False)):
            low, value = place + 0.36 - 0.36 * (part + 1), ranked[each][file]
            chart.rect((0.0, low), (value, low + 0.34), f"{names[each]}, {file}: {number(value)}", style)
    cells = [(name, *(number(row[file]) for file in files)) for name, row in zip(names, ranked, strict=True)]
    first, last = (
        [row["input"] for row in sorted(ranked, key=lambda row: -row[file])] for file in (files[0], files[-1])
    )
    same = "in the same order" if first == last else "in another order"
    note = f"After compression the file ranks its inputs {same}. Permutation importance, mean of three shuffles."
    legend = tuple(zip(("b", "a"), files, strict=False))
    return Figure(title, label, chart.svg(title), table(title, ("input", *files), cells), note, legend)
