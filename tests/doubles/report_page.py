"""A page of a made-up run, every section filled, for tests: its numbers come from the report's own functions."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

import numpy as np

from farebox.components.device_validator.runtimes.table import RuntimeTrial
from farebox.components.errors import Check
from farebox.components.model_gate.judgement import LastBlessed, SliceErrors
from farebox.components.reporter import compression, fares
from farebox.components.reporter.figures import (
    Figures,
    FileSize,
    Latency,
    ModelFigures,
    RangeFigures,
    Rows,
    ShippedModel,
    StageRmse,
)
from farebox.components.reporter.page.lineage import NodeRun, RunFacts
from farebox.components.reporter.page.render import About, Page
from farebox.components.tflite.bands import Bands
from farebox.components.trip_example_gen.judging.losses import FileRows, Losses


def without_term_links(html: str) -> str:
    """A page's HTML without the links from words to their explanation."""
    return re.sub(r'<a class="term"[^>]*>(.*?)</a>', r"\1", html)


YARDSTICKS = {
    "predict_mean": 9.5, "linear_on_distance": 4.0, "raw_dnn": 9.25, "no_embedding_dnn": 3.593,
    "lightgbm": 3.75,
}  # fmt: skip
ROWS = FileRows(2040, 2000, 0, Counter({("fare_out_of_bounds", "fare"): 40}))
LOSSES = Losses(ROWS, {"data/trips.csv": ROWS})
FACTS = RunFacts(
    nodes=(NodeRun("TripExampleGen", 1.5, 2.0, 700), NodeRun("Trainer", 9.0, None, 900, is_cached=True)),
    settings={"gates.max_rmse": "4.5"},
    changed={"training.seed": ("the default", "1")},
    command="farebox run --city lisbon",
    source="data/trips.csv",
    lane="A",
    commit="0123456789ab",
    defaults={"gates.max_rmse": "9.0"},
    seeds={"split.seed": 0, "training.seed": 17},
    python="3.10.13",
    machine="AMD EPYC, x86_64, 2 cores",
    libraries={"tfx": "1.16.0"},
)
CLOSEST = Check("max_rmse", 3.6, 4.0, ok=True, lower=2.9, upper=4.3)
GATES = (
    Check("rejected_share", 0.02, 0.2, ok=True),
    CLOSEST,
    Check("rows", 2000, 1000, ok=True, at_least=True),
    Check("anomalies", 0, 0, ok=True),
    Check("drift", 0, None, ok=True, detail="no baseline yet: no other data have led to a blessed model"),
    Check("memory_kib", 7000, 9600, ok=True, detail="1.00 x the reference's"),
    Check("skew.fare", 0.01, 0.03, ok=True, detail="Jensen-Shannon of test against train"),
)
REFUSING = Check("max_rmse", 4.8, 4.0, ok=False, hint="train on more trips", lower=4.2, upper=5.4)


def measured() -> ModelFigures:
    """Figures by hand: RMSE 3.6, 10 % below the line's 4.0 and 4 % below LightGBM's 3.75."""
    errors = 3.0, 2.0, 0.1, 6.0, 0.9, 5.0, {"rmse": (2.5, 3.5)}
    hours = tuple(SliceErrors(f"pickup_hour={hour}", 40, *errors) for hour in range(24))
    days = tuple(SliceErrors(f"pickup_weekday={day}", 90, *errors) for day in range(7))
    bands = ("under 1 km", "1-2 km", "2-5 km", "over 10 km")
    near = tuple(SliceErrors(f"distance_band={band}", 90, 3.0, 2.0, 0.1, 6.0) for band in bands)
    return ModelFigures(
        rows=Rows(2040, 2000, 40), yardsticks=YARDSTICKS, rmse=StageRmse(9.5, 4.0, 9.25, 3.5, 3.5, 3.5, 3.6), mae=1.7,
        bias=-0.25, p95_absolute_error=5.0, intervals={"rmse": (2.9, 4.3)}, baseline=None,
        slices=(*hours, *days, *near), tuned=None,
        model=ShippedModel(
            "x", 1345, 0.5, 2, "int8_weights", "reduced", ("look-ups",), "ab" * 32, 10064, 4710, {"ADD": 3}
        ),
        unreduced=FileSize(14272, 9385), latency_us=Latency(5.9, 6.6), ranges=RangeFigures(2, 0.9, 0.88, 5.5),
        runtimes=(
            RuntimeTrial("compiled_model", "CompiledModel", "1.4.0", "runs", "", 0.0),
            RuntimeTrial("tflite_micro", "tflite-micro", None, "not tried"),
        ),
        machine="AMD EPYC, x86_64, 2 cores",
        yardstick_intervals={"lightgbm": (3.0, 4.5)}, median_absolute_error=0.9,
        yardstick_ratios={"linear_on_distance": (0.9, 0.85, 0.95), "lightgbm": (0.96, 0.9, 1.02),
                          "no_embedding_dnn": (1.002, 0.98, 1.024)},
    )  # fmt: skip


