"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farebox.components.errors import InputError

if TYPE_CHECKING:
    from farebox.components.trip_example_gen.place_table import PlaceTable

SHIPPED = sorted(path.parent.name for path in (Path(__file__).parents[2] / "data").glob("*/city.yaml"))
City = Annotated[str, typer.Option(help=f"A shipped city ({', '.join(SHIPPED)}) or your own city.yaml.")]
Data = Annotated[str | None, typer.Option(help="CSV or Parquet: a file, a folder, or a glob pattern in quotes.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting, e.g. gates.max_rmse=4.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]


def city_name(city: str | None) -> str | None:
    """The name of a city, or the one in its file. Raises InputError for a file without one."""
    if not city or not city.endswith((".yaml", ".yml")):
        return city
    from farebox.pipeline.settings.load import read_yaml

    section = read_yaml(Path(city)).get("city")
    if not isinstance(section, dict) or not isinstance(section.get("name"), str):
        raise InputError(f"--city={city} must be a city file with city.name")
    return str(section["name"])


CITY_NAME = typer.Option("--city", metavar="CITY", callback=city_name, help="The city's name, or its city.yaml.")


def day_of(text: str) -> datetime.date:
    """The day of `YYYY-MM-DD`. Raises InputError."""
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise InputError(f"--date={text} must be a day, YYYY-MM-DD") from error


def place_of(name: str, text: str, places: PlaceTable | None = None) -> tuple[float, float]:
    """(longitude, latitude) of `LON,LAT`, or of the id or name of a place in the model's table. Raises InputError."""
    try:
        longitude, latitude = (float(part) for part in text.split(","))
    except ValueError as error:
        if places is not None:
            try:
                return places.place(text, f"--{name}")[:2]
            except InputError as unknown:
                raise InputError(f"{unknown}; or LON,LAT in degrees") from error
        raise InputError(f"--{name}={text} must read LON,LAT in degrees, such as -87.63,41.88") from error
    return longitude, latitude
