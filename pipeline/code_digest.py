"""A digest of the code that a node runs: TFX's cache does not see our sources, this makes it."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGES = ("pipeline", "components", "modules")
LIBRARIES = (
    "tfx", "tensorflow", "tensorflow-transform", "tensorflow-model-optimization", "ai-edge-litert", "scikit-learn",
    "lightgbm",
)  # fmt: skip


def code_digest(*modules: str) -> str:
    """SHA-256 over the sources of the modules, of every module of ours that they import, directly or not, anywhere in
    their code, and over the versions of the libraries that do the work."""
    return _digest({name: source_file(name) for name in closure(*modules)})


def digest_of_all() -> str:
    """The same over every source of ours."""
    folders = [source_file(package).parent for package in PACKAGES]
    return _digest({str(path.relative_to(each.parent)): path for each in folders for path in each.rglob("*.py")})


def _digest(sources: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in sorted(sources.items()):
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    for library in LIBRARIES:
        digest.update(f"{library}=={importlib.metadata.version(library)}\0".encode())
    return digest.hexdigest()


def closure(*modules: str) -> set[str]:
    """The modules and all of ours that they import."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(imported(name))
    return found


@functools.cache
def source_file(module: str) -> Path:
    """The source of a module of ours, found without importing it. Raises ModuleNotFoundError."""
    package, _, rest = module.partition(".")
    root = Path(importlib.util.find_spec(package).submodule_search_locations[0])  # type: ignore[union-attr,index]
    path = root.joinpath(*rest.split(".")) if rest else root
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    raise ModuleNotFoundError(module)


def imported(module: str) -> Iterator[str]:
    """Modules of ours that a module imports, late imports included; `from a import b` may name a module or a value."""
    for node in ast.walk(ast.parse(source_file(module).read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] in PACKAGES and is_module(name))


def is_module(name: str) -> bool:
    """Whether a dotted name of ours is a module, not a value in one."""
    try:
        return bool(source_file(name))
    except ModuleNotFoundError:
        return False
