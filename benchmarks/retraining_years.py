"""New York's real trips, a span a year, through `farebox retrain`: does it see that fares rose in September 2012?

    python benchmarks/retraining_years.py --data taxi-fares.csv --out FOLDER [--set key=value]...

A model of 2009 to 2011, then a tick a year, which retrains on drift alone. After each, the shipped model and the one of
2009 to 2011 are asked for the next year's fares.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from whole_runs import one_line_errors

from pipeline import offline
from pipeline.retraining import tick
from pipeline.retraining.journal import Record
from pipeline.settings import Settings, load_settings

CITY, TIME, FIRST, LAST = "nyc", "pickup_datetime", 2011, 2014  # ends of the first window, and of the last
SPANS = ("spans.pattern=span-{SPAN}", "spans.quiet_s=0", "spans.window=3", "spans.min_new_spans=null")


@dataclasses.dataclass(frozen=True)
class Year:
    """A tick's year and record; rmse: of the shipped model on the next year's trips, stale: of the first model."""

    year: int
    record: Record
    rmse: float
    stale: float


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a file of dated trips, as taxi-fares.csv")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    options = parser.parse_args()
    with one_line_errors("retraining_years"):
        print(table(list(run(options.data, options.out, options.overrides))))


def run(trips: Path, out: Path, overrides: Sequence[str] = ()) -> Iterator[Year]:
    """A tick a year."""
    cut(trips, out / "years")
    (out / "data").mkdir()
    settings = load_settings(CITY, str(out / "data"), str(out), [*SPANS, *overrides])
    first: Path | None = None
    for year in range(FIRST, LAST + 1):
        for span in range(year if first else year - settings.spans.window + 1, year + 1):
            (out / "years" / f"span-{span}").rename(out / "data" / f"span-{span}")
        record = tick.retrain(settings, quiet=True)[-1]
        latest = settings.models_dir / (settings.models_dir / "LATEST").read_text().strip() / "fare.tflite"
        first = first or latest
        yield Year(
            year, record, *(error_of(model, settings, out / "years" / f"span-{year + 1}") for model in (latest, first))
        )


def cut(trips: Path, folder: Path) -> None:
    """A span per year."""
    with trips.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    for year in sorted({row[TIME][:4] for row in rows}):
        path = folder / f"span-{year}" / "trips.csv"
        path.parent.mkdir(parents=True)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, reader.fieldnames or ())
            writer.writeheader()
            writer.writerows(row for row in rows if row[TIME][:4] == year)


def error_of(model: Path, settings: Settings, trips: Path) -> float:
    """RMSE of a model on trips."""
    return float(offline.evaluate(str(model), dataclasses.replace(settings, data=str(trips)))["rmse"])


def table(years: Sequence[Year]) -> str:
    """In Markdown."""
    head = "| new span | decision | drift of fare | window | shipped on the next year | model of 2009 to 2011 |"
    lines = []
    for each in years:
        record, window = each.record, [span for span, _ in each.record.spans.window]
        drift = f"{record.drift['fare']:.4f}" if record.drift else "–"
        decided = f"{record.decision}: {', '.join(record.causes)}" if record.causes else record.decision
        outcome = f"{decided}, {record.outcome}"
        errors = f"{each.rmse:.3f} | {each.stale:.3f}"
        lines.append(f"| {each.year} | {outcome} | {drift} | {window[0]}–{window[-1]} | {errors} |")
    return "\n".join([head, "|---" * 6 + "|", *lines])


if __name__ == "__main__":
    main()
