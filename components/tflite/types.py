"""Types of inputs that every runtime takes."""

from __future__ import annotations

STORED = {
    "bool": "int32", "uint8": "int32", "int8": "int32", "uint16": "int32", "int16": "int32", "uint32": "int64",
    "uint64": "int64", "float16": "float32", "bfloat16": "float32", "float64": "float32",
}  # fmt: skip


def stored_type(dtype: str) -> str:
    """The type that a file takes in place of one that runtimes lack; others stay."""
    return STORED.get(dtype, dtype)
