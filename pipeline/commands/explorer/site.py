"""The files of the fare explorer: its page, a model's versions as bytes and as JavaScript, and what the page must know.

The page computes in the browser. Nothing in these files comes from a network.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from farebox.components.atomic_pusher.manifest import sha256
from farebox.components.atomic_pusher.push import LATEST_FILE
from farebox.components.atomic_pusher.versions import facts_beside, read_beside, read_model, versions_of
from farebox.components.errors import InputError
from farebox.components.tflite.bands import odds, of_facts
from farebox.components.tflite.codegen.export import source_code
from farebox.components.tflite.files import DENSITY_FILE, FARE_FILE, GOLDEN_FILE, LOCATIONS_FILE
from farebox.components.tflite.interpreter import TfliteModel
from farebox.components.trip_example_gen.files import DAYS
from farebox.components.trip_example_gen.place_table import PlaceTable
from farebox.modules import columns
from farebox.modules.feature_values import CATEGORIES, FEATURE_DEFAULTS
from farebox.modules.model_inputs import FAR_DAYS, LAST_ERA, bound_text, bounds_of
from farebox.pipeline.fare_model import readable_description

PAGE = Path(__file__).with_name("page")
VENDOR = Path(__file__).with_name("vendor")  # `make explorer` puts LiteRT.js there
MAX_VERSIONS = 10
SITE_FILE, MODEL_NAME = "site.json", "model"

Files = dict[str, bytes | Path]  # by path below the page's folder; a Path for a large file


def explorer_files(model: Path) -> Files:
    """Every file of the page for a `.tflite`, a version's folder, or `models/CITY` for its latest version.

    The other intact versions of the folder are there, too, for comparison, at most ten in all.

    Raises InputError if the model cannot be read or takes no coordinates.
    """
    file, _ = read_model(model)
    others = [] if file.name != FARE_FILE else _other_versions(file)
    versions = [_Version.read(each) for each in (file, *others)]
    missing = [name for name in columns.COORDINATES if name not in versions[0].input_names]
    if missing:
        raise InputError(f"model={file} must take {', '.join(missing)} to be shown on a map: it is no fare model")
    density, places = read_beside(file, DENSITY_FILE), read_beside(file, LOCATIONS_FILE)
    site = {
        "versions": [each.facts for each in versions],
        "density": json.loads(density) if density else None,
        "places": PlaceTable.parse(places, file.with_name(LOCATIONS_FILE)).places if places else None,
        "litert": _litert_version(),
        "far_days": FAR_DAYS,
        "last_era": LAST_ERA,
    }
    files: Files = {path.name: path for path in sorted(PAGE.iterdir())}
    files |= {f"vendor/{path.name}": path for path in (sorted(VENDOR.iterdir()) if VENDOR.is_dir() else ())}
    for each in versions:
        files |= each.files
    return files | {SITE_FILE: json.dumps(site, allow_nan=False).encode()}


def _other_versions(file: Path) -> list[Path]:
    """Files of the intact versions beside this one, the newest first."""
    folder = file.resolve().parent
    if not (folder.parent / LATEST_FILE).is_file():
        return []
    intact = (each.version for each in versions_of(folder.parent) if not each.faults and each.version != folder.name)
    return [folder.parent / name / FARE_FILE for name in intact][: MAX_VERSIONS - 1]


def _litert_version() -> str | None:
    """Version of the vendored LiteRT.js; None if it is not there."""
    package = VENDOR / "package.json"
    return str(json.loads(package.read_bytes())["version"]) if package.is_file() else None


@dataclasses.dataclass(frozen=True)
class _Version:
    """input_names: in the file's order. facts: what the page must know. files: of the version, by path."""

    input_names: tuple[str, ...]
    facts: dict[str, Any]
    files: Files

    @classmethod
    def read(cls, path: Path) -> _Version:
        """The version with this model file."""
        file, content = read_model(path)
        manifest, golden = facts_beside(file), read_beside(file, GOLDEN_FILE) if file.name == FARE_FILE else None
        name = sha256(content)[:12]
        folder = f"versions/{name}"
        model = TfliteModel(content, origin=file)
        description = readable_description(content, file)
        bands = of_facts(description.facts)
        source, fault = _javascript(content, file)
        facts = {
            "name": name,
            "folder": folder,
            "sha256": sha256(content),
            "bytes": len(content),
            "city": description.name,
            "created": str(manifest.get("created", "")),
            "rmse": _number(manifest.get("metrics", {}).get("rmse")),
            "unit": description.output.unit,
            "output": description.output.name,
            "inputs": _inputs(model, description),
            "bands": bands.to_json() if bands else None,
            "odds": odds(bands.coverage) if bands else None,
            "days": description.facts.get(DAYS),
            "tariff_changes": description.facts.get(columns.TARIFF_CHANGES, []),
            "time_zone": description.facts.get(columns.TIME_ZONE),
            "golden": golden is not None,
            "javascript_fault": fault,
        }
        files: Files = {f"{folder}/{FARE_FILE}": content}
        if golden is not None:
            files[f"{folder}/{GOLDEN_FILE}"] = golden
        if source is not None:
            files[f"{folder}/{MODEL_NAME}.mjs"] = source.encode()
        return cls(model.input_names, facts, files)


def _javascript(content: bytes, file: Path) -> tuple[str | None, str | None]:
    """The file as JavaScript and None; or None and why that cannot be."""
    try:
        return source_code(content, "js", name=MODEL_NAME, origin=str(file))[f"{MODEL_NAME}.mjs"], None
    except InputError as error:
        return None, str(error)


def _inputs(model: TfliteModel, description: Any) -> list[Mapping[str, Any]]:
    """The inputs in the file's order: words, type, bounds as `FareModel` checks them, values of a category, default."""
    words = {each.name: each for each in description.inputs}
    bounds, facts = bounds_of(description), description.facts
    inputs: list[Mapping[str, Any]] = []
    for end in model.inputs:
        low, high = bounds.get(end.name, (-math.inf, math.inf))
        inputs.append({
            "name": end.name,
            "meaning": words[end.name].text if end.name in words else "",
            "dtype": np.dtype(end.dtype).name,
            "minimum": low if math.isfinite(low) else None,
            "maximum": high if math.isfinite(high) else None,
            "must": bound_text(end.name, description) if end.name in bounds else "",
            "own": end.name not in columns.STANDARD_INPUTS,
            "values": facts.get(CATEGORIES, {}).get(end.name),
            "default": facts.get(FEATURE_DEFAULTS, {}).get(end.name),
        })  # fmt: skip
    return inputs


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
