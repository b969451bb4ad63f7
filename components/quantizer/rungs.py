"""The rungs of Quantizer's ladder, one row for each number format. To add a rung, add a row. No TensorFlow here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal


@dataclasses.dataclass(frozen=True)
class Rung:
    """A number format, described by the options of `tf.lite.TFLiteConverter`, and when it is tried.

    auto: `always` tries it on every network; `last` only on the first network, if no integer file holds the budget;
    `never` leaves it to `mode`. is_optimized: the converter quantizes (`tf.lite.Optimize.DEFAULT`). weight_type: of
    `target_spec.supported_types`. operators: a name in `tf.lite.OpsSet`, beside the built-in operators. io_type: of the
    file's inputs and output. calibrates: activation ranges come from real rows. is_of_raw_columns: it quantizes the
    transform before the network too, so its calibration rows are raw columns. weight_bits: weights become such integers
    in the converted float32 file, with a scale for each channel where that pays if has_channel_scales. is_for_gzip:
    `auto` tries it only if gzip bytes count: 5 to 7 bits take a byte, too, and err more. is_portable: every runtime
    has its kernels and gives the same answers; integer kernels of two runtimes round differently, and tflite-micro
    reads no float16, no int4 and only the first of several scales. runtimes: what to know of them, for notes.
    can_keep_float: the nodes that it harms most can stay float. has_float_kernels: its kernels can be stored sparse.
    slowdown: share of one row's time that its kernels may add to float32's, the largest seen. is_trained: the network
    is trained for int8 first; keeps_zeros: its zeros stay.
    """

    name: str
    auto: Literal["always", "last", "never"] = "always"
    is_optimized: bool = True
    weight_type: str | None = None
    operators: str | None = None
    io_type: str | None = None
    calibrates: bool = False
    is_of_raw_columns: bool = False
    weight_bits: int | None = None
    has_channel_scales: bool = False
    is_for_gzip: bool = False
    is_portable: bool = False
    runtimes: str = ""
    can_keep_float: bool = False
    has_float_kernels: bool = False
    slowdown: float = 0.0
    is_trained: bool = False
    keeps_zeros: bool = False


FLOAT32 = Rung("float32", is_optimized=False, is_portable=True, has_float_kernels=True)  # the reference
INT16X8_OPERATORS = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"
NO_CHANNELS = "not for tflite-micro: it reads one scale for all channels and answers otherwise, without an error"
NO_INT4 = "for LiteRT from 1.4 on; tflite-micro, TensorFlow 2.16 and tflite-runtime have no int4 and refuse the file"
# In the order in which `auto` tries them; of two files that cost the same, the first ships.
RUNGS = {
    rung.name: rung
    for rung in (
        FLOAT32,
        Rung("float16", weight_type="float16", has_float_kernels=True),
        Rung("dynamic", has_float_kernels=True),
        Rung("int8_weights", is_optimized=False, weight_bits=8, is_portable=True, can_keep_float=True),
        Rung("int7_weights", is_optimized=False, weight_bits=7, is_for_gzip=True, is_portable=True),
        Rung("int6_weights", is_optimized=False, weight_bits=6, is_for_gzip=True, is_portable=True),
        Rung("int5_weights", is_optimized=False, weight_bits=5, is_for_gzip=True, is_portable=True),
        Rung(
            "int8_channels",
            is_optimized=False,
            weight_bits=8,
            has_channel_scales=True,
            runtimes=NO_CHANNELS,
            can_keep_float=True,
        ),
        Rung(
            "int4_weights",
            is_optimized=False,
            weight_bits=4,
            has_channel_scales=True,
            runtimes=NO_INT4,
            slowdown=4.0,  # XNNPACK leaves them to TFLite's own kernels: 0.15 to 3.7 on six small networks
        ),
        Rung("int8", calibrates=True, can_keep_float=True),
        Rung("int16x8", calibrates=True, operators=INT16X8_OPERATORS),
        Rung(
            "int8_io",
            auto="never",
            calibrates=True,
            operators="TFLITE_BUILTINS_INT8",
            io_type="int8",
            is_of_raw_columns=True,
        ),
        Rung("qat", auto="last", is_trained=True),
        Rung("pqat", auto="last", is_trained=True, keeps_zeros=True),
    )
}
AUTO = "auto"
MODES = (AUTO, *RUNGS)

if TYPE_CHECKING:
    Mode = str
else:
    Mode = Literal[MODES]  # a setting's check and its message list these names


def is_of_raw_columns(mode: str) -> bool:
    """Returns whether the calibration rows of this mode are raw columns, not the network's inputs."""
    return mode in RUNGS and RUNGS[mode].is_of_raw_columns
