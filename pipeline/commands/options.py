"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

City = Annotated[str, typer.Option(help="A shipped city (chicago, nyc) or your own city.yaml.")]
Data = Annotated[str | None, typer.Option(help="A CSV or Parquet file, or a folder of them.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting, e.g. gates.max_rmse=4.")
]
