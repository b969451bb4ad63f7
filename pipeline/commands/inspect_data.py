"""`farebox data inspect` and `farebox init`: a profile for files that nobody has described."""

from __future__ import annotations

import functools
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from farebox.components.errors import InputError

if TYPE_CHECKING:
    from farebox.components.trip_example_gen.inspection.draft import Answers
    from farebox.components.trip_example_gen.inspection.drafting import Inspection
    from farebox.components.trip_example_gen.inspection.samples import Sample

Times = Annotated[
    str | None,
    typer.Option(metavar="local|utc|offset", help="What the hours are, if the files name moments: city.times."),
]
TimeZone = Annotated[
    str | None, typer.Option(metavar="ZONE", help="The city's time zone, such as America/Chicago: city.time_zone.")
]
Zones = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="CSV or GeoJSON with the places of zones, if the trips have their ids."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column", metavar="OURS=THEIRS", help="A column by name, such as fare=cena; may be repeated: city.columns."
    ),
]
Picture = Annotated[str | None, typer.Option(metavar="FILE.png", help="Draw the trips that it reads.")]
MIN_SHARE = 0.5  # of the rows, from which on a shipped city reads a file
HERE = Path()
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def inspect(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files, folders or glob patterns of trips.")],
    *,
    times: Times = None,
    time_zone: TimeZone = None,
    zones: Zones = None,
    column: Columns = None,
    picture: Picture = None,
) -> None:
    """Looks at trips and prints a profile to start from.

    Lines with `# ?` are open. Ends with exit code 2 if the profile cannot be used before one of them is answered.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(files[0]).name.partition(".")[0]).strip("-_") or "my-city"
    inspection, text = _inspected(files, name, _answers(times, time_zone, zones, column), picture)
    print(text, end="")
    _check_usable("the profile", inspection)


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The city's name: letters, digits, - and _.")],
    *,
    data: Annotated[str, typer.Option(help="A file, a folder or a glob pattern of trips.")],
    out: Annotated[
        str | None, typer.Option(metavar="FILE.yaml", help="Where to write it, instead of NAME.yaml; must not exist.")
    ] = None,
    times: Times = None,
    time_zone: TimeZone = None,
    zones: Zones = None,
    column: Columns = None,
    picture: Picture = None,
) -> None:
    """Writes a city file for trips that nobody has described.

    Lines with `# ?` are open. Ends with exit code 2 if the file cannot be used before one of them is answered.
    """
    path = Path(out or f"{name}.yaml")
    if not NAME.fullmatch(name):
        raise InputError(f"name={name} must be letters, digits, - and _")
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(f"out={path} must end in .yaml")
    if path.exists():
        raise InputError(f"out={path} exists already, give another name")
    inspection, text = _inspected([data], name, _answers(times, time_zone, zones, column, path.parent), picture)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"out={path} cannot be written: {error.strerror or error}") from error
    for key, question in inspection.draft.questions.items():
        print(f"look at city.{key}: {question}")
    _check_usable(str(path), inspection)
    print(f"{path} is written; next: farebox run --city {shlex.quote(str(path))} --data {shlex.quote(data)}")


def _inspected(files: Sequence[str], name: str, answers: Answers, picture: str | None) -> tuple[Inspection, str]:
    """The inspection, and its profile as YAML; draws the picture."""
    from farebox.components.trip_example_gen.inspection import drafting, page
    from farebox.components.trip_example_gen.inspection import picture as picture_
    from farebox.components.trip_example_gen.sources.reading import find_files

    paths = [path for each in files for path in find_files(each)]
    seen = drafting.inspect(paths, name, answers)
    if picture and not seen.n_trips:
        raise InputError(f"picture={picture} needs trips, and no sampled row is one")
    if picture and seen.trips is not None:
        examples = seen.trips.examples
        title = picture_.title_of(seen.paths, examples.num_rows)
        picture_.draw(picture, examples, seen.draft.city, title)
    return seen, page.page(seen, list(_remarks(seen.samples)))


def _answers(
    times: str | None, time_zone: str | None, zones: str | None, columns: Sequence[str] | None, folder: Path = HERE
) -> Answers:
    """Answers, checked; folder: that of the profile."""
    from farebox.components.trip_example_gen.inspection.draft import Answers
    from farebox.components.trip_example_gen.values import time_zones
    from farebox.components.trip_example_gen.values.times import Held

    if times is not None and times not in get_args(Held):
        raise InputError(f"times={times} must be one of {', '.join(get_args(Held))}")
    if time_zone is not None:
        time_zones.check_zone(time_zone, "time_zone")
    named = dict(_named(each) for each in columns or ())
    return Answers(times, time_zone, zones, named, tuple(_shipped_tables()), folder)  # type: ignore[arg-type] # checked


def _named(assignment: str) -> tuple[str, str]:
    """Our column and theirs. Raises InputError."""
    ours, _, theirs = assignment.partition("=")
    if not (ours and theirs):
        raise InputError(f"column={assignment} must be OURS=THEIRS, such as fare=cena")
    return ours, theirs


def _shipped_tables() -> Iterator[str]:
    """The files of zones of the shipped cities."""
    for _, path, content in _shipped():
        if file := (content["city"].get("locations") or {}).get("file"):
            yield str((path.parent / file).resolve())


def _shipped() -> list[tuple[str, Path, dict[str, Any]]]:
    """Name, file and content of each shipped city."""
    from farebox.pipeline.settings import load

    return _cities(load.CITIES)


@functools.cache
def _cities(folder: Path) -> list[tuple[str, Path, dict[str, Any]]]:
    from farebox.pipeline.settings import load

    paths = sorted(folder.glob(f"*/{load.CITY_FILE}"))
    return [(path.parent.name, path, load.read_yaml(path)) for path in paths]


def _remarks(taken: Sequence[Sample]) -> Iterator[str]:
    """Lines about shipped cities that read the files, too."""
    from farebox.components.trip_example_gen.inspection import trial

    for name, path, content in _shipped():
        shares = list(trial.reads(taken, trial.profile_of(content["city"], path.parent)))
        if min(shares) >= MIN_SHARE:
            yield f"The shipped city {name} reads {min(shares):.0%} of the rows, too: --city {name}."


def _check_usable(what: str, inspection: Inspection) -> None:
    if inspection.draft.choices:
        keys = ", ".join(f"city.{key}" for key in inspection.draft.choices)
        print(f"farebox: {what} must have {keys} before it can be used: choose lines with `# ?`", file=sys.stderr)
        raise typer.Exit(2)
    if not inspection.n_trips:
        print(f"farebox: {what} reads no trip: the sampled rows are rejected, see its first lines", file=sys.stderr)
        raise typer.Exit(2)
