"""RegressionErrors: merged sums give numpy's metrics and a jackknife's standard errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.components.evaluator.group_sums import NAMES, Sums
from farebox.components.evaluator.metrics import BIAS, COUNT, COVERAGE, GROUPS, MAE, MEAN_LABEL, P95, RANGE_WIDTH, RMSE
from farebox.components.evaluator.regression_errors import RegressionErrors, jackknifed
from farebox.components.tflite.bands import Bands

numbers = st.floats(-1e4, 1e4)
groups = st.integers(0, GROUPS - 1)


def sums_of(labels, predictions, of_group) -> Sums:
    sums = Sums()
    sums.add(np.asarray(labels, float), np.asarray(predictions, float), np.asarray(of_group, int))
    return sums


def expected(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """numpy's metrics; NaN without rows."""
    if not len(labels):
        return dict.fromkeys(NAMES, np.nan)
    error = predictions - labels
    return {
        RMSE: np.sqrt(np.mean(error**2)),
        MAE: np.abs(error).mean(),
        BIAS: error.mean(),
        P95: np.quantile(np.abs(error), 0.95, method="inverted_cdf"),
        MEAN_LABEL: labels.mean(),
    }


@given(rows=st.lists(st.tuples(numbers, numbers, groups), min_size=1, max_size=40), cut=st.integers(0, 40))
def test_two_merged_parts_equal_numpy_over_all_rows_and_without_each_group(rows, cut):
    labels, predictions, of_group = np.array(rows).T
    merged = sums_of(labels[:cut], predictions[:cut], of_group[:cut])
    merged.merge(sums_of(labels[cut:], predictions[cut:], of_group[cut:]))
    metrics = merged.metrics()
    for i in range(-1, GROUPS):
        kept = of_group != i
        for name, value in expected(labels[kept], predictions[kept]).items():
            rel, least = (0.0051, 1.1e-6) if name == P95 else (1e-6, 1e-6)
            assert metrics[name][i + 1] == pytest.approx(value, rel=rel, abs=least, nan_ok=True)


def test_merging_does_not_change_the_merged_part():
    """Beam may merge a part more than once."""
    part, whole = sums_of([1.0], [2.0], [3]), sums_of([5.0], [1.0], [3])
    whole.merge(part)
    np.testing.assert_array_equal(part.sums, sums_of([1.0], [2.0], [3]).sums)
    assert part.buckets.total() == 1
    assert whole.sums[0].tolist() == [0, 0, 0, 2] + [0] * 16 and whole.buckets.total() == 2


def test_a_prediction_that_is_not_finite_shows_in_the_metrics():
    metrics = sums_of([1.0, 2.0], [1.0, float("nan")], [0, 1]).metrics()
    assert np.isnan(metrics[RMSE][0]) and np.isnan(metrics[BIAS][0]) and metrics[P95][0] == np.inf
    assert all(np.isnan(values).all() for values in Sums().metrics().values())


def test_the_standard_error_of_a_mean():
    """For groups of equal size, the jackknife's standard error of the mean is that of the groups' means."""
    rng = np.random.default_rng(0)
    labels, of_group = rng.normal(10, 3, 400), np.arange(400) % GROUPS
    estimate = jackknifed(sums_of(labels, np.zeros(400), of_group).metrics()[MEAN_LABEL])
    means = np.array([labels[of_group == i].mean() for i in range(GROUPS)])
    assert estimate.unsampled_value == pytest.approx(labels.mean()) == estimate.sample_mean
    assert estimate.sample_standard_deviation == pytest.approx(means.std(ddof=1) / np.sqrt(GROUPS))
    assert estimate.sample_degrees_of_freedom == GROUPS - 1


def computed(rows: list[dict], model_names: list[str], eval_config=None, bands=None) -> dict:
    """TFMA's metric values from extracts of many rows, by (model, name, is_diff)."""
    (computation,) = RegressionErrors(hash_key="of", bands=bands).computations(
        eval_config=eval_config, model_names=model_names
    )
    (preprocessor,), combiner = computation.preprocessors, computation.combiner
    parts = []
    for extracts in rows:
        part = combiner.create_accumulator()
        for element in preprocessor.process(extracts):
            part = combiner.add_input(part, element)
        parts.append(part)
    output = combiner.extract_output(combiner.merge_accumulators(parts))
    assert sorted(output) == sorted(computation.keys)
    return {(key.model_name, key.name, key.is_diff): value for key, value in output.items()}


