"""Models with one planted fault each: the check that refuses it, and its words.

The sound model is the law of the toy trips as a `.tflite`: its error is the trips' noise of 0.3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from farebox.components.evaluator import metrics
from farebox.components.model_gate.model_checks import Evidence, judge
from farebox.components.model_gate.settings import ModelBounds, SliceBounds
from farebox.components.tflite.bands import Bands, fit
from farebox.components.tflite.interpreter import TfliteModel

pytestmark = pytest.mark.slow

BOUNDS = ModelBounds(max_rmse=1.0, max_mae=0.5, max_p95=0.8, slices=SliceBounds(min_rows=30))


def law(raw: dict[str, Any]) -> Any:
    """The mean fare of a toy trip."""
    import tensorflow as tf

    east = (raw["dropoff_longitude"] - raw["pickup_longitude"]) * 82.9
    north = (raw["dropoff_latitude"] - raw["pickup_latitude"]) * 111.2
    rush = (raw["pickup_hour"] >= 16) & (raw["pickup_hour"] < 20)
    return 2.5 + 1.5 * tf.sqrt(east**2 + north**2) + 4.0 * tf.cast(rush, tf.float32)


def on_weekday(change: Callable[[Any], Any], weekday: int = 3) -> Callable[[Any, Any], Any]:
    """Changes the fares of one weekday only."""
    import tensorflow as tf

    return lambda fare, raw: tf.where(raw["pickup_weekday"] == weekday, change(fare), fare)


@dataclasses.dataclass(frozen=True)
class Fault:
    """change: (fare, raw columns) -> fare of the faulty file; check: the one that refuses; words: of its detail."""

    change: Callable[[Any, Any], Any]
    check: str
    words: str = ""
    has_baseline: bool = False


def _log_of(fare: Any) -> Any:
    import tensorflow as tf

    return tf.math.log(fare - 1000.0)


def _swapped(_fare: Any, raw: Any) -> Any:
    """The law with longitude and latitude of the pickup exchanged."""
    return law(raw | {"pickup_longitude": raw["pickup_latitude"], "pickup_latitude": raw["pickup_longitude"]})


FAULTS = {
    "bias of five per cent": Fault(lambda fare, _: 1.05 * fare, "max_bias", "mean error over mean fare, 0.0"),
    "everybody pays the mean": Fault(lambda fare, _: 0.0 * fare + 6.0, "max_rmse", "on all test trips, "),
    "fares in cents": Fault(lambda fare, _: 100.0 * fare, "max_rmse", "on all test trips, "),
    "swapped columns": Fault(_swapped, "max_mae", "on all test trips, "),
    "one weekday a third too dear": Fault(
        on_weekday(lambda fare: 1.33 * fare), "slices.max_bias", "pickup_weekday=3 has"
    ),
    "one weekday free": Fault(on_weekday(lambda fare: 0.0 * fare), "slices.max_bias", "pickup_weekday=3 has"),
    "no rush hour known": Fault(
        lambda _, raw: law(raw | {"pickup_hour": 0 * raw["pickup_hour"]}), "max_p95", "on all test trips, "
    ),
    "NaN on one weekday": Fault(on_weekday(_log_of), "max_rmse", "nan"),
    "worse than the last one": Fault(
        lambda fare, raw: fare + 0.4 * law_sign(raw),
        "max_rmse_increase",
        "RMSE over the last blessed model's 0.",
        has_baseline=True,
    ),
    "worse than the last one on one weekday": Fault(
        lambda fare, raw: on_weekday(lambda fares: fares + 1.5 * law_sign(raw))(fare, raw),
        "slices.max_rmse_increase",
        "pickup_weekday=3 has",
        has_baseline=True,
    ),
}


def law_sign(raw: Any) -> Any:
    """1 or -1, practically at random, so that the mean stays."""
    import tensorflow as tf

    return tf.sign(tf.sin(10_000.0 * raw["pickup_longitude"]))


@pytest.fixture(scope="module")
def file_of(toy_trips) -> Callable[..., bytes]:
    """change -> a `.tflite` that returns `change(law(raw), raw)`."""
    import tensorflow as tf

    from farebox.components.quantizer.conversion import Exported

    names = [name for name in toy_trips.columns["test"] if name != "fare"]
    signature = {name: tf.TensorSpec((None, 1), toy_trips.raw_spec[name].dtype, name) for name in names}

    def convert(change=lambda fare, _: fare) -> bytes:
        exported = Exported(
            lambda raw: {"fare": change(law(raw), raw)}, signature, None
        )  # deletes its folder when collected
        converter = tf.lite.TFLiteConverter.from_saved_model(exported.folder, signature_keys=["serving_default"])
        content: bytes = converter.convert()
        return content

    return convert


@pytest.fixture(scope="module")
def judged(evaluate, tmp_path_factory):
    """files, bands -> the checks by name, from the pipeline's own Evaluator and the bounds above."""

    def run(files: dict[str, bytes], bands: Bands | None = None) -> dict:
        folder = tmp_path_factory.mktemp("judged")
        uri = evaluate(folder, files, max_rmse=BOUNDS.max_rmse, bands=bands)["evaluation"].uri
        evidence = Evidence(
            metrics.by_slice(uri), metrics.by_slice(uri, is_baseline=True), bands.coverage if bands else None
        )
        return {check.name: check for check in judge(evidence, BOUNDS)}

    return run


