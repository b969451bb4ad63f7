"""Arrow for files from outside: reading one runs no code, and leaves no thread at work.

Before version 14.0.1, pyarrow unpickles the type of a column that a Parquet or Arrow file calls
`arrow.py_extension_type` (CVE-2023-47248). The package pyarrow-hotfix closes that too; it is not needed here.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

import pyarrow as pa

UNSAFE_TYPE = "arrow.py_extension_type"
RELEASE_S = 5.0


def close_cve_2023_47248() -> None:
    """Makes this process refuse columns of a pickled type, also where pyarrow unpickles none by default.

    Call it in every process, before the first file is opened. Pyarrow 21 and later have no such type.
    """
    if not hasattr(pa, "PyExtensionType"):
        return

    class RefusedType(pa.ExtensionType):
        def __arrow_ext_serialize__(self) -> bytes:
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> pa.DataType:
            raise ValueError(f"a column of {storage_type} has a pickled type ({UNSAFE_TYPE}), which could run code")

    with contextlib.suppress(KeyError):  # another library may have removed it
        pa.unregister_extension_type(UNSAFE_TYPE)
    pa.register_extension_type(RefusedType(pa.null(), UNSAFE_TYPE))


@contextlib.contextmanager
def until_released(*shared: object) -> Iterator[None]:
    """Ends when Arrow's threads hold no more references to Python objects of a reader, after RELEASE_S at most.

    A reader's threads may keep its source and its callbacks a little longer than the reader lives. One that releases
    them while the interpreter ends aborts the process (apache/arrow issue 34314). The reader must be gone at the end.
    """
    n_held = [sys.getrefcount(item) for item in shared]
    try:
        yield
    finally:
        deadline = time.monotonic() + RELEASE_S
        while [sys.getrefcount(item) for item in shared] != n_held and time.monotonic() < deadline:
            time.sleep(0.0002)
