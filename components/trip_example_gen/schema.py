"""The curated schema of the examples, as text, from a city profile: types, one value each, domains."""

from __future__ import annotations

import math

import numpy as np

from farebox.components.trip_example_gen.columns import RawColumn
from farebox.components.trip_example_gen.profile import CityProfile, Interval


def schema_text(profile: CityProfile) -> str:
    """A tensorflow.metadata.v0.Schema (text format) of the examples that TripExampleGen writes for this city."""
    return "".join(_feature(column, profile.bounds_of(column)) for column in profile.example_columns.values())


def _feature(column: RawColumn, bounds: Interval | None) -> str:
    kind = "FLOAT" if column.dtype is np.float32 else "INT"
    domain = _domain(column, bounds) if bounds else ""
    return (
        f'feature {{\n  name: "{column.name}"\n  type: {kind}\n{domain}'
        "  presence { min_fraction: 1.0 min_count: 1 }\n  shape { dim { size: 1 } }\n}\n"
    )


def _domain(column: RawColumn, bounds: Interval) -> str:
    if column.dtype is np.float32:
        ends = {"min": bounds.min, "max": bounds.max}
        finite = " ".join(f"{name}: {_plain(end)}" for name, end in ends.items() if math.isfinite(end))
        return f"  float_domain {{ {finite} }}\n"
    categorical = " is_categorical: true" if column.is_categorical else ""
    return f"  int_domain {{ min: {bounds.min:.0f} max: {bounds.max:.0f}{categorical} }}\n"


def _plain(number: float) -> str:
    return str(float(number)).removesuffix(".0")
