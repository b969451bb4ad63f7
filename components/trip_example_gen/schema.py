"""The curated schema of the canonical columns, as text, from a city profile: types, one value each, domains."""

from __future__ import annotations

from farebox.components.trip_example_gen.profile import CANONICAL, FLOAT_COLUMNS, CityProfile


def schema_text(profile: CityProfile) -> str:
    """A tensorflow.metadata.v0.Schema (text format) of the examples that TripExampleGen writes for this city.

    Hours are no category: a shift by some of them moves no single hour's share by much.
    """
    domains = _domains(profile)
    return "".join(_feature(name, domains.get(name, "")) for name in CANONICAL)


def _domains(profile: CityProfile) -> dict[str, str]:
    box, passengers = profile.box, profile.passengers
    longitude = f"  float_domain {{ min: {box.west} max: {box.east} }}\n"
    latitude = f"  float_domain {{ min: {box.south} max: {box.north} }}\n"
    count = f"min: {passengers.min:.0f} max: {passengers.max:.0f}"
    return {
        "pickup_longitude": longitude,
        "pickup_latitude": latitude,
        "dropoff_longitude": longitude,
        "dropoff_latitude": latitude,
        "passenger_count": f"  int_domain {{ {count} is_categorical: true }}\n",
        "pickup_hour": "  int_domain { min: 0 max: 23 }\n",
        "pickup_weekday": "  int_domain { min: 0 max: 6 is_categorical: true }\n",
        "fare": f"  float_domain {{ min: {profile.fare.min} max: {profile.fare.max} }}\n",
    }


def _feature(name: str, domain: str) -> str:
    kind = "FLOAT" if name in FLOAT_COLUMNS else "INT"
    return (
        f'feature {{\n  name: "{name}"\n  type: {kind}\n{domain}'
        "  presence { min_fraction: 1.0 min_count: 1 }\n  shape { dim { size: 1 } }\n}\n"
    )
