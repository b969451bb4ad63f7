"""New York's real trips, a span a year, through `farebox retrain`: does it see that fares rose in September 2012?

    python benchmarks/retraining_years.py --data taxi-fares.csv --out FOLDER [--set key=value]...

After a model of 2009 to 2011 comes a tick a year, which retrains on drift alone. After each tick, the shipped model and
the model of 2009 to 2011 predict the next year's fares. The exit code is 1 if the rise is not detected, or retraining
does not help.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from whole_runs import Condition, Parser, insist, one_line_errors

from farebox.components.errors import InputError
from farebox.pipeline.fare_model import evaluate
from farebox.pipeline.retraining import tick
from farebox.pipeline.retraining.journal import Record
from farebox.pipeline.settings.load import Settings, load_settings

CITY, TIME, FIRST, LAST = "nyc", "pickup_datetime", 2011, 2014  # last years of the first and of the last window
SEEN = 2013  # first whole year of the new fares: 29 % of 2012's trips came after the rise
SPANS = (
    "spans.pattern=span-{SPAN}", "spans.quiet_s=0", "spans.window=3", "spans.min_new_spans=null",
    "spans.live_error=false", "spans.rollback=false",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Year:
    """Year and record of a tick. RMSE on the next year's trips: rmse of the shipped model, stale of the first model."""

    year: int
    record: Record
    rmse: float
    stale: float


def main() -> None:
    """Runs the command."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a file of dated trips, as taxi-fares.csv")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    with one_line_errors("retraining_years"):
        options = parser.parse_args()
        check(options.data, options.out)
        years = list(run(options.data, options.out, options.overrides))
    checked = conditions(years)
    print("\n".join([table(years), "", *(f"- {condition.describe()}" for condition in checked)]))
    insist("retraining_years", checked)


def check(trips: Path, out: Path) -> None:
    """Checks the options. Raises InputError."""
    if not trips.is_file():
        raise InputError(f"--data={trips} must be a file")
    if out.exists():
        raise InputError(f"--out={out} must be a new folder")


def conditions(years: Sequence[Year]) -> list[Condition]:
    """The rise is detected by the end of its first whole year; from then on the shipped model beats the first one."""
    seen = [each.year for each in years if "drift" in each.record.causes]
    after = [each for each in years if seen and each.year >= seen[0]]
    ratios = ", ".join(f"{each.rmse / each.stale:.3f} ({each.year})" for each in after)
    pays = bool(after) and all(each.record.outcome != "refused" and each.rmse < each.stale for each in after)
    return [
        Condition(
            "the rise of September 2012 is drift",
            f"of {', '.join(map(str, seen))}" if seen else "never",
            bool(seen) and SEEN - 1 <= seen[0] <= SEEN,
        ),
        Condition("RMSE on the next year below that of the model of 2009 to 2011", ratios or "never retrained", pays),
    ]


def run(trips: Path, out: Path, overrides: Sequence[str] = ()) -> Iterator[Year]:
    """Runs a tick a year."""
    cut(trips, out / "years")
    (out / "data").mkdir()
    settings = load_settings(CITY, str(out / "data"), str(out), [*SPANS, *overrides])
    first: Path | None = None
    for year in range(FIRST, LAST + 1):
        for span in range(year if first else year - settings.spans.window + 1, year + 1):
            (out / "years" / f"span-{span}").rename(out / "data" / f"span-{span}")
        record = tick.retrain(settings)[-1].record
        latest = settings.models_dir / (settings.models_dir / "LATEST").read_text().strip() / "fare.tflite"
        first = first or latest
        yield Year(
            year, record, *(error_of(model, settings, out / "years" / f"span-{year + 1}") for model in (latest, first))
        )


def cut(trips: Path, folder: Path) -> None:
    """Writes a span per year."""
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
    return evaluate(model, dataclasses.replace(settings, data=str(trips))).rmse


def table(years: Sequence[Year]) -> str:
    """A line per year, in Markdown."""
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
