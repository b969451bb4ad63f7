"""Description of a `.tflite`: each input and the output in the file's order, and facts of the whole."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class TensorDescription:
    """An input or the output.

    meaning: what the number stands for, with its coding (`Monday 0`). unit: `degrees`, `USD`; empty without one.
    dtype: as the file has it, such as `float32`; empty until a file says so. minimum, maximum: the closed interval of
    valid values, None where it is open.

    Raises ValueError for a text that metadata.py could not read back, or an empty interval.
    """

    name: str
    meaning: str = ""
    unit: str = ""
    dtype: str = ""
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        for key in ("meaning", "unit"):
            text = getattr(self, key)
            if "[" in text or "]" in text:
                raise ValueError(f"description.{self.name}.{key}={text} must have no brackets: they hold the unit")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"description.{self.name}: minimum={self.minimum} must be at most {self.maximum}")

    @property
    def text(self) -> str:
        """Meaning and unit in one line: `longitude, WGS84 [degrees]`."""
        return " ".join(part for part in (self.meaning, f"[{self.unit}]" if self.unit else "") if part)

    @property
    def line(self) -> str:
        """The text and the bounds: `longitude, WGS84 [degrees], -87.95 to -87.52`."""
        bounds = [] if self.minimum is None or self.maximum is None else [f"{self.minimum:g} to {self.maximum:g}"]
        return ", ".join([*([self.text] if self.text else []), *bounds])

    @classmethod
    def of_text(cls, name: str, text: str, **fields: Any) -> TensorDescription:
        """Splits what `text` joined."""
        meaning, _, unit = text.partition("[")
        return cls(name, meaning.strip(), unit.partition("]")[0], **fields)


@dataclasses.dataclass(frozen=True)
class Description:
    """A file in words and numbers.

    description: sentences for people. version: of its maker and of what it promises, not of its bytes, whose digest
    cannot stand inside them. inputs: in the file's order. facts: what else a program may want, as JSON has it.
    """

    name: str = ""
    description: str = ""
    version: str = ""
    inputs: tuple[TensorDescription, ...] = ()
    output: TensorDescription = TensorDescription("")
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        """Compact JSON, as an execution property carries it; `from_json` reads it."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Description:
        """Reads what `to_json` wrote. Raises ValueError for anything else."""
        try:
            fields = json.loads(text)
            inputs = tuple(TensorDescription(**each) for each in fields.pop("inputs"))
            return cls(inputs=inputs, output=TensorDescription(**fields.pop("output")), **fields)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"description must be JSON of a Description, got {text[:60]}: {error}") from error

    def with_facts(self, **facts: Any) -> Description:
        """The same with more facts, or with others of these names."""
        return dataclasses.replace(self, facts={**self.facts, **facts})

    def as_json(self) -> dict[str, Any]:
        """`inputs`, `output` and `facts`, as a manifest has them, without what is not known.

        Description and version are among the facts; a manifest has names of its own.
        """
        texts = {key: text for key in ("description", "version") if (text := getattr(self, key))}
        return {
            "inputs": [_known(each) for each in self.inputs],
            "output": _known(self.output),
            "facts": {**texts, **self.facts},
        }


def _known(tensor: TensorDescription) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(tensor).items() if value not in (None, "")}
