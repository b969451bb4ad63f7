"""The pages of `farebox compare`: of two models on the same trips, and of two cities."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farebox.components.atomic_pusher.versions import facts_beside
from farebox.components.errors import InputError
from farebox.components.files import write_atomically
from farebox.components.reporter.page.cities import CityRun
from farebox.components.reporter.page.comparison import ComparisonPage, SliceDifference, render_comparison
from farebox.components.trip_example_gen.files import DAYS
from farebox.pipeline.fare_model import FareModel, PredictedTrips
from farebox.pipeline.local.folder import LATEST, SUMMARY_FILE
from farebox.pipeline.local.report import settings_of
from farebox.pipeline.local.run import RunSummary

if TYPE_CHECKING:
    from farebox.modules.comparison import ComparedSlice
    from farebox.pipeline.settings.load import Settings


def comparison_page(
    settings: Settings, trips: PredictedTrips, slices: Sequence[ComparedSlice], notes: Sequence[str]
) -> str:
    """The page of two models on the same trips, as HTML."""
    models = trips.models
    manifests = [facts_beside(model.path) for model in models]
    first, second = (facts_of(model, manifest) for model, manifest in zip(models, manifests, strict=True))
    return render_comparison(
        ComparisonPage(
            city=settings.city.name,
            currency=settings.city.currency,
            names=(str(models[0].path), str(models[1].path)),
            source=settings.data,
            slices=tuple(difference(each) for each in slices),
            facts=tuple((name, first[name], second[name]) for name in first),
            settings=differing_settings(settings.runs_dir, manifests),
            notes=tuple(notes),
            trained_share=trips.trained_share,
        )
    )


def difference(compared: ComparedSlice) -> SliceDifference:
    """A slice as the page takes it."""
    estimate = compared.difference
    metrics = (compared.a, compared.b, estimate.value, estimate.lower, estimate.upper)
    return SliceDifference(compared.slice, compared.rows, *metrics, compared.better)


def facts_of(model: FareModel, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Facts of a model from its file and from the manifest beside it; a dash for what neither tells."""
    days, metrics = model.description.facts.get(DAYS), manifest.get("metrics", {})
    return {
        "pushed": str(manifest.get("created", "–"))[:19],
        "run": str(manifest.get("run_id", "–")),
        "trips of": f"{days[0]} to {days[1]}" if days else "–",
        "bytes": f"{model.path.stat().st_size:,}",
        "SHA-256": str(manifest.get("sha256", "–")),
        "RMSE when it was judged": f"{metrics['rmse']:.3f}" if "rmse" in metrics else "–",
        "ranges promise": "–" if model.coverage is None else f"{model.coverage:.0%} of fares",
        "inputs": ", ".join(model.input_names),
        "commit": str(manifest.get("commit", "–")),
    }


def differing_settings(
    runs_dir: Path, manifests: Sequence[Mapping[str, Any]]
) -> tuple[tuple[str, str, str], ...] | None:
    """The settings in which the runs of two versions differ; None if a run is not there."""
    a, b = (settings_of(runs_dir / str(manifest.get("run_id", "unknown"))) for manifest in manifests)
    if a is None or b is None:
        return None
    return tuple(
        (key, a.get(key, "the default"), b.get(key, "the default"))
        for key in sorted({**a, **b})
        if a.get(key) != b.get(key)
    )


def city_runs(out: Path, names: Sequence[str]) -> list[CityRun] | None:
    """The latest runs of two cities; None if a name is no city with runs. Raises InputError for a damaged summary."""
    files = [out / "runs" / name / LATEST / SUMMARY_FILE for name in names]
    if not all(Path(name).name == name and file.is_file() for name, file in zip(names, files, strict=True)):
        return None
    return [city_run(file) for file in files]


def city_run(file: Path) -> CityRun:
    """A run from its summary."""
    try:
        summary = RunSummary.from_json(json.loads(file.read_text()))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} must be a summary that a run wrote, got {error!r}") from error
    return CityRun(summary.city, summary.currency, summary.run_id, summary.figures)


def write(page: Path, html: str) -> None:
    """Writes a page. Raises InputError if it cannot be written."""
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(page, html)
    except OSError as error:
        raise InputError(f"page={page} cannot be written: {error.strerror}") from error
