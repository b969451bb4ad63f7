"""The `.tflite` of somebody else's app: what the app reads of it stays when it becomes smaller."""

from __future__ import annotations

import copy
import io
import zipfile
from typing import Any

import numpy as np

from farebox.components.tflite.distinct_rows import distinct_rows
from farebox.components.tflite.flatbuffer import add_buffer, opened
from farebox.components.tflite.metadata import ENTRY
from farebox.components.tflite.slim import packed_once, slim


def slim_foreign(content: bytes, original: bytes, *, keeps_names: bool = False) -> tuple[bytes, bool]:
    """Returns the file with as few bytes as `slim` and `distinct_rows` find, and whether the latter found any.

    Its ends keep the names of `original`, and it gets that file's metadata and associated files (labels, vocabularies),
    which apps read with tflite-support.
    """
    distinct = distinct_rows(content)
    small = slim(distinct or content, keeps_names=keeps_names, keeps_ends=True)
    return _with_files(_with_metadata(small, original), original), distinct is not None


def _with_metadata(content: bytes, original: bytes) -> bytes:
    """The file with the metadata of another one; the converter's own notes are none."""
    source = opened(original)
    entries = [each for each in source.metadata or () if each.name == ENTRY]
    if not entries:
        return content
    model = opened(content)
    model.metadata = [_entry(model, source.buffers[each.buffer], each) for each in entries]
    return packed_once(model)


def _entry(model: Any, buffer: Any, entry: Any) -> Any:
    copied = copy.copy(entry)
    copied.buffer = add_buffer(model, np.asarray(buffer.data, np.uint8))
    return copied


def _with_files(content: bytes, original: bytes) -> bytes:
    """The file with the archive that another one ends with; written anew, as its offsets are the whole file's."""
    if not zipfile.is_zipfile(io.BytesIO(original)):
        return content
    whole = io.BytesIO(content)
    with zipfile.ZipFile(io.BytesIO(original)) as source, zipfile.ZipFile(whole, "a") as target:
        for info in source.infolist():
            target.writestr(info, source.read(info))
    return whole.getvalue()
