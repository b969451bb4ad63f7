"""Plain paths without TensorFlow: the same answers as TensorFlow gives TFX."""

from __future__ import annotations

import pytest
from tfx.dsl.io import fileio, filesystem_registry
from tfx.dsl.io.plugins.tensorflow_gfile import TensorflowFilesystem
from tfx.utils import io_utils

from farebox.pipeline.local import local_files


@pytest.fixture
def registry(monkeypatch):
    """TFX's, where TensorFlow answers first."""
    tfx_registry = filesystem_registry.FilesystemRegistry()
    tfx_registry.register(TensorflowFilesystem, 10, use_as_fallback=True)
    monkeypatch.setattr(filesystem_registry, "DEFAULT_FILESYSTEM_REGISTRY", tfx_registry)
    return tfx_registry


def file_system(path: object) -> type:
    return filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.get_filesystem_for_path(str(path))


def test_the_fingerprint_of_data_stays_what_it_was(registry, tmp_path):
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text(name * 7)
    theirs = io_utils.generate_fingerprint("all", f"{tmp_path}/*"), fileio.stat(str(tmp_path / "one.csv"))
    with local_files.plain_paths_first():
        assert file_system(tmp_path) is local_files.LocalFiles
        ours = io_utils.generate_fingerprint("all", f"{tmp_path}/*"), fileio.stat(str(tmp_path / "one.csv"))
        assert fileio.stat(str(tmp_path)).is_directory
    assert ours[0] == theirs[0] and "num_files:2,total_bytes:98" in ours[0]
    assert ours[1].length == theirs[1].length == 49
    assert ours[1].mtime_nsec // 10**9 == theirs[1].mtime_nsec // 10**9  # TensorFlow knows the second
    assert not ours[1].is_directory


def test_a_file_that_is_not_there_is_said_in_tfxs_words(registry, tmp_path):
    with local_files.plain_paths_first(), pytest.raises(fileio.NotFoundError):
        fileio.stat(str(tmp_path / "none.csv"))


def test_a_path_with_a_scheme_is_tensorflows_even_if_it_is_imported_later(monkeypatch):
    monkeypatch.setattr(filesystem_registry, "DEFAULT_FILESYSTEM_REGISTRY", filesystem_registry.FilesystemRegistry())
    with local_files.plain_paths_first():
        filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(TensorflowFilesystem, 10, use_as_fallback=True)
        for path in ("gs://bucket/file", "ram://file"):
            assert file_system(path) is TensorflowFilesystem
        assert file_system("/plain") is local_files.LocalFiles


def test_tfx_has_its_own_file_systems_back_after_a_run(registry, tmp_path):
    """Its entry point for clusters writes text to a binary file, which TensorFlow takes and Python refuses."""
    with pytest.raises(ValueError, match="a run ends"), local_files.plain_paths_first():
        raise ValueError("a run ends")
    assert filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY is registry
    with fileio.open(str(tmp_path / "output_metadata.json"), "wb") as file:
        file.write("{}")
    assert (tmp_path / "output_metadata.json").read_text() == "{}"
