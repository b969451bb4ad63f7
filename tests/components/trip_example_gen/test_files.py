"""Which files are read, packed files, Parquet's types, and files that would run code."""

from __future__ import annotations

import bz2
import dataclasses
import datetime
import decimal
import gzip
import io
import json
import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import reader
from farebox.components.trip_example_gen.judging.judge import Trips
from farebox.components.trip_example_gen.profile import Bounds, Box, CityProfile, Columns
from farebox.components.trip_example_gen.sources import chunks, packed, reading

TOYTOWN = CityProfile(
    name="toytown",
    columns=Columns("fare", "x1", "y1", "x2", "y2", passenger_count="n", pickup_time="t"),
    box=Box(0, 1, 0, 1),
    fare=Bounds(1, 100),
    times="local",
)
HEADER = "fare,x1,y1,x2,y2,n,t\n"
YEAR_2011 = 1300000000  # 13 March 2011


def rows(n: int, first: int = 0) -> str:
    """Lines of trips, no two alike."""
    return "".join(f"{2 + i % 90},0.25,0.5,0.75,0.5,{1 + i % 6},{YEAR_2011 + i}\n" for i in range(first, first + n))


def columns(n: int, first: int = 0) -> dict[str, pa.Array]:
    """The same trips as `rows`, as columns."""
    places = np.arange(first, first + n)
    halves = {
        name: pa.array(np.full(n, value)) for name, value in (("x1", 0.25), ("y1", 0.5), ("x2", 0.75), ("y2", 0.5))
    }
    fares = {"fare": pa.array(2.0 + places % 90)}
    return fares | halves | {"n": pa.array(1 + places % 6), "t": pa.array(YEAR_2011 + places)}


def write_csv(path: Path, n: int, first: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + rows(n, first))
    return path


def write_parquet(path: Path, n: int, first: int = 0, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns(n, first)), path, **options)
    return path


def read(path: Path | str, profile: CityProfile = TOYTOWN) -> Trips:
    """All trips of a source in one piece."""
    parts = list(reader.read_trips(str(path), profile))
    examples = pa.Table.from_batches([part.examples for part in parts]).combine_chunks().to_batches()
    return Trips(
        examples[0], pa.concat_tables([part.rejected for part in parts]), sum(part.n_left_out for part in parts)
    )


def epochs(trips: Trips) -> list[int]:
    return sorted(trips.examples.column(trips.examples.schema.get_field_index("pickup_epoch")).to_pylist())


def of_rows(n: int, first: int = 0) -> list[int]:
    return [YEAR_2011 + i for i in range(first, first + n)]


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