def test_a_baseline_is_measured_on_the_same_rows():
    """The difference has a smaller standard error: common errors cancel."""
    from tensorflow_model_analysis.proto import config_pb2

    specs = [config_pb2.ModelSpec(name="new"), config_pb2.ModelSpec(name="old", is_baseline=True)]
    rng = np.random.default_rng(1)
    labels = rng.normal(10, 3, (2, 600, 1))
    wrong = labels + rng.normal(0, 2, labels.shape)
    extracts = [
        {"labels": label, "predictions": {"new": guess + 0.1, "old": {"fare": guess}}, "of": np.arange(600) * 7}
        for label, guess in zip(labels, wrong, strict=True)
    ]
    values = computed(extracts, ["new", "old"], config_pb2.EvalConfig(model_specs=specs))
    assert values["new", COUNT, False] == 1200 and ("old", BIAS, True) not in values
    new, old, difference = values["new", BIAS, False], values["old", BIAS, False], values["new", BIAS, True]
    assert difference.unsampled_value == pytest.approx(0.1)
    assert difference.unsampled_value == pytest.approx(new.unsampled_value - old.unsampled_value)
    assert difference.sample_standard_deviation < 1e-9 < 0.01 < new.sample_standard_deviation


@pytest.mark.parametrize("n_parts", [1, 3])
def test_ranges_are_measured_for_the_candidate_only(n_parts):
    """Share of labels in their ranges and mean width, by numpy; without bands there is neither."""
    from tensorflow_model_analysis.proto import config_pb2

    specs = [config_pb2.ModelSpec(name="new"), config_pb2.ModelSpec(name="old", is_baseline=True)]
    rng = np.random.default_rng(1)
    guesses = rng.uniform(3, 20, 600)
    labels = guesses + rng.normal(0, 2, 600)
    extracts = [
        {"labels": labels[i::n_parts], "predictions": {"new": guesses[i::n_parts], "old": guesses[i::n_parts]},
         "of": np.arange(600)[i::n_parts]} for i in range(n_parts)
    ]  # fmt: skip
    bands = Bands(0.9, (10.0,), (-1.0, -2.0), (2.0, 4.0), (100, 100), floor=2.5)
    config = config_pb2.EvalConfig(model_specs=specs)
    values = computed(extracts, ["new", "old"], config, bands.to_json())
    low = np.minimum(np.maximum(guesses - np.where(guesses < 10, 1, 2), 2.5), guesses)
    high = guesses + np.where(guesses < 10, 2, 4)
    covered, width = values["new", COVERAGE, False], values["new", RANGE_WIDTH, False]
    assert covered.unsampled_value == pytest.approx(((low <= labels) & (labels <= high)).mean())
    assert width.unsampled_value == pytest.approx((high - low).mean())
    assert covered.sample_standard_deviation == pytest.approx(np.sqrt(0.75 * 0.25 / 600), rel=0.5)
    assert {(name, is_diff) for model, name, is_diff in values if model == "old"} == {
        (name, False) for name in (*NAMES, COUNT)
    }
    assert not {COVERAGE, RANGE_WIDTH} & {name for _, name, _ in computed(extracts, ["new", "old"], config)}


def test_a_model_that_is_not_finite_has_metrics_that_are_not_finite():
    """Without a warning: ModelGate refuses it by its metrics."""
    labels = np.linspace(1, 9, 40)
    extract = {"labels": labels, "predictions": np.where(labels < 5, np.inf, labels), "of": np.arange(40)}
    values = computed([extract, extract], [""])
    assert values["", RMSE, False].unsampled_value == values["", P95, False].unsampled_value == np.inf
    assert np.isnan(values["", RMSE, False].sample_standard_deviation)
    assert values["", MEAN_LABEL, False].unsampled_value == pytest.approx(5.0)


def test_a_single_model_has_an_empty_name():
    extract = {
        "labels": np.array([1.0, 2.0]),
        "predictions": np.array([[1.0], [4.0]]),
        "of": np.array([2**64 - 1, 5], np.uint64),
    }
    values = computed([extract], [""])
    assert values["", MAE, False].unsampled_value == 1.0 and values["", COUNT, False] == 2
