"""TFX's handle of MLMD on PostgreSQL."""

from __future__ import annotations

from tfx.orchestration.metadata import Metadata

from pipeline.postgresql_store import PostgresqlStore


class PostgresqlMetadata(Metadata):
    """Metadata, whose ways to open a store are kept: it tries ten times."""

    def __enter__(self) -> PostgresqlMetadata:
        super().__enter__()
        self._store.__class__ = PostgresqlStore
        return self
