"""Figures, table and picture of the accuracy benchmark, from the results of `accuracy.py`."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from whole_runs import measured_of

from farebox.pipeline.local.run import RunSummary

if TYPE_CHECKING:
    from rich.table import Table

    from farebox.components.reporter.figures import ModelFigures

SHIPPED, NETWORK, LIGHTGBM = "shipped", "network", "lightgbm"
RAW_DNN, NO_EMBEDDING_DNN = "raw_dnn", "no_embedding_dnn"
MODELS = {
    "predict_mean": "predict the mean",
    "linear_on_distance": "linear on distance",
    RAW_DNN: "raw-column DNN",
    NO_EMBEDDING_DNN: "engineered DNN without embeddings",
    LIGHTGBM: "LightGBM",
    NETWORK: "float network",
    SHIPPED: "shipped file",
}
DRAWN = (SHIPPED, NETWORK, NO_EMBEDDING_DNN, "linear_on_distance", RAW_DNN)
COMPARED = ((SHIPPED, LIGHTGBM), (SHIPPED, NO_EMBEDDING_DNN))
COLUMNS = ("model", "eval RMSE", "test RMSE", "spread", "eval ratio", "test ratio")
TABLE_WIDTH = 100
RESAMPLES, LEVEL = 1000, 0.95
WORTH_SEEING = 1.25  # the picture's right end, as a ratio to LightGBM
MAX_BYTES, MAX_TO_RAW_DNN = 30_000, 0.5
MAX_TO_LIGHTGBM, MAX_TO_LIGHTGBM_ELSEWHERE = {"chicago": 0.98}, 1.0

FloatArray = npt.NDArray[np.float64]
Squared = list[dict[str, FloatArray]]  # of each split: fares (n_rows,) and models' squared errors (n_seeds, n_rows)


@dataclasses.dataclass(frozen=True)
class Result:
    """A run of the benchmark, as `accuracy.measure` writes it.

    digest: of all that its figures depend on. eval_rmse: RMSE on eval by model, for those that have one. trainer_cpu_s:
    CPU seconds of Trainer, None if it came from the cache.
    """

    split: int
    seed: int
    digest: str
    eval_rmse: Mapping[str, float]
    trainer_cpu_s: float | None
    summary: RunSummary

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Result:
        """Reads what `to_json` returns."""
        return cls(**{**content, "summary": RunSummary.from_json(content["summary"])})

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {**vars(self), "summary": self.summary.to_json()}


Results = list[list[Result]]  # by split and seed


@dataclasses.dataclass(frozen=True)
class Aim:
    """A figure and the bound that it should not exceed; None for an unknown figure, or no bound."""

    name: str
    value: float | None
    bound: float | None

    @property
    def ok(self) -> bool | None:
        return None if self.value is None or self.bound is None else self.value <= self.bound

    def describe(self) -> str:
        """`bytes of the largest file: 21,480, at most 30,000: yes`."""
        value, bound = (
            "unknown" if x is None else f"{x:,.0f}" if x >= 1000 else f"{x:.3f}" for x in (self.value, self.bound)
        )
        return (
            f"{self.name}: {value}"
            if self.ok is None
            else f"{self.name}: {value}, at most {bound}: {'yes' if self.ok else 'no'}"
        )


def test_errors(summary: RunSummary) -> dict[str, float]:
    """RMSE on test by model."""
    measured: ModelFigures = measured_of(summary)
    return {**measured.yardsticks, NETWORK: measured.rmse.engineered, SHIPPED: measured.rmse.shipped}


# The figures: `rmse` is of shape (n_splits, n_seeds)


def spread(rmse: FloatArray) -> float | None:
    """Standard deviation over seeds (1 delta degree of freedom) within a split, averaged; None for a single seed."""
    return float(rmse.std(axis=1, ddof=1).mean()) if rmse.shape[1] > 1 else None


def ratio(rmse: FloatArray, reference: FloatArray) -> float:
    """Ratio of the means over seeds, averaged over splits."""
    return float((rmse.mean(axis=1) / reference.mean(axis=1)).mean())


def bootstrap_interval(
    squared: Sequence[FloatArray], reference: Sequence[FloatArray], resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of `ratio` over resampled test rows (Efron 1979), the same rows for both models.

    squared, reference: the squared errors of each split, shape (n_seeds, n_rows).
    """
    random = np.random.default_rng(seed)
    drawn = np.empty((len(squared), resamples))
    for split, pair in enumerate(zip(squared, reference, strict=True)):
        n_seeds, n_rows = pair[0].shape
        both = np.concatenate(pair)
        for i in range(resamples):
            times = np.bincount(random.integers(n_rows, size=n_rows), minlength=n_rows)
            rmse = np.sqrt(both @ times / n_rows)
            drawn[split, i] = rmse[:n_seeds].mean() / rmse[n_seeds:].mean()
    low, high = np.quantile(drawn.mean(axis=0), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def by_model(results: Results, errors_of: Callable[[Result], Mapping[str, float]]) -> dict[str, FloatArray]:
    """RMSE by model, of shape (n_splits, n_seeds); only models that have one in every run."""
    errors = [[errors_of(result) for result in split] for split in results]
    known = [name for name in MODELS if all(name in each for split in errors for each in split)]
    return {name: np.array([[each[name] for each in split] for split in errors]) for name in known}


def table_of(held: Mapping[str, FloatArray], test: Mapping[str, FloatArray]) -> dict[str, dict[str, float | None]]:
    """A row per model, from RMSE on eval and on test; None if a model has no such figure."""
    return {
        name: {
            "eval_rmse": float(held[name].mean()) if name in held else None,
            "test_rmse": float(test[name].mean()),
            "spread": spread(test[name]),
            "eval_ratio": ratio(held[name], held[LIGHTGBM]) if name in held else None,
            "test_ratio": ratio(test[name], test[LIGHTGBM]),
        }
        for name in test
    }


def intervals_of(squared: Squared, test: Mapping[str, FloatArray]) -> list[dict[str, Any]]:
    """Ratios on test with their intervals: the shipped file to two models, and all models to LightGBM."""
    pairs = dict.fromkeys([*COMPARED, *((name, LIGHTGBM) for name in MODELS if name != LIGHTGBM)])
    intervals = []
    for model, reference in pairs:
        low, high = bootstrap_interval([one[model] for one in squared], [one[reference] for one in squared])
        pair = {"model": model, "reference": reference, "ratio": ratio(test[model], test[reference])}
        intervals.append({**pair, "low": low, "high": high})
    return intervals


def aims_of(city: str, test: Mapping[str, FloatArray], n_bytes: int, trainer_cpu_s: float | None) -> list[Aim]:
    """The figures that the product promises, with their bounds; Trainer's time has no bound."""
    to_booster = MAX_TO_LIGHTGBM.get(city, MAX_TO_LIGHTGBM_ELSEWHERE)
    return [
        Aim("shipped / LightGBM, test", ratio(test[SHIPPED], test[LIGHTGBM]), to_booster),
        Aim("shipped / DNN without embeddings, test", ratio(test[SHIPPED], test[NO_EMBEDDING_DNN]), 1.0),
        Aim("shipped / raw-column DNN, test", ratio(test[SHIPPED], test[RAW_DNN]), MAX_TO_RAW_DNN),
        Aim("bytes of the largest file", n_bytes, MAX_BYTES),
        Aim("CPU seconds of Trainer, median", trainer_cpu_s, None),
    ]


# Output


def report(out: Path, overrides: Sequence[str], results: Results, squared: Squared) -> None:
    """Prints the table; writes accuracy.json, accuracy.md and accuracy.png into `out`."""
    from rich.console import Console

    runs = [run_facts(result) for split in results for result in split]
    held = by_model(results, lambda result: result.eval_rmse)
    test = by_model(results, lambda result: test_errors(result.summary))
    first = results[0][0].summary
    city, currency = first.city, first.currency
    times = [run["trainer_cpu_s"] for run in runs if run["trainer_cpu_s"] is not None]
    table, intervals = table_of(held, test), intervals_of(squared, test)
    aims = aims_of(city, test, max(run["bytes"] for run in runs), statistics.median(times) if times else None)
    rows = [len(one["fares"]) for one in squared]
    facts = {
        "city": city,
        "currency": currency,
        "splits": [split[0].split for split in results],
        "seeds": [result.seed for result in results[0]],
        "test_rows": rows,
        "overrides": list(overrides),
        "lane": first.lane,
    }
    title = f"{city}: {plural(len(results), 'split')} x {plural(len(results[0]), 'training seed')}, RMSE in {currency}"
    lines = [
        f"{' + '.join(f'{n:,}' for n in rows)} test rows; ratio: to LightGBM; spread: standard deviation over seeds",
        *(describe_interval(one) for one in intervals[: len(COMPARED)]),
        *(aim.describe() for aim in aims),
    ]
    console = Console(highlight=False, soft_wrap=True, width=max(Console().width, TABLE_WIDTH))
    console.print(rich_table(title, table))
    console.print("\n".join(lines), markup=False)
    listed = [{**dataclasses.asdict(aim), "ok": aim.ok} for aim in aims]
    content = {**facts, "models": table, "intervals": intervals, "aims": listed, "runs": runs}
    (out / "accuracy.json").write_text(json.dumps(content, indent=2) + "\n")
    (out / "accuracy.md").write_text(markdown(title, table, lines))
    draw(out / "accuracy.png", title.rpartition(",")[0], test, against_lightgbm(intervals))


def against_lightgbm(intervals: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The intervals whose reference is LightGBM, by model."""
    return {each["model"]: each for each in intervals if each["reference"] == LIGHTGBM}


def plural(n: int, noun: str) -> str:
    """`1 split`, `3 splits`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def run_facts(result: Result) -> dict[str, Any]:
    """The figures of a run that accuracy.json keeps."""
    figures = result.summary.figures
    measured: ModelFigures = measured_of(result.summary)
    return {
        "split": result.split,
        "seed": result.seed,
        "eval_rmse": result.eval_rmse,
        "trainer_cpu_s": result.trainer_cpu_s,
        "test_rmse": test_errors(result.summary),
        "bytes": measured.model.bytes,
        "blessed": figures.blessed,
        "refused_by": [gate.name for gate in figures.gates if not gate.ok],
        "run_id": result.summary.run_id,
    }


def cells_of(name: str, row: Mapping[str, float | None]) -> list[str]:
    """A row of the table as text."""
    return [MODELS[name], *("–" if value is None else f"{value:.3f}" for value in row.values())]


def rich_table(title: str, table: Mapping[str, Mapping[str, float | None]]) -> Table:
    """The table for a terminal."""
    from rich import box
    from rich.table import Table

    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in COLUMNS:
        shown.add_column(column, justify="left" if column == COLUMNS[0] else "right", no_wrap=True)
    for name, row in table.items():
        shown.add_row(*cells_of(name, row), style="bold" if name == SHIPPED else None)
    return shown


def markdown(title: str, table: Mapping[str, Mapping[str, float | None]], lines: Sequence[str]) -> str:
    """The table and lines in Markdown."""
    rows = [COLUMNS, ("---", *("--:" for _ in COLUMNS[1:])), *(cells_of(name, row) for name, row in table.items())]
    return "\n".join(
        [f"## {title}", "", *(f"| {' | '.join(row)} |" for row in rows), "", *(f"- {x}" for x in lines), ""]
    )


def describe_interval(one: Mapping[str, Any]) -> str:
    """`shipped file / LightGBM on test: 0.981, 95 % interval 0.970 to 0.993`."""
    pair = f"{MODELS[one['model']]} / {MODELS[one['reference']]}"
    return f"{pair} on test: {one['ratio']:.3f}, {LEVEL * 100:.0f} % interval {one['low']:.3f} to {one['high']:.3f}"


def draw(path: Path, title: str, test: Mapping[str, FloatArray], intervals: Mapping[str, Mapping[str, Any]]) -> None:
    """Draws a dot per run, the ratio to LightGBM and its interval; a model too far to the right is a number there."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 5), layout="constrained")
    axes.axvline(1, color="#444444", linewidth=1.5)
    for height, name in enumerate(DRAWN):
        interval, color = intervals[name], "#c2500a" if name == SHIPPED else "#33638d"
        if interval["ratio"] > WORTH_SEEING:
            at_right = axes.get_yaxis_transform()
            axes.text(0.99, height, f"{interval['ratio']:.2f} →", transform=at_right, ha="right", **label(color))
            continue
        dots = test[name] / test[LIGHTGBM]
        heights = np.repeat(height + np.linspace(-0.2, 0.2, len(dots) + 2)[1:-1], dots.shape[1])  # a line per split
        axes.plot(dots.ravel(), heights, "o", color=color, alpha=0.4, markersize=7, markeredgewidth=0)
        axes.plot((interval["low"], interval["high"]), (height, height), "|-", color=color, linewidth=2, markersize=14)
        axes.plot(interval["ratio"], height, "D", color=color, markersize=9)  # need not lie within the interval
        axes.text(interval["ratio"], height - 0.33, f"{interval['ratio']:.3f}", ha="center", **label(color))
    axes.set_ylim(len(DRAWN) - 0.5, -0.6)
    axes.set_yticks(range(len(DRAWN)), [MODELS[name] for name in DRAWN], fontsize=14)
    axes.tick_params(axis="x", labelsize=13)
    axes.set_xlabel("RMSE on test over LightGBM's, which is 1", fontsize=14)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    figure.suptitle(title, fontsize=16, x=0.01, ha="left")
    figure.supxlabel("dot: a run; diamond: mean; bar: 95 % interval over test rows", fontsize=12, x=0.99, ha="right")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def label(color: str) -> dict[str, Any]:
    """Style of the numbers in the picture."""
    return {"color": color, "fontsize": 13, "va": "center"}