TEXT = (HEADER + rows(3)).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("trips.txt", TEXT),
        ("part-00000", TEXT),
        ("trips.csv.gz", gzip.compress(TEXT)),
        ("trips.gz", gzip.compress(TEXT[:70]) + gzip.compress(TEXT[70:])),
        ("trips.zip", zipped({"trips.csv": TEXT})),
        ("trips.zip", zipped({"data": TEXT}, zipfile.ZIP_LZMA)),
        ("trips.csv.bz2", bz2.compress(TEXT)),
        ("trips.csv.zst", zstd(TEXT)),
        ("trips.zst", zstd(TEXT[:70]) + zstd(TEXT[70:])),
        ("zip.csv", zipped({"trips.csv": TEXT})),
        ("gzip.csv", gzip.compress(TEXT)),
        ("plain.csv.gz", TEXT),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # not gzip's bytes: they hold the time
)
def test_a_packed_file_is_read_by_its_content(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert epochs(read(tmp_path)) == epochs(read(tmp_path / name)) == of_rows(3)
    assert reading.estimated_rows([str(tmp_path / name)]) == 3


@pytest.mark.parametrize("name", ["part-00000", "part-r-00000-a1b2", "trips.csv", "trips.snappy.parquet"])
def test_parquet_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    write_parquet(tmp_path / name, 4)
    assert epochs(read(tmp_path)) == of_rows(4)
    assert reading.estimated_rows([str(tmp_path / name)]) == 4


def test_a_zip_is_all_its_texts(tmp_path: Path) -> None:
    members = {
        "2019/": b"", "2019/feb.csv": TEXT.replace(b"0.25", b"here"), "2019/jan.csv": (HEADER + rows(2, 3)).encode(),
        "__MACOSX/2019/._jan.csv": b"\x00", "README.md": b"# Trips",
    }  # fmt: skip
    path = tmp_path / "trips.zip"
    path.write_bytes(zipped(members))
    trips = read(path)
    assert epochs(trips) == of_rows(2, 3)
    assert [(row["file"], row["row"]) for row in trips.rejected.to_pylist()] == [
        (f"zip://2019/feb.csv::{path}", number) for number in (2, 3, 4)
    ]
    assert reading.estimated_rows([str(path)]) == 5


TAR = b"trips.csv".ljust(257, b"\0") + b"ustar".ljust(255, b"\0") + TEXT


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv.gz", gzip.compress(os.urandom(9999))[:-20], "cannot be unpacked: "),
        ("a.csv.bz2", bz2.compress(TEXT)[:-20], "cannot be unpacked: "),
        ("a.csv.zst", zstd(TEXT)[:-9], "cannot be unpacked: "),
        ("a.zip", zipped({"a.csv": TEXT})[:-20], "cannot be unpacked: "),
        ("a.zip", zipped({"a.csv": TEXT}, zipfile.ZIP_STORED).replace(b"0.25", b"0.26"), "cannot be unpacked: .*CRC"),
        ("book.csv", zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "a zip must hold files that end in"),
        ("a.tar.gz", gzip.compress(TAR), "a packed file must hold text, got tar in gzip: unpack it first"),
        ("a.zip", zipped({"a.csv.gz": gzip.compress(TEXT)}), "a packed file must hold text, got gzip in zip"),
        ("a.parquet.gz", gzip.compress(b"PAR1" + bytes(99)), "a packed file must hold text, got Parquet in gzip"),
        ("a.csv", b"\xfd7zXZ\x00\x00\x04", "must be CSV, Parquet or CSV packed by gzip, .*, got xz: convert it first"),
        ("a.csv.gz", gzip.compress(b""), "must hold trips, got an empty file"),
        ("a.csv", b"PAR1" + bytes(99), "unreadable Parquet: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_damaged_or_foreign_file_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: {message}") as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, zstd, lambda text: zipped({"a.csv": text})], ids=["gz", "bz2", "zst", "zip"]
)
def test_a_bomb_is_unpacked_by_small_parts(tmp_path: Path, pack: Any) -> None:
    n_bytes = 64 << 20
    (tmp_path / "bomb").write_bytes(pack(b"0" * n_bytes))
    ((place, _),) = packed.contents_of(str(tmp_path / "bomb"), open)
    n_read, before = 0, pa.total_allocated_bytes()
    tracemalloc.start()
    with packed.open_unpacked(place, open) as file:
        while block := file.read(1 << 20):
            n_read += len(block)
            assert pa.total_allocated_bytes() - before < 8 << 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (n_read, peak < 8 << 20) == (n_bytes, True)


def hive_tree(base: Path) -> Path:
    """12 trips in a tree as Spark writes it, with what Spark writes beside them."""
    for number, (year, month) in enumerate((("2018", "12"), ("2019", "01"), ("2019", "02"))):
        folder = base / f"year={year}" / f"month={month}"
        write_parquet(folder / "part-0.parquet", 4, 4 * number)
        (folder / ".part-0.parquet.crc").write_bytes(b"crc\0")
    (base / "_SUCCESS").touch()
    write_parquet(base / "_metadata", 1, 99)
    write_csv(base / ".hidden" / "trips.csv", 1, 99)
    write_csv(base / "_temporary" / "0" / "trips.csv", 1, 99)
    write_csv(base / "._trips.csv", 1, 99)
    (base / "README.md").write_text("# Trips\n")
    return base


