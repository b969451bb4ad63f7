"""How quantization-aware training treats an embedding: int8 table, float result of the look-up."""

from __future__ import annotations

from typing import Any

import tensorflow_model_optimization as tfmot
from tensorflow_model_optimization.python.core.quantization.keras.quantizers import LastValueQuantizer


class EmbeddingQuantizeConfig(tfmot.quantization.keras.QuantizeConfig):
    """Symmetric int8 over the whole table (TFLite's GATHER has one scale)."""

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        quantizer = LastValueQuantizer(num_bits=8, symmetric=True, narrow_range=True, per_axis=False)
        return [(layer.embeddings, quantizer)]

    def get_activations_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        layer.embeddings = quantize_weights[0]

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        return []

    def get_config(self) -> dict[str, Any]:
        return {}
