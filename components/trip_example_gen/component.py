"""TripExampleGen's inputs and outputs, on TFX's file-based ExampleGen, whose driver finds spans and versions."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import os
from collections.abc import Sequence

from google.protobuf import wrappers_pb2
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.example_gen.utils import make_default_input_config
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.proto import example_gen_pb2, range_config_pb2

from farebox.components.trip_example_gen.driver import TripExampleGenDriver
from farebox.components.trip_example_gen.executor import TripExampleGenExecutor
from farebox.components.trip_example_gen.files import INGEST_PROPERTY, SOURCE_PROPERTY
from farebox.components.trip_example_gen.profile import CityProfile, profile_to_json
from farebox.components.trip_example_gen.sources.file_lists import SUFFIXES, has_pattern, split_pattern
from farebox.components.trip_example_gen.spans import Delivery, Window

SPLITS = ("train", "eval", "test")


class TripExampleGen(FileBasedExampleGen):
    """Reads CSV and Parquet, keeps the rows that are trips of a city, and splits them by a hash of the row.

    Files under `examples.uri`:
        Split-{train,eval,test}/data_tfrecord-*.gz  tf.Examples of `columns.EXAMPLE_COLUMNS`
        rejected/rejected-*.csv                     file, row, reason, column, text of the rejected rows
        counts.json                                 read (= examples + rejected + left_out), by_reason, by_column,
                                                    by_file, by_split, days, and what else `Losses` has
    """

    EXECUTOR_SPEC = BeamExecutorSpec(TripExampleGenExecutor)
    DRIVER_CLASS = TripExampleGenDriver

    def __init__(
        self,
        input_base: str,
        profile: CityProfile,
        *,
        splits: Sequence[int] = (8, 1, 1),
        seed: int = 0,
        code_digest: str = "",
        input_config: example_gen_pb2.Input | None = None,
        range_config: range_config_pb2.RangeConfig | None = None,
        delivery: Delivery | None = None,
        window: Window | None = None,
        by_time: bool = False,
    ) -> None:
        """Raises ValueError for shares or an input_config that cannot be used.

        input_base: a folder, a file or a glob pattern, see `sources.find_files`. splits: the shares of `SPLITS`.
        code_digest: keeps the cache right.
        input_config, range_config: TFX's, for instance one split with the pattern `span-{SPAN}/*`, of which the driver
            takes the newest.
        delivery: the version of a span that is in `input_base`; `examples` then have the custom properties span,
            version and ingest, the `ingest_digest` of the other arguments.
        window: the executor finds these spans itself, or those from first_span to last_span if these properties are
            not negative. Such a node must not be cached: the cache does not see the folder.
        by_time: of a window of several spans the newest judges, which is eval and test by their shares; older ones are
            train.
        """
        if len(splits) != len(SPLITS) or min(splits) < 1:
            raise ValueError(f"splits={tuple(splits)} must be {len(SPLITS)} positive shares, of {', '.join(SPLITS)}")
        if input_config and len(input_config.splits) != 1:
            raise ValueError(
                f"input_config must have one split, which is cut into {', '.join(SPLITS)}, got {input_config}"
            )
        folder, pattern = _folder_and_pattern(input_base)
        shares = [
            example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=share)
            for name, share in zip(SPLITS, splits, strict=True)
        ]
        custom_config = example_gen_pb2.CustomConfig()
        properties = {"profile": profile_to_json(profile), "seed": seed, "code_digest": code_digest}
        if not input_config and not window:
            properties[SOURCE_PROPERTY] = input_base if "://" in input_base else os.path.abspath(input_base)
        if delivery:
            identity = {"span": delivery.span, "version": delivery.version, "sha256": delivery.sha256}
            properties |= {"delivery": identity, INGEST_PROPERTY: ingest_digest(profile, splits, seed, code_digest)}
        if window:
            properties |= {"window": dataclasses.asdict(window), "by_time": by_time}
        custom_config.custom_config.Pack(wrappers_pb2.StringValue(value=json.dumps(properties, sort_keys=True)))
        super().__init__(
            input_base=folder,
            input_config=input_config or make_default_input_config(pattern),
            output_config=example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=shares)),
            custom_config=custom_config,
            range_config=range_config,
        )


def ingest_digest(profile: CityProfile, splits: Sequence[int], seed: int, code_digest: str) -> str:
    """Digest of everything except the rows that examples depend on: joined spans must have the same one."""
    everything = json.dumps([profile_to_json(profile), list(splits), seed, code_digest])
    return hashlib.sha256(everything.encode()).hexdigest()[:16]


def _folder_and_pattern(input_base: str) -> tuple[str, str]:
    """A folder and a pattern in it, escaped unless they are a pattern because TFX globs the two joined.

    A suffix marks a file. TFX only takes the fingerprint of these files, and not where the driver is ours.
    """
    if "://" not in input_base:
        input_base = os.path.abspath(input_base)
    if has_pattern(input_base) and not os.path.exists(input_base):
        return split_pattern(input_base)
    if os.path.isdir(input_base) or not input_base.lower().endswith(SUFFIXES):
        return glob.escape(input_base), "*"
    return glob.escape(os.path.dirname(input_base)), glob.escape(os.path.basename(input_base))