PLACES = [
    ("", 12, 0), ("year=2019", 8, 4), ("year=*", 12, 0), ("year=*/month=01", 4, 4), ("year=*/month=0*/*.parquet", 8, 4),
    ("**/*.parquet", 12, 0), ("**/month=12/*", 4, 0), ("year=2018/**", 4, 0), ("*/*/part-[0-9].parquet", 12, 0),
    ("year=2019/month=02/part-0.parquet", 4, 8),
]  # fmt: skip


@pytest.mark.parametrize(("place", "n", "first"), PLACES, ids=[place or "." for place, _, _ in PLACES])
def test_a_folder_is_all_its_files_however_deep_and_a_pattern_its_matches(
    tmp_path: Path, place: str, n: int, first: int
) -> None:
    base = hive_tree(tmp_path / "trips")
    assert epochs(read(f"{base}/{place}")) == of_rows(n, first)


@pytest.mark.parametrize("place", ["", "year=*/month=0*", "**/*.parquet", "year=2019"])
def test_a_bucket_has_the_same_files(tmp_path: Path, place: str) -> None:
    """With TensorFlow's file systems, as in a bucket, here in memory."""
    import tensorflow as tf

    from farebox.components.trip_example_gen.sources.remote_files import file_system_of

    base, remote = hive_tree(tmp_path / "trips"), f"ram://{tmp_path}/trips"
    for file in base.rglob("*"):
        if file.is_file():
            tf.io.gfile.makedirs(f"{remote}/{file.relative_to(base).parent}".removesuffix("/."))
            with tf.io.gfile.GFile(f"{remote}/{file.relative_to(base)}", "wb") as copy:
                copy.write(file.read_bytes())
    here = reading.find_files(f"{base}/{place}".rstrip("/"))
    there = reading.find_files(f"{remote}/{place}".rstrip("/"), file_system=file_system_of(remote))
    assert [name.removeprefix(remote) for name in there] == [name.removeprefix(str(base)) for name in here]
    assert len(here) in (2, 3)


def component(source: str, profile: CityProfile = TOYTOWN) -> Any:
    from farebox.components.trip_example_gen.component import TripExampleGen

    return TripExampleGen(source, profile)


def ingest(source: str, uri: Path, profile: CityProfile = TOYTOWN) -> dict[str, Any]:
    """The counts of TripExampleGen's executor."""
    from tfx.types import standard_artifacts

    from farebox.pipeline.settings.beam import BeamSettings

    node, examples = component(source, profile), standard_artifacts.Examples()
    examples.uri = str(uri)
    executor_class = node.executor_spec.executor_class
    executor = executor_class(executor_class.Context(beam_pipeline_args=list(BeamSettings().pipeline_args)))
    executor.Do({}, {"examples": [examples]}, dict(node.exec_properties))
    counts: dict[str, Any] = json.loads((uri / "counts.json").read_text())
    return counts


@pytest.mark.parametrize("place", ["", "year=*", "**/*.csv"])
def test_ingest_takes_the_files_of_the_first_look(tmp_path: Path, place: str) -> None:
    for year in (2018, 2019):
        write_csv(tmp_path / f"trips/year={year}/part-0.csv", 60, 100 * year)
    source = f"{tmp_path}/trips/{place}"
    assert ingest(source, tmp_path / "out")["read"] == read(source).n_read == 120


def test_a_change_deep_in_a_tree_changes_the_cache_key(tmp_path: Path) -> None:
    """The driver of TFX looks at the folder itself only."""
    from tfx.orchestration import data_types
    from tfx.orchestration.metadata import Metadata, sqlite_metadata_connection_config

    base = hive_tree(tmp_path / "trips")

    def fingerprint(profile: CityProfile = TOYTOWN) -> str:
        node, info = component(str(base), profile), data_types.PipelineInfo("p", "r")
        with Metadata(sqlite_metadata_connection_config(str(tmp_path / "mlmd.sqlite"))) as handle:
            resolved = node.driver_class(handle).resolve_exec_properties(
                dict(node.exec_properties), info, data_types.ComponentInfo("t", "i", info)
            )
        return str(resolved["input_fingerprint"])

    before = fingerprint()
    assert fingerprint() == before
    (base / "README.md").write_text("# Other trips\n")
    assert fingerprint() == before
    deep = base / "year=2019/month=01/part-0.parquet"
    os.utime(deep, ns=(0, deep.stat().st_mtime_ns + 1))
    assert fingerprint() != before
    assert fingerprint(dataclasses.replace(TOYTOWN, ignore_files=("part-0*",))) not in (before, fingerprint())


