"""Provenance of a run: a digest of our code for TFX's cache, the lane, and the facts that a manifest keeps.

TFX's cache does not see our sources: an edit would leave a node's old output in use. Hence `code_digest`.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.schema import schema_text
from farebox.pipeline.settings.load import Settings

PACKAGE, LANE_VARIABLE = "farebox", "FAREBOX_LANE"
LIBRARIES = (
    "tfx", "tensorflow", "tensorflow-transform", "tensorflow-model-optimization", "ai-edge-litert", "scikit-learn",
    "lightgbm",
)  # fmt: skip
TEMPLATES = "templates"  # folder beside the code that renders what is in it
OPTIONAL_LIBRARIES = ("tflite-micro",)  # has no wheel for some machines


def checkout() -> Path:
    """The folder that holds the package: a checkout, or where the wheel was installed."""
    return source_file(PACKAGE).parents[1]


def lane() -> str:
    """A: TFX 1.16 on Python 3.10; B: TFX 1.21 on Python 3.11 to 3.13."""
    return "A" if sys.version_info < (3, 11) else "B"


def check_lane(environment: Mapping[str, str]) -> None:
    """Raises InputError in a container of an image of another lane than its spec was compiled on."""
    compiled_on = environment.get(LANE_VARIABLE, lane())
    if compiled_on != lane():
        raise InputError(
            f"{LANE_VARIABLE}={compiled_on}, where the spec was compiled, must be the image's lane {lane()}, Python "
            f"{platform.python_version()}: compile it on lane {lane()}, or build the image on lane {compiled_on}"
        )


def schema_source(settings: Settings) -> str:
    """The city's curated schema, or one made from its bounds, as text. Raises InputError if the file is no schema."""
    if settings.schema is None:
        return schema_text(settings.city)
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    text = Path(settings.schema).read_text()
    try:
        text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        raise InputError(f"{settings.schema}: must be a schema in text format, {error}") from error
    return text


def manifest(settings: Settings, code_sha256: Mapping[str, str], spans: Sequence[int] = ()) -> dict[str, Any]:
    """City, currency, lane, spans (if trips come in spans), and SHA-256 of the schema and of our code by node."""
    return {
        **({"spans": list(spans)} if spans else {}),
        "city": settings.city.name,
        "currency": settings.city.currency,
        "lane": lane(),
        "schema_sha256": hashlib.sha256(schema_source(settings).encode()).hexdigest(),
        "code_sha256": dict(code_sha256),
    }


def code_digest(*modules: str) -> str:
    """SHA-256 over the sources of the modules, of all our modules that they import (directly or not, late imports
    included), of the templates beside these, and over the versions of the libraries that do the work."""
    sources = {name: source_file(name) for name in closure(*modules)}
    folders = {path.parent / TEMPLATES for path in sources.values()}
    templates = [path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_file()]
    return _digest(sources | {"/".join(path.parts[-3:]): path for path in templates})


def digest_of_all() -> str:
    """SHA-256 over all our sources, templates and the libraries' versions."""
    root = source_file(PACKAGE).parent
    folders = os.walk(root, followlinks=True)  # in a checkout, farebox/pipeline and the others are links
    paths = [
        Path(folder, name)
        for folder, _, names in folders
        for name in names
        if name.endswith(".py") or Path(folder).name == TEMPLATES
    ]
    return _digest({str(path.relative_to(root)): path for path in paths})


def _digest(sources: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in sorted(sources.items()):
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    for library, version in versions().items():
        digest.update(f"{library}=={version}\0".encode())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """The versions of the libraries that do the work, and of those optional ones that are installed."""
    found = {library: importlib.metadata.version(library) for library in LIBRARIES}
    for library in OPTIONAL_LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[library] = importlib.metadata.version(library)
    return found


def closure(*modules: str) -> set[str]:
    """The modules and all our modules that they import, directly or not."""
    reached: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(imported(name))
    return reached


@functools.cache
def source_file(module: str) -> Path:
    """The source file of one of our modules, without importing it. Raises ModuleNotFoundError."""
    package, _, rest = module.partition(".")
    root = Path(importlib.util.find_spec(package).submodule_search_locations[0])  # type: ignore[union-attr,index]
    path = root.joinpath(*rest.split(".")) if rest else root
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    raise ModuleNotFoundError(module)


def imported(module: str) -> list[str]:
    """Our modules that a module imports, late imports included; `from a import b` may name a module or a value."""
    names = imports_in(source_file(module).read_bytes())
    return [name for name in names if name.partition(".")[0] == PACKAGE and is_module(name)]


@functools.cache
def imports_in(source: bytes) -> tuple[str, ...]:
    """The names that a source imports. Most sources are asked for by every node of a run, so they are kept."""
    names: list[str] = []
    for node in statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(names)


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements within a node; ast.walk would visit every expression as well, which takes most of its time."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, block, ()):
            yield child
            yield from statements(child)


def is_module(name: str) -> bool:
    """Whether a dotted name is one of our modules, not a value in one."""
    try:
        return bool(source_file(name))
    except ModuleNotFoundError:
        return False
