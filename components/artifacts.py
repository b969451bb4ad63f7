"""Artifact types of our own, for payloads that TFX has no type for. Import them from `farebox`."""

from __future__ import annotations

from tfx.types import artifact


class EvaluatorBlessing(artifact.Artifact):
    """Evaluator's verdict on a model: whether its error holds the bounds. ModelGate decides.

    It is not a ModelBlessing: TFX takes the model of any positive ModelBlessing as a baseline, and on Kubeflow it
    checks only the type. Properties and files are those of ModelBlessing.

    File structure:
      - {uri}/BLESSED or {uri}/NOT_BLESSED: empty
    """

    TYPE_NAME = "farebox.EvaluatorBlessing"


class GateVerdict(artifact.Artifact):
    """The checks of DataGate.

    File structure:
      - {uri}/verdict.json: a list of {name, value, bound, ok, detail, hint, severity, at_least, lower, upper}
    """

    TYPE_NAME = "farebox.GateVerdict"


class Projection(artifact.Artifact):
    """The map to k codes and back that PcaReducer folded into the network; `load_projection` reads it.

    codes = (x - mean) / scale @ components.T, and x ≈ mean + scale * (codes @ decoder), where x are n features: the
    pre-activations of a layer or its inputs. Of r components that the method has, k were chosen.

    File structure:
      - {uri}/projection.json: layer, space, method, k and why; folded: whether the network was changed; share of the
        variance kept; eval error (metric) of the source, as folded, and as reduced after fine-tuning; parameters;
        rows seen; every trial; objective; names of the layer's inputs
      - {uri}/projection.npz: mean, scale (n,), components, decoder (k, n), explained_variance and
        explained_variance_ratio (r,), total_variance, loadings_covariance and loadings_correlation (k, m) of codes
        with the m inputs of the layer; codes (s, 2), code_labels (s,): the first two and the labels of sampled rows
      - {uri}/scree.png, loadings.png, codes.png: pictures of these; the last one colours the first two codes by label
    """

    TYPE_NAME = "farebox.Projection"


class Pruning(artifact.Artifact):
    """The weights that Pruner set to zero.

    File structure:
      - {uri}/pruning.json: metric, criterion, why, sparsity per layer, share of embedding rows never trained, eval
        error and gzip bytes before and after, trials, and per layer the steps of sparsity: target and reached
      - {uri}/masks.npz: per pruned layer or table, bool, True where a weight is kept
      - {uri}/ramp.png, {uri}/mask-LAYER.png: how sparsity rose; weights kept before and after
    """

    TYPE_NAME = "farebox.Pruning"


class QuantizationTrials(artifact.Artifact):
    """Every candidate file of Quantizer, and its choice.

    File structure:
      - {uri}/choice.json: mode, network, steps, kept_float, why, metric, bound, eval_error, bytes, gzip_bytes,
        optimize_for, ranges: the bands of the file in words, or why it has none
      - {uri}/trials.jsonl: a line per candidate, the unreduced float32 file first: rung, network, errors, sizes,
        latency, operators, tensors by type, verdict and the reason for it
      - {uri}/sensitivity.json: the nodes that int8 or int8_weights can narrow, with the harm that each does by itself
      - {uri}/pareto.png: error against bytes, latency as colour
    """

    TYPE_NAME = "farebox.QuantizationTrials"


class Report(artifact.Artifact):
    """The figures of a run, and the page that shows them.

    File structure:
      - {uri}/figures.json: everything of summary.json that does not differ between a fresh and a cached run
      - {uri}/content.json: what the page draws besides the figures, by section
      - {uri}/report.html: the page, one file that needs no network
    """

    TYPE_NAME = "farebox.Report"