def test_a_linked_folder_is_read_once_and_a_circle_ends(tmp_path: Path) -> None:
    write_csv(tmp_path / "elsewhere/trips.csv", 3)
    (tmp_path / "trips").mkdir()
    (tmp_path / "trips/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/circle").symlink_to(tmp_path / "trips")
    assert epochs(read(tmp_path / "trips")) == of_rows(3)


def test_the_folders_of_a_hive_tree_are_columns(tmp_path: Path) -> None:
    base = hive_tree(tmp_path / "trips")
    (base / "year=2019/month=01").rename(base / "year=2019/month=__HIVE_DEFAULT_PARTITION__")
    assert epochs(read(base, dataclasses.replace(TOYTOWN, where="year == 2019"))) == of_rows(8, 4)
    assert epochs(read(base, dataclasses.replace(TOYTOWN, where="year == '2018' or month is None"))) == of_rows(8)
    by_folder = dataclasses.replace(TOYTOWN, columns=dataclasses.replace(TOYTOWN.columns, passenger_count="month"))
    assert read(base / "year=2019/month=02", by_folder).examples.column(4).to_pylist() == [2] * 4
    for file in base.rglob("*.parquet"):
        file.unlink()
    write_csv(base / "year=a%20b/trips.csv", 5)
    assert epochs(read(base, dataclasses.replace(TOYTOWN, where="year == 'a b'"))) == of_rows(5)
    with pytest.raises(InputError, match=r"column years \(city.where\) is missing, found fare, .*, t, year$"):
        read(base, dataclasses.replace(TOYTOWN, where="years == 2019"))


def test_a_files_own_column_comes_before_the_folders(tmp_path: Path) -> None:
    write_csv(tmp_path / "n=7/trips.csv", 3)
    assert read(tmp_path).examples.column(4).to_pylist() == [1, 2, 3]


def test_side_files_are_ignored_by_pattern_and_otherwise_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "trips.csv", 3)
    (tmp_path / "zone_lookup.csv").write_text("id,name\n1,Centre\n")
    (tmp_path / "license.txt").write_text("Free to use.\n")
    with pytest.raises(InputError, match=r"license.txt: column fare .* is missing, found Free to use.; if it holds no "
                       r"trips, leave it out by city.ignore_files: \[license.txt\]$"):  # fmt: skip
        read(tmp_path)
    ignoring = dataclasses.replace(TOYTOWN, ignore_files=("*_lookup.csv", "license.*"))
    assert epochs(read(tmp_path, ignoring)) == epochs(read(tmp_path / "*", ignoring)) == of_rows(3)
    (tmp_path / "zone_lookup.csv").write_text("id,fare\n1,7\n")
    with pytest.raises(InputError, match=r"zone_lookup.csv: column x1 .* is missing, found id, fare$"):
        read(tmp_path, dataclasses.replace(ignoring, ignore_files=("license.*",)))


@pytest.mark.parametrize(
    ("one", "other"),
    [("trips.csv", "trips.parquet"), ("trips.csv", "trips.csv.gz"), ("deep/2019-01.csv", "deep/2019-01.txt.zst")],
)
def test_one_file_in_two_formats_is_refused(tmp_path: Path, one: str, other: str) -> None:
    for name in (one, other):
        write_csv(tmp_path / name, 3)
    with pytest.raises(InputError, match=f"{one} and {tmp_path}/{other} seem to be the same trips in two formats, "):
        read(tmp_path)
    assert epochs(read(tmp_path, dataclasses.replace(TOYTOWN, ignore_files=(Path(other).name,)))) == of_rows(3)
    assert epochs(read(tmp_path / one)) == of_rows(3)


