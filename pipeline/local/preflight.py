"""Checks of a run's inputs that take no time: what would fail late is refused early."""

from __future__ import annotations

import socket

from farebox.components.errors import InputError
from farebox.components.trip_example_gen.judging.first_look import describe_first
from farebox.components.trip_example_gen.judging.losses import Losses
from farebox.components.trip_example_gen.reader import check_weekdays, read_trips
from farebox.pipeline.settings.load import Settings

JOB_SERVER_S = 5.0  # time that a job server has to accept a connection


def check_signing_key(settings: Settings) -> None:
    """Raises InputError if the key that signs at the very end of a run cannot be used."""
    if settings.push.signing_key is not None:
        from farebox.components.atomic_pusher import signature

        signature.signing_key(settings.push.signing_key)


def check_engine(settings: Settings) -> None:
    """Raises InputError if a job server does not answer, or Dataflow's workers cannot reach the artifacts.

    Beam would wait five minutes for the server, and Dataflow's workers would fail one by one.
    """
    if settings.beam.runner == "dataflow":
        raise InputError(
            f"beam.runner=dataflow must go with artifacts in a bucket, got out={settings.out}, which its workers "
            "cannot reach: compile the pipeline for Kubeflow or Vertex AI"
        )
    if address := settings.beam.job_service:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), JOB_SERVER_S).close()
        except OSError as error:
            raise InputError(
                f"beam.job_endpoint={address} must be a Beam job server that runs, got {error.strerror or error}"
            ) from error


def check_first_trip(settings: Settings) -> str:
    """Describes the first trip in a line: what was understood of the source, before the 8 s that importing TFX takes.

    Raises InputError if no row is a trip, or if the weekdays up to the first trips do not fit the city's coding.
    """
    losses = Losses()
    for trips in read_trips(settings.data, settings.city):
        losses += trips.losses
        if trips.examples.num_rows:
            check_weekdays(settings.data, losses)
            return describe_first(trips.examples, settings.city)
    raise InputError(f"{settings.data}: no row is a trip of {settings.city.name}")
