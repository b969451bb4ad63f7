"""The child process's request and report, which travel as JSON and npz."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from farebox.components.device_validator.settings import DeviceSettings
from farebox.components.errors import Check

Numbers = npt.NDArray[Any]  # float32, int64 or int32
Columns = Mapping[str, Numbers]
Changes = Mapping[str, float | str]
EdgeRows = Mapping[str, Changes]
DEVICE_FILE = "device.json"  # the report beside the blessing
NUMBER_WORDS = ("nan", "inf", "-inf")


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of a device, besides the settings.

    input_names: the raw columns that a device can provide; the file may have no other inputs.
    min_output, max_output: the believable outputs, in the label's unit.
    edge_rows: changes of real rows by name: {column: number, `nan`, `inf`, `-inf`, or another column}.
    """

    input_names: tuple[str, ...]
    max_output: float
    min_output: float = 0.0
    edge_rows: EdgeRows = dataclasses.field(default_factory=dict)
    settings: DeviceSettings = dataclasses.field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        if not self.max_output > max(0.0, self.min_output):
            raise ValueError(
                f"max_output={self.max_output} must be positive and above min_output={self.min_output}, "
                "in DeviceValidator"
            )
        for name, changes in self.edge_rows.items():
            for column, value in changes.items():
                if isinstance(value, str) and value not in (*NUMBER_WORDS, *self.input_names):
                    raise ValueError(
                        f"edge_rows.{name}.{column}={value} must be a number, {', '.join(NUMBER_WORDS)} or one of the "
                        f"inputs {', '.join(self.input_names)}, in DeviceValidator"
                    )


@dataclasses.dataclass(frozen=True)
class Report:
    """Every check, and the measurements, which include those without a bound."""

    checks: tuple[Check, ...]
    measurements: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether no check refuses."""
        return not any(check.refuses for check in self.checks)


@dataclasses.dataclass(frozen=True)
class Request:
    """A file to validate, a reference to compare it with or None, and raw rows: columns of shape (n,)."""

    model: Path
    reference: Path | None
    rows: Columns
    limits: Limits

    def write(self, folder: Path) -> Path:
        """Writes the request to a folder; returns its JSON file."""
        rows: dict[str, Any] = dict(self.rows)
        np.savez(folder / "rows.npz", **rows)
        content = {
            "model": str(self.model),
            "reference": str(self.reference) if self.reference else None,
            "rows": str(folder / "rows.npz"),
            "limits": dataclasses.asdict(self.limits),
        }
        (folder / "request.json").write_text(json.dumps(content))
        return folder / "request.json"

    @classmethod
    def read(cls, path: Path) -> Request:
        """Reads what `write` wrote."""
        content = json.loads(path.read_text())
        limits = content["limits"]
        changed = {
            "input_names": tuple(limits["input_names"]),
            "settings": DeviceSettings(**limits["settings"]),
        }
        reference = Path(content["reference"]) if content["reference"] else None
        with np.load(content["rows"]) as rows:
            return cls(Path(content["model"]), reference, dict(rows), Limits(**limits | changed))