def test_equal_files_are_refused_unless_they_have_no_rows(tmp_path: Path) -> None:
    for name, first in (("a.csv", 0), ("b.csv", 100), ("c/d.csv", 0)):
        write_csv(tmp_path / name, 3, first)
    with pytest.raises(InputError, match=f"a.csv and {tmp_path}/c/d.csv have equal content, which would count twice"):
        read(tmp_path)
    (tmp_path / "c/d.csv").unlink()
    for name in "efgh":
        (tmp_path / f"{name}.csv.zst").write_bytes(zstd(HEADER.encode()))
        (tmp_path / f"{name}{name}.csv").write_text(HEADER)
        write_parquet(tmp_path / f"{name}{name}{name}.parquet", 0)
    assert len(epochs(read(tmp_path))) == 6
    write_parquet(tmp_path / "y.parquet", 4, 200)
    write_parquet(tmp_path / "z.parquet", 4, 200)
    with pytest.raises(InputError, match="y.parquet and .*z.parquet have equal content"):
        ingest(str(tmp_path), tmp_path / "out")


def test_empty_parts_are_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_csv(tmp_path / "part-1.csv", 3)
    for name in ("part-0.csv", "part-2.parquet", "part-3"):
        (tmp_path / name).touch()
    (tmp_path / "part-4.csv.gz").write_bytes(gzip.compress(b""))
    with caplog.at_level("WARNING", "absl"):
        assert epochs(read(tmp_path)) == of_rows(3)
    assert f"empty_files=4 of 5 files hold nothing and are left out: {tmp_path}/part-0.csv, " in caplog.text
    (tmp_path / "part-1.csv").unlink()
    with pytest.raises(InputError, match="part-0.csv, .*: must hold trips, got empty files only"):
        read(tmp_path)


MOMENT = datetime.datetime(2011, 1, 28, 20, 42, 59)  # 1296247379 s since 1970, by `date -ud ... +%s`


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *(("t", pa.array([MOMENT], pa.timestamp(unit))) for unit in ("s", "ms", "us", "ns")),
        ("t", pa.array([MOMENT], pa.timestamp("ms")).dictionary_encode()),
        ("n", pa.array([None])),
        ("n", pa.array([3], pa.uint64())),
        ("n", pa.array([decimal.Decimal("3.00")])),
        ("n", pa.array([decimal.Decimal("3.00")], pa.decimal256(50, 2))),
        ("n", pa.array(["3"], pa.large_string())),
        ("n", pa.array(["3"]).dictionary_encode()),
        ("n", pa.array([b"3"])),
        ("n", pa.array([b"3"], pa.large_binary()).dictionary_encode()),
        ("n", pa.array([b"3"], pa.binary(1))),
        ("n", pa.array([3.0], pa.float32())),
    ],
    ids=lambda value: str(getattr(value, "type", value)),
)
def test_parquet_types(tmp_path: Path, name: str, values: pa.Array) -> None:
    table = pa.table(columns(1) | {name: values})
    pq.write_table(table, tmp_path / "trips.parquet", version="2.6")
    trips = read(tmp_path, dataclasses.replace(TOYTOWN, passengers_default=3))
    got = trips.examples.to_pylist()[0]
    expected = {"t": ("pickup_epoch", 1296247379), "n": ("passenger_count", 3)}[name]
    assert (expected[0], got[expected[0]]) == expected


