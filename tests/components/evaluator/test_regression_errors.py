"""RegressionErrors: sums that give numpy's figures and a jackknife's errors, in whatever parts they are merged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.components.evaluator.metrics import BIAS, COUNT, GROUPS, MAE, MEAN_LABEL, P95, RMSE
from farebox.components.evaluator.regression_errors import NAMES, RegressionErrors, Sums, jackknifed

numbers = st.floats(-1e4, 1e4)
groups = st.integers(0, GROUPS - 1)


def sums_of(labels, predictions, of_group) -> Sums:
    found = Sums()
    found.add(np.asarray(labels, float), np.asarray(predictions, float), np.asarray(of_group, int))
    return found


def expected(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """numpy's figures; NaN without rows."""
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
def test_two_parts_give_what_numpy_does_of_all_rows_and_without_each_group(rows, cut):
    labels, predictions, of_group = np.array(rows).T
    merged = sums_of(labels[:cut], predictions[:cut], of_group[:cut])
    merged.merge(sums_of(labels[cut:], predictions[cut:], of_group[cut:]))
    figures = merged.figures()
    for i in range(-1, GROUPS):
        kept = of_group != i
        for name, value in expected(labels[kept], predictions[kept]).items():
            rel, least = (0.0051, 1.1e-6) if name == P95 else (1e-6, 1e-6)
            assert figures[name][i + 1] == pytest.approx(value, rel=rel, abs=least, nan_ok=True)


def test_merging_leaves_the_other_part_as_it_was():
    """Beam may merge a part into more than one whole."""
    part, whole = sums_of([1.0], [2.0], [3]), sums_of([5.0], [1.0], [3])
    whole.merge(part)
    assert part.sums.sum() == sums_of([1.0], [2.0], [3]).sums.sum() and part.buckets.total() == 1
    assert whole.sums[0].tolist() == [0, 0, 0, 2] + [0] * 16 and whole.buckets.total() == 2


def test_what_is_not_finite_is_not_hidden():
    figures = sums_of([1.0, 2.0], [1.0, float("nan")], [0, 1]).figures()
    assert np.isnan(figures[RMSE][0]) and np.isnan(figures[BIAS][0]) and figures[P95][0] == np.inf
    assert all(np.isnan(values).all() for values in Sums().figures().values())


def test_the_error_of_a_mean_is_the_jackknifes():
    """Of a mean over groups of equal size the jackknife's error is that of their means."""
    rng = np.random.default_rng(0)
    labels, of_group = rng.normal(10, 3, 400), np.arange(400) % GROUPS
    found = jackknifed(sums_of(labels, np.zeros(400), of_group).figures()[MEAN_LABEL])
    means = np.array([labels[of_group == i].mean() for i in range(GROUPS)])
    assert found.unsampled_value == pytest.approx(labels.mean()) == found.sample_mean
    assert found.sample_standard_deviation == pytest.approx(means.std(ddof=1) / np.sqrt(GROUPS))
    assert found.sample_degrees_of_freedom == GROUPS - 1


def computed(rows: list[dict], model_names: list[str], eval_config=None) -> dict:
    """What TFMA gets of extracts of many rows, by (model, name, whether it is a difference)."""
    (computation,) = RegressionErrors(hash_key="of").computations(eval_config=eval_config, model_names=model_names)
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


def test_a_baseline_is_judged_on_the_same_rows():
    """The difference has its own, smaller error: what both get wrong alike is no difference."""
    from tensorflow_model_analysis.proto import config_pb2

    specs = [config_pb2.ModelSpec(name="new"), config_pb2.ModelSpec(name="old", is_baseline=True)]
    rng = np.random.default_rng(1)
    labels = rng.normal(10, 3, (2, 600, 1))
    wrong = labels + rng.normal(0, 2, labels.shape)
    extracts = [
        {"labels": label, "predictions": {"new": guess + 0.1, "old": {"fare": guess}}, "of": np.arange(600) * 7}
        for label, guess in zip(labels, wrong, strict=True)
    ]
    found = computed(extracts, ["new", "old"], config_pb2.EvalConfig(model_specs=specs))
    assert found["new", COUNT, False] == 1200 and ("old", BIAS, True) not in found
    new, old, difference = found["new", BIAS, False], found["old", BIAS, False], found["new", BIAS, True]
    assert difference.unsampled_value == pytest.approx(0.1)
    assert difference.unsampled_value == pytest.approx(new.unsampled_value - old.unsampled_value)
    assert difference.sample_standard_deviation < 1e-9 < 0.01 < new.sample_standard_deviation


def test_a_model_that_is_not_finite_has_errors_that_are_not():
    """Without a warning: it is refused by its figures."""
    labels = np.linspace(1, 9, 40)
    one = {"labels": labels, "predictions": np.where(labels < 5, np.inf, labels), "of": np.arange(40)}
    found = computed([one, one], [""])
    assert found["", RMSE, False].unsampled_value == found["", P95, False].unsampled_value == np.inf
    assert np.isnan(found["", RMSE, False].sample_standard_deviation)
    assert found["", MEAN_LABEL, False].unsampled_value == pytest.approx(5.0)


def test_one_model_has_no_name():
    one = {
        "labels": np.array([1.0, 2.0]),
        "predictions": np.array([[1.0], [4.0]]),
        "of": np.array([2**64 - 1, 5], np.uint64),
    }
    found = computed([one], [""])
    assert found["", MAE, False].unsampled_value == 1.0 and found["", COUNT, False] == 2
