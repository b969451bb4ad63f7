"""Names of gates as people say them."""

from __future__ import annotations

from farebox.components.device_validator.runtimes.table import RUNTIMES

WORDS = {
    "anomalies": "values that break the schema",
    "rejected_share": "share of rows rejected",
    "files_without_trips": "files without a trip",
    "repeated_files": "files that repeat rows of others",
    "misfits": "share of rows that do not fit the city file",
    "hours": "hours of the day with trips",
    "loss": "difference between rejected and kept rows",
    "rows": "trips to learn from",
    "split_rows": "trips in the smallest part",
    "drift": "change since the data of the last accepted model",
    "max_rmse": "RMSE on unseen trips",
    "max_mae": "mean absolute error",
    "max_p95": "error that 95 % of trips stay below",
    "max_bias": "mean error, as a share of the mean fare",
    "max_rmse_increase": "RMSE above the last accepted model's",
    "max_coverage_shortfall": "coverage of the ranges below their promise",
    "max_ratio_to_yardstick": "RMSE over that of a DNN without embeddings",
    "bytes": "size of the file, bytes",
    "gzip_bytes": "size in transit, bytes",
    "latency_p50_us": "time of one fare, median, µs",
    "latency_p99_us": "time of one fare, 99th percentile, µs",
    "memory_kib": "memory of one fare, KiB",
    "mean_difference": "mean difference from the uncompressed file",
    "max_difference": "largest difference from the uncompressed file",
    "rolled_back": "versions that a person rolled back",
    "survives": "the runtime survives the file",
    "loads": "the runtime opens the file",
    "custom_ops": "operators that a plain runtime lacks",
    "unknown_inputs": "inputs that a device does not have",
    "input_types": "inputs of another type than a device has",
    "runs": "the runtime runs the file",
    "output_width": "numbers that the file answers for a trip",
    "not_finite": "answers that are no number",
    "smallest_output": "smallest fare that the file answers",
    "largest_output": "largest fare that the file answers",
    "repeat_gap": "difference if the same trips run twice",
    "batch_gap": "difference of a trip alone and among others",
    "threads_gap": "difference of one and two threads",
    "delegate_gap": "difference with and without XNNPACK, the runtime's fast kernels",
}
KINDS = {
    "drift": "drift of {}",
    "skew": "difference of {} between train, eval and test",
    "loss": "difference of {} between rejected and kept rows",
    "slices": "worst slice: {}",
}
EDGE, RUNS_ON = "edge_", "runs_on_"


def in_words(name: str) -> str:
    """A check's name as people say it: `skew.fare` is `difference of fare between train, eval and test`."""
    kind, _, rest = name.partition(".")
    if rest and kind in KINDS:
        return KINDS[kind].format(WORDS.get(rest, rest.replace("_", " ")))
    if name.startswith(EDGE):
        return f"extreme inputs: {in_words(name.removeprefix(EDGE))}"
    if name.removeprefix(RUNS_ON) in RUNTIMES:
        return f"{RUNTIMES[name.removeprefix(RUNS_ON)].title}: difference from the usual runtime"
    return WORDS.get(name, name.replace("_", " "))