def test_spark_s_old_times_reach_beyond_nanoseconds(tmp_path: Path) -> None:
    """As int96, year 9999 would become 1816 in ns, and year 2554 a plausible 1970."""
    far = pa.array([MOMENT, datetime.datetime(9999, 12, 31), datetime.datetime(2596, 2, 20)], pa.timestamp("us"))
    table = pa.table(columns(3) | {"t": far})
    pq.write_table(table, tmp_path / "trips.parquet", use_deprecated_int96_timestamps=True)
    trips = read(tmp_path)
    assert epochs(trips) == [1296247379]
    assert [row["reason"] for row in trips.rejected.to_pylist()] == ["bad_timestamp"] * 2


@pytest.mark.parametrize(
    ("values", "where", "n"),
    [
        (pa.array([True, False, None]), "extra == 1", 1),
        (pa.array([True, False, None]), "extra == 'true'", 1),
        (pa.array(["a", "b", None], pa.large_string()), "extra != 'a'", 1),
        (pa.array([b"a", b"b", None]), "extra == 'b'", 1),
        (pa.array([1, 2, None], pa.timestamp("us")), "extra < '1971-01-01'", 2),
        (pa.array([1, 2, None], pa.date32()), "extra >= '1970-01-03'", 1),
        (pa.array([decimal.Decimal(1), None, None]), "extra is not None", 1),
    ],
    ids=lambda value: str(getattr(value, "type", value)),
)
def test_a_condition_takes_columns_of_any_type(tmp_path: Path, values: pa.Array, where: str, n: int) -> None:
    pq.write_table(pa.table(columns(3) | {"extra": values}), tmp_path / "trips.parquet")
    trips = read(tmp_path, dataclasses.replace(TOYTOWN, where=where))
    assert (trips.examples.num_rows, trips.n_left_out) == (n, 3 - n)


@pytest.mark.parametrize(
    ("values", "where", "message"),
    [
        (pa.array([[1], [2], [3]]), "extra == 1", r"column extra \(city.where\) must be numbers, text, .* got list"),
        (pa.array([b"\xff\xfe"] * 3), "extra == 'a'", "column extra must be text in UTF-8, got other bytes"),
        (pa.array([1, 2, 3], pa.timestamp("us")), "extra > 1", "city.where or an expression does not fit its columns"),
    ],
)
def test_a_condition_that_fits_no_type_is_one_line(tmp_path: Path, values: pa.Array, where: str, message: str) -> None:
    pq.write_table(pa.table(columns(3) | {"extra": values}), tmp_path / "trips.parquet")
    with pytest.raises(InputError, match=f"trips.parquet: {message}"):
        read(tmp_path, dataclasses.replace(TOYTOWN, where=where))


def test_of_a_remote_file_only_the_columns_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In 8 chunks; a file object of TensorFlow that counts, on TensorFlow's file system in memory."""
    import tensorflow as tf

    class CountingFile(tf.io.gfile.GFile):
        n_bytes = 0

        def read(self, n: int = -1) -> bytes:
            block: bytes = super().read(n)
            CountingFile.n_bytes += len(block)
            return block

    monkeypatch.setattr(chunks, "BATCH_ROWS", 1 << 12)
    n, path, rng = 1 << 15, f"ram://{tmp_path}/trips.parquet", np.random.default_rng(0)
    noise = {f"unused_{i}": pa.array(rng.normal(size=n)) for i in range(10)}
    table = pa.table({name: pa.array(rng.uniform(0, 1, n)) for name in ("x1", "y1", "x2", "y2")} | noise)
    for name in ("fare", "n", "t"):
        table = table.append_column(name, columns(n)[name])
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=1 << 12, compression="none", use_dictionary=False)
    tf.io.gfile.makedirs(f"ram://{tmp_path}")
    with tf.io.gfile.GFile(path, "wb") as remote:
        remote.write(file.getvalue())
    planned = reading.plan_chunks([path], TOYTOWN, open_file=CountingFile)
    trips = [each for chunk in planned for each in reader.read_chunk(chunk, TOYTOWN, CountingFile)]
    assert (len(planned), sum(each.examples.num_rows for each in trips)) == (8, n)
    used = 7 / 17 * file.getbuffer().nbytes
    assert used < CountingFile.n_bytes < 1.35 * used < file.getbuffer().nbytes