def sections() -> dict[str, object]:
    """Contents of every section, of 400 random trips."""
    random = np.random.default_rng(0)
    actual = random.gamma(2.0, 6.0, 400) + 3
    columns = {
        "pickup_longitude": random.normal(-9.14, 0.02, (400, 1)),
        "pickup_latitude": random.normal(38.72, 0.02, (400, 1)),
        "dropoff_longitude": random.normal(-9.14, 0.02, (400, 1)),
        "dropoff_latitude": random.normal(38.72, 0.02, (400, 1)),
        "pickup_hour": random.integers(0, 24, (400, 1)),
        "pickup_weekday": random.integers(0, 7, (400, 1)),
    }
    predicted = actual + random.normal(0, 2, 400)
    trips = fares.JudgedTrips(columns, actual, predicted, Bands(0.9, (12.0,), (-3.0, -6.0), (3.0, 6.0)), 400)
    files = {
        "before compression": lambda each: each["dropoff_latitude"] * 2,
        "shipped file": lambda each: each["dropoff_latitude"] + each["pickup_hour"],
    }
    ratios = np.array([0.7, 0.2, 0.06, 0.04])
    return {
        "fares": fares.content(trips),
        "importance": fares.importance(trips, list(columns), files),
        "training": {
            "raw_dnn": {"curve": [9.6, 9.3, 9.25], "best_epoch": 3, "eval_rmse": 9.25},
            "network": {"curve": [5.0, 3.9, 4.0], "best_epoch": 2, "eval_rmse": 3.9},
        },
        "projection": {
            "layer": "hidden_0", "space": "preactivation", "method": "pca", "k": 2, "n_features": 4, "why": "budget",
            "features": ["distance_km", "bearing_sine", "pickup_hour_sine", "log_km"], "ratios": ratios.tolist(),
            "loadings": np.round(random.uniform(-1, 1, (2, 4)), 2).tolist(),
            "codes": np.round(random.normal(0, 1, (60, 3)), 3).tolist(),
        },
        "pruning": {
            "why": "half is the sparsest that holds", "criterion": "magnitude", "sparsity": 0.5,
            "sparsity_by_layer": {"hidden_0": 0.5},
            "steps": {"hidden_0": [{"step": s, "target": s / 40, "reached": s / 41} for s in range(0, 21, 5)]},
            "masks": {"hidden_0": compression.mask_runs(random.random((12, 32)) < 0.5)},
        },
        "ladder": ladder(),
        "statistics": {
            "rows": {"train": 1600, "eval": 200, "test": 200},
            "features": [{"name": "fare", "present": 1600, "missing": 0, "mean": 12.0, "std": 5.0, "min": 3.0,
                          "median": 9.5, "max": 80.0}],
            "histograms": {
                "fare": {"edges": [0, 10, 20, 40], "shares": {"train": [0.5, 0.3, 0.2], "test": [0.4, 0.4, 0.2]}},
                "pickup_weekday": {"values": list("0123456"), "shares": {"train": [0.1] * 7, "test": [0.12] * 7}},
            },
        },
        "origin": {"spans": "", "fingerprint": "split:single,num_files:1", "days": ["2025-01-01", "2025-12-30"]},
    }  # fmt: skip


def ladder() -> dict[str, object]:
    """Twelve candidates, most of them close to one another: their labels would cover each other."""
    trials = [
        {
            "rung": rung, "network": network, "kept_float": [], "steps": [], "error": 3.5 + step / 1000,
            "bytes": 10_000 + 40 * step, "gzip_bytes": 5000, "latency_us": {"p50": 5.9}, "verdict": "holds",
            "reason": "not the cheapest",
        }
        for step, (rung, network) in enumerate(
            (rung, network) for rung in ("float32", "float16", "int8", "int8_weights", "16x8", "dynamic")
            for network in ("reduced", "unreduced")
        )
    ]  # fmt: skip
    trials[6]["verdict"] = "chosen"
    return {
        "network": "reduced", "bound": 3.52, "metric": "rmse", "why": "the cheapest by size", "trials": trials,
        "harms": [{"network": "reduced", "rung": "int8", "node": "a/hidden_0", "error": 3.6, "increase": 0.1}],
        "parts": {
            "operators: FULLY_CONNECTED": 4000, "constants: FULLY_CONNECTED": 3000, "shared by operators, head": 2000,
            "constants: MUL": 64, **{f"operators: KIND_{i}": 62 - i for i in range(20)},
        },
    }  # fmt: skip


def page(kind: str = "shipped") -> Page:
    """The page of a `shipped`, a `refused` or a `no model` run, or of one that follows another: `next`."""
    split = {"shares": [8, 1, 1], "seed": 0, "by_time": True}
    about = About("lisbon", "EUR", "20260102-030405-006", "2026-01-02", split)
    figures = Figures(measured(), GATES, blessed=True, pushed="models/lisbon/abc", losses=LOSSES)
    if kind == "no model":
        check = Check("rejected_share", 0.4, 0.2, ok=False, detail="40 of 100 rows rejected", hint="mend the source")
        return Page(Figures.of_refusal((check,)), {}, about, FACTS)
    if kind == "refused":
        figures = Figures(measured(), (*GATES, REFUSING), blessed=False, pushed=None, losses=LOSSES)
    if kind == "next":
        last = LastBlessed("cd" * 32, {"rmse": 3.8, "mae": 1.8})
        drift = Check("drift.fare", 0.02, 0.03, ok=True, detail="Jensen-Shannon of train against the last blessed run")
        change = Check("max_rmse_increase", -0.2, 0.07, ok=True, lower=-0.3, upper=-0.1)
        gates = (*(gate for gate in GATES if gate.name != "drift"), drift, change)
        figures = Figures(dataclasses.replace(measured(), baseline=last), gates, blessed=True, pushed="models/lisbon/b")
    return Page(figures, sections(), about, FACTS)
