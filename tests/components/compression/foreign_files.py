"""Writes small `.tflite` files with their rows: python foreign_files.py litert_torch|onnx2tf|jax FOLDER

Run by a Python that has the converter; see test_compress_file.py. Seen with litert-torch 0.10.0 (torch 2.14.1), onnx2tf
1.29.24 (onnx 1.19.1, TensorFlow 2.19.0) and jax 0.4.38.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

RANDOM = np.random.default_rng(0)


def save_rows(path: Path, labels: np.ndarray, **columns: np.ndarray) -> None:
    np.savez(path, label=labels, **columns)


def litert_torch(out: Path) -> None:
    """A classifier of images, channels first, that answers logits; and a network of an id and numbers, batch of 4."""
    import litert_torch as converter
    import torch

    nn = torch.nn
    torch.manual_seed(0)
    images = torch.randn(300, 3, 8, 8)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 5)).eval()
    converter.convert(network, (images[:1],)).export(str(out / "images.tflite"))
    save_rows(out / "images.npz", network(images).detach().numpy().argmax(1), args_0=images.numpy())

    class Shop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(300, 16), nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 1))
            with torch.no_grad():
                self.table.weight[:] = self.table.weight[torch.arange(300) % 7]

        def forward(self, shop: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.cat([self.table(shop), x], 1))

    shop, x, network = torch.randint(0, 300, (300,)), torch.randn(300, 4), Shop().eval()
    converter.convert(network, (shop[:4], x[:4])).export(str(out / "shop.tflite"))
    answers = network(shop, x).detach().numpy()[:, 0]
    noise = RANDOM.normal(size=300) * answers.std()
    save_rows(out / "shop.npz", answers + noise, args_0=shop.numpy(), args_1=x.numpy())


def onnx2tf(out: Path) -> None:
    """A convolution of an input whose name has a colon; onnx2tf puts channels last."""
    import onnx
    import onnx2tf as converter
    from onnx import TensorProto, helper, numpy_helper

    sizes = {"k": (6, 3, 3, 3), "kb": (6,), "w": (54, 4), "b": (4,)}
    weights = {name: RANDOM.normal(size=size).astype(np.float32) for name, size in sizes.items()}
    nodes = [
        helper.make_node("Conv", ["image:0", "k", "kb"], ["c"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image:0", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, out / "net.onnx")
    converter.convert(str(out / "net.onnx"), output_folder_path=str(out / "made"), non_verbose=True)
    (out / "made" / "net_float32.tflite").rename(out / "net.tflite")
    save_rows(out / "net.npz", RANDOM.normal(size=(300, 4)), image=RANDOM.normal(size=(300, 8, 8, 3)))


def jax(out: Path) -> None:
    """A network of one row, by jax2tf and TensorFlow's converter."""
    import tensorflow as tf
    from jax import numpy as jnp
    from jax.experimental import jax2tf

    first, last = (RANDOM.normal(size=size).astype(np.float32) for size in ((6, 64), (64, 1)))
    converted = jax2tf.convert(lambda x: jnp.tanh(x @ first) @ last, enable_xla=False)
    function = tf.function(converted, input_signature=[tf.TensorSpec([1, 6], tf.float32, "x")], autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
    (out / "mlp.tflite").write_bytes(converter.convert())
    x = RANDOM.normal(size=(300, 6)).astype(np.float32)
    answers = (np.tanh(x @ first) @ last)[:, 0]
    save_rows(out / "mlp.npz", answers + RANDOM.normal(size=300) * answers.std(), x=x)


if __name__ == "__main__":
    {each.__name__: each for each in (litert_torch, onnx2tf, jax)}[sys.argv[1]](Path(sys.argv[2]))