def test_the_sound_model_passes_every_check(judged, file_of):
    """Its baseline is as good."""
    checks = judged({"model": file_of(), "baseline_model": file_of(lambda fare, raw: fare + 0.01 * law_sign(raw))})
    assert [check.name for check in checks.values() if not check.ok] == []
    assert checks["max_rmse"].value == pytest.approx(0.3, abs=0.05)


@pytest.fixture(scope="module")
def sound_bands(file_of, toy_trips) -> Bands:
    """Those of the sound model, from eval."""
    held_out = toy_trips.columns["eval"]
    return fit(TfliteModel(file_of()).predict(held_out), held_out["fare"], coverage=0.9, n_bands=3, min_rows=50)


def test_sound_ranges_pass_overall_and_in_every_slice(judged, file_of, sound_bands):
    """Noise of 0.3 has nine tenths within 0.49; a baseline has no ranges."""
    files = {"model": file_of(), "baseline_model": file_of(lambda fare, raw: fare + 0.01 * law_sign(raw))}
    checks = judged(files, sound_bands)
    assert checks["max_coverage_shortfall"].ok and checks["slices.max_coverage_shortfall"].ok
    assert abs(checks["max_coverage_shortfall"].value) < 0.06


def test_ranges_of_half_the_width_are_refused_overall_and_in_slices(judged, file_of, sound_bands):
    half = dataclasses.replace(
        sound_bands,
        lower=tuple(end / 2 for end in sound_bands.lower),
        upper=tuple(end / 2 for end in sound_bands.upper),
    )
    checks = judged({"model": file_of()}, half)
    assert not checks["max_coverage_shortfall"].ok and checks["max_coverage_shortfall"].value > 0.2
    assert not checks["slices.max_coverage_shortfall"].ok and "=" in checks["slices.max_coverage_shortfall"].detail


def test_a_second_evaluation_gives_the_same_intervals(evaluate, file_of, tmp_path):
    """To the last digit: a row's jackknife group depends on the row only, so a verdict can be repeated."""
    files = {"model": file_of(), "baseline_model": file_of(lambda fare, raw: fare + 0.01 * law_sign(raw))}
    first, again = (metrics.by_slice(evaluate(tmp_path / n, files, max_rmse=1.0)["evaluation"].uri) for n in "ab")
    overall = first[metrics.OVERALL]
    assert {"rmse", "rmse_diff", "p95_absolute_error"} < set(overall) and len(first) > 20
    assert all(overall[name].lower < overall[name].value < overall[name].upper for name in ("rmse", "rmse_diff"))
    assert again == first


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_refused(judged, file_of, name):
    fault = FAULTS[name]
    files = {"model": file_of(fault.change)} | ({"baseline_model": file_of()} if fault.has_baseline else {})
    check = judged(files)[fault.check]
    assert not check.ok and fault.words in check.detail and check.hint


def test_a_file_that_changes_while_it_is_judged_is_a_bug(evaluate, file_of, tmp_path, monkeypatch):
    """Its bytes are read before and after."""
    from tfx.components.evaluator import executor

    sound, original = file_of(), executor.Executor.Do

    def tampering(self, inputs, outputs, properties):
        original(self, inputs, outputs, properties)
        path = Path(inputs["model"][0].uri, "Format-Serving", "tflite")
        path.write_bytes(path.read_bytes() + b"\0")

    monkeypatch.setattr(executor.Executor, "Do", tampering)
    with pytest.raises(RuntimeError, match="^Evaluator: a file changed while it was judged"):
        evaluate(tmp_path, {"model": sound}, max_rmse=1.0)
