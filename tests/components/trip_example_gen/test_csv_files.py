"""CSV in its dialects: rows, fields, numbers, encodings, and messages about files of another dialect."""

from __future__ import annotations

import codecs
import csv
import dataclasses
import gzip
import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from farebox.components.errors import InputError
from farebox.components.trip_example_gen import reader
from farebox.components.trip_example_gen.judging.judge import Trips
from farebox.components.trip_example_gen.profile import Bounds, Box, CityProfile, Columns, Locations, Place
from farebox.components.trip_example_gen.sources import chunks, csv_files, csv_rows, reading
from farebox.components.trip_example_gen.values import cells
from farebox.components.trip_example_gen.values.dialect import CsvDialect

HEADS = Path(
    os.environ.get("FAREBOX_TLC_HEADS", Path(__file__).parents[4] / "shared" / "data" / "tlc-heads")
)  # of real files, 1,024 bytes each
PROFILE = CityProfile(
    name="nyc",
    columns=Columns("fare", "lon_a", "lat_a", "lon_b", "lat_b", passenger_count="people", pickup_time="when"),
    box=Box(-74.05, -73.75, 40.63, 40.85),
    fare=Bounds(2.5, 2000),
    time_format="%Y-%m-%d %H:%M:%S",
)
HEADER = "fare,when,lon_a,lat_a,lon_b,lat_b,people,note"
ROW = "12.5,2011-01-28 20:42:59,-73.99,40.73,-73.98,40.75,2,"


def dialect(**fields: object) -> CityProfile:
    return dataclasses.replace(PROFILE, csv=CsvDialect(**fields))


def read(path: Path, profile: CityProfile = PROFILE, chunk_bytes: int = chunks.CHUNK_BYTES) -> Trips:
    """All trips of a file in one piece."""
    planned = reading.plan_chunks([str(path)], profile, chunk_bytes)
    parts = [trips for chunk in planned for trips in reader.read_chunk(chunk, profile)]
    examples = pa.Table.from_batches([part.examples for part in parts]).combine_chunks().to_batches()
    return Trips(
        examples[0] if examples else parts[0].examples,
        pa.concat_tables([part.rejected for part in parts]),
        sum(part.n_left_out for part in parts),
    )


def read_text(folder: Path, text: str, profile: CityProfile = PROFILE, chunk_bytes: int = chunks.CHUNK_BYTES) -> Trips:
    (folder / "trips.csv").write_bytes(text.encode())
    return read(folder / "trips.csv", profile, chunk_bytes)


def fares(trips: Trips) -> list[float]:
    return trips.examples.column("fare").to_pylist()


def rejected(trips: Trips) -> list[tuple[int, str, str]]:
    return sorted((row["row"], row["reason"], row["column"]) for row in trips.rejected.to_pylist())


def message(folder: Path, content: bytes | str, profile: CityProfile = PROFILE, name: str = "trips.csv") -> str:
    """The error of a file, without the folder."""
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as caught:
        list(reader.read_trips(str(folder / name), profile))
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder}/")


SEMICOLONS = f"{HEADER}\n{ROW}\n".replace(",", ";")
TITLES = "Trips of January\r\n\r\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("fields", [{}, {"separator": ";"}, {"skip_rows": 1}], ids=str)
def test_the_line_by_which_excel_reads_a_file_is_read(tmp_path: Path, encoding: str, fields: dict) -> None:
    """`sep=;`, as Excel for Windows takes it; rows keep their numbers in the file, and its bytes their chunks."""
    text = f"sep=;\r\n{SEMICOLONS}{ROW}\nx{ROW}\n".replace(",", ";")
    (tmp_path / "trips.csv").write_bytes(text.encode(encoding))
    trips = read(tmp_path / "trips.csv", dialect(**fields), chunk_bytes=80)
    assert fares(trips) == [12.5, 12.5] and rejected(trips) == [(5, "unparseable", "fare")]


def test_a_separator_that_the_file_denies_is_refused(tmp_path: Path) -> None:
    assert message(tmp_path, f"sep=;\n{SEMICOLONS}", dialect(separator="|")) == (
        "trips.csv: line 1 is sep=;, so city.csv.separator='|' must be ';' or null"
    )


@pytest.mark.parametrize(("above", "n"), [(TITLES, 2), (f"sep=,\n{TITLES}", 3), ("\n", 1), ("a, b;\r", 1)])
@pytest.mark.parametrize("names", [None, tuple(HEADER.split(","))])
def test_lines_above_the_header_are_left_out(tmp_path: Path, above: str, n: int, names: tuple[str, ...] | None) -> None:
    body = f"x{ROW}\n{ROW}\n" if names else f"{HEADER}\nx{ROW}\n{ROW}\n"
    trips = read_text(tmp_path, above + body, dialect(skip_rows=n, names=names), chunk_bytes=80)
    assert fares(trips) == [12.5] and rejected(trips) == [(n + (1 if names else 2), "unparseable", "fare")]
    if names is None:
        found = message(tmp_path, above + body)
        assert found.endswith(f"is no header and line {n + 1} is: city.csv.skip_rows={n} leaves out the lines above it")


def test_more_lines_than_a_file_has_cannot_be_left_out(tmp_path: Path) -> None:
    for n in (2, 3):
        assert message(tmp_path, f"{HEADER}\n{ROW}\n", dialect(skip_rows=n)) == (
            f"trips.csv: city.csv.skip_rows={n} must leave a line below, got 2 lines within "
            f"{len(HEADER + ROW) + 2} bytes"
        )
    with pytest.raises(ValueError, match=r"city.csv.skip_rows=-1 must be between 0 and 1000"):
        CsvDialect(skip_rows=-1)


@pytest.mark.parametrize("separator", [";", "\t", "|", " "])
def test_a_separator_is_set(tmp_path: Path, separator: str) -> None:
    text = f"{HEADER}\n{ROW}\n".replace(" ", "T").replace(",", separator)
    profile = dataclasses.replace(dialect(separator=separator), time_format="%Y-%m-%dT%H:%M:%S")
    assert fares(read_text(tmp_path, text, profile)) == [12.5]


@pytest.mark.parametrize("name", ["trips.tsv", "trips.TSV", "trips.tsv.gz"])
def test_tsv_files_have_tabs(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"{HEADER}\n{ROW}\n".replace(",", "\t").encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    chunk = next(csv_files.plan_csv(str(path), PROFILE, chunks.CHUNK_BYTES, open))
    assert [len(rows.numbers) for rows in csv_files.read_csv(chunk, open)] == [1]
    assert chunk.dialect.separator == "\t"


@pytest.mark.parametrize(("mark", "shown"), [(";", "';'"), ("\t", r"'\t'"), ("|", "'|'")])
def test_a_header_of_one_field_names_the_separator(tmp_path: Path, mark: str, shown: str) -> None:
    header = HEADER.replace(",", mark)
    assert message(tmp_path, f"{header}\n{ROW}\n") == (
        f"trips.csv: line 1 has one field ({header}), so city.csv.separator=',' must be another one, such as {shown}"
    )


def test_a_comma_in_a_quoted_name_is_part_of_it(tmp_path: Path) -> None:
    header = HEADER.replace("note", '"note, if any"').replace("fare", '"fare, USD"')
    profile = dataclasses.replace(PROFILE, columns=dataclasses.replace(PROFILE.columns, fare="`fare, USD`"))
    assert fares(read_text(tmp_path, f"{header}\n{ROW}\n", profile)) == [12.5]


def test_spaces_around_names_and_a_line_break_in_one(tmp_path: Path) -> None:
    header = HEADER.replace(",", " , ").replace("note", '"note\n(if any)"')
    trips = read_text(tmp_path, f"{header}\n{ROW}\nx{ROW}\n")
    assert (fares(trips), rejected(trips)) == ([12.5], [(4, "unparseable", "fare")])


@pytest.mark.parametrize(
    ("fields", "cell", "fare"),
    [
        ({"decimal": ","}, "12,5", 12.5), ({"decimal": ","}, "12", 12), ({"decimal": ","}, ",5e2", 50),
        ({"thousands": ","}, "1,020.50", 1020.5), ({"thousands": ","}, "1020.5", 1020.5),
        ({"decimal": ",", "thousands": "."}, "1.020,50", 1020.5), ({"thousands": " "}, "1 020.5", 1020.5),
        ({"decimal": ",", "thousands": " "}, "1\u202f020,5", 1020.5), ({"thousands": " "}, "1\u00a0020", 1020),
        ({"thousands": "'"}, "1'020.50", 1020.5), ({"thousands": "'"}, "1\u2019020.50", 1020.5),
        ({}, "$12.50", 12.5), ({}, "12.50 €", 12.5), ({}, "£ 12.5", 12.5), ({"decimal": ","}, "12,50 €", 12.5),
        ({"decimal": ","}, "12,50 EUR", 12.5), ({}, "Rp 12.50", 12.5), ({}, "12.50 zł", 12.5),
        ({}, "CHF 12.50", 12.5), ({}, "R$12.50", 12.5), ({}, "12.50 kr.", 12.5),
        ({"thousands": ","}, "$1,020", 1020), ({}, "+12.5", 12.5), ({"missing": ("-",)}, "12.5", 12.5),
    ],
)  # fmt: skip
def test_numbers_of_a_dialect(tmp_path: Path, fields: dict[str, str], cell: str, fare: float) -> None:
    """Beside a plain number and alone: a block of numbers only takes another way through Arrow."""
    header = HEADER.replace(",", ";")
    decimal = fields.get("decimal", ".")
    row = ROW.replace(",", ";").replace(".", decimal)
    text = "\n".join([header, row.replace(f"12{decimal}5", cell, 1), row])
    profile = dialect(separator=";", **fields)
    assert fares(read_text(tmp_path, text, profile)) == [fare, 12.5]
    assert fares(read_text(tmp_path, text, profile, chunk_bytes=20)) == [fare, 12.5]


@pytest.mark.parametrize(
    "cell", ["1,020.00", "1,020", "12,50", "1.020,00", "1 020.00", "1'020.00", "€ 12,50", "12,50 EUR"]
)
def test_a_number_of_another_dialect_has_its_own_reason(tmp_path: Path, cell: str) -> None:
    """996.00 passes and "1,020.00" does not: dear trips alone would be lost, and the mean fare be too low."""
    trips = read_text(tmp_path, f"{HEADER}\n{ROW}\n" + ROW.replace("12.5", f'"{cell}"') + "\n" + "x" + ROW + "\n")
    assert rejected(trips) == [(3, "other_dialect", "fare"), (4, "unparseable", "fare")]
    text = f"{HEADER}\n" + ROW.replace("12.5", f'"{cell}"') + "\n"
    assert message(tmp_path, text) == (
        "trips.csv: none of 1 rows is a trip of nyc: 1 other_dialect (column fare); numbers are not written as "
        "city.csv says (decimal '.', thousands null): 1,020.00 needs city.csv.thousands=',', and 12,50 needs "
        f"city.csv.decimal=','; row 2 of trips.csv: {text.splitlines()[1]}"
    )


def test_a_decimal_point_under_a_decimal_comma_is_another_dialect() -> None:
    column = pa.array(["12.5", "12,5", "x", "", None, "1.020"])
    is_other = cells.are_of_other_dialect(column, CsvDialect(decimal=","))
    assert is_other.tolist() == [True, False, False, False, False, True]
    assert not cells.are_of_other_dialect(pa.array([1.5, None]), CsvDialect()).any()


def test_missing_values_of_a_dialect(tmp_path: Path) -> None:
    lines = [ROW.replace("40.73", word) for word in ("-", "\\N", "-1", "?", "n/a", " - ")]
    text = "\n".join([HEADER, *lines])
    words = ("-", "\\N", "-1", "?")
    for escape in (None, "\\"):
        trips = read_text(tmp_path, text, dialect(missing=words, escape=escape))
        assert rejected(trips) == [(row, "missing_coordinate", "lat_a") for row in range(2, 8)]
    # A block of numbers only: -1 is missing, too.
    trips = read_text(tmp_path, "\n".join([HEADER, ROW, lines[2]]), dialect(missing=words))
    assert rejected(trips) == [(3, "missing_coordinate", "lat_a")]


def test_another_quote_and_an_escape(tmp_path: Path) -> None:
    quoted = ROW + "'a, ''b'''"
    assert fares(read_text(tmp_path, f"{HEADER}\n{quoted}\n", dialect(quote="'"))) == [12.5]
    lines = [ROW + r'"a \"b\", \\"', ROW + r"a\, b", ROW + r'"5\" tall', ROW + '"a ""b"""', ROW + "a\\\nb", ROW]
    trips = read_text(tmp_path, "\n".join([HEADER, *lines]), dialect(escape="\\"))
    assert (len(fares(trips)), rejected(trips)) == (5, [(4, "unparseable", "")])
    for chunk_bytes in range(20, 200, 7):
        cut = read_text(tmp_path, "\n".join([HEADER, *lines]), dialect(escape="\\"), chunk_bytes)
        assert (cut.examples.equals(trips.examples), rejected(cut)) == (True, rejected(trips))


def test_names_instead_of_a_header(tmp_path: Path) -> None:
    names = tuple(HEADER.split(","))
    trips = read_text(tmp_path, f"{ROW}\n\nx{ROW}\n", dialect(names=names))
    assert (fares(trips), rejected(trips)) == ([12.5], [(3, "unparseable", "fare")])
    assert fares(read_text(tmp_path, f"\n{ROW},,\n", dialect(names=names))) == [12.5]
    assert message(tmp_path, f"{ROW}\n", dialect(names=names[:5])) == (
        "trips.csv: line 1 has 8 fields, city.csv.names has 5: name every column, in order, or leave out lines "
        "above the first row with city.csv.skip_rows"
    )
    assert message(tmp_path, f"{ROW[:-3]}\n", dialect(names=names)).startswith("trips.csv: line 1 has 6 fields, city.")
    assert message(tmp_path, f"{HEADER}\n{ROW}\n", dialect(names=names[::-1])) == (
        "trips.csv: line 1 is a header, so city.csv.names must be null, got 8 of its 8 names in that line"
    )
    assert message(tmp_path, ROW.replace(",", ";"), dialect(names=names)).startswith(
        "trips.csv: line 1 has one field (12"
    )
    assert message(tmp_path, "", dialect(names=names)) == "trips.csv: must hold trips, got an empty file"


def test_comments_are_not_read(tmp_path: Path) -> None:
    text = f'# "a note\n{HEADER}\n# x\n{ROW}\n#{ROW}\nx{ROW}\n{ROW}"#1\n# 2\n3"\n{ROW}#'
    trips = read_text(tmp_path, text, dialect(comment="#"))
    assert (len(fares(trips)), rejected(trips)) == (3, [(6, "unparseable", "fare")])


@pytest.mark.parametrize("more", [",", ",,", ',"",', ", , "])
def test_empty_fields_behind_the_last_column_are_no_fault(tmp_path: Path, more: str) -> None:
    lines = [HEADER, "", ROW + more, ROW, ROW + "note" + more, ROW + ",," + more, ROW + more + "x", ROW[:-1] + more[:0]]
    trips = read_text(tmp_path, "\r\n".join(lines))
    assert (len(fares(trips)), rejected(trips)) == (4, [(7, "unparseable", ""), (8, "unparseable", "")])
    assert fares(read_text(tmp_path, f"{HEADER},,\n{ROW}\n{ROW},\n{ROW},x,y\n")) == [12.5] * 3


def test_ragged_rows_lack_fields_or_have_too_many(tmp_path: Path) -> None:
    lines = [ROW, ROW[:-1], ROW[:-3], ROW + "a,b,c", ROW + '"a,b",c', "12.5,2011", f'{ROW}"a\nb",c']
    trips = read_text(tmp_path, "\n".join([HEADER, *lines]), dialect(ragged=True))
    assert (len(fares(trips)), rejected(trips)) == (6, [(7, "missing_coordinate", "lon_a")])
    assert trips.examples.column("passenger_count").to_pylist() == [2, 2, 1, 2, 2, 2]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_row_numbers_are_line_numbers_for_every_line_end(tmp_path: Path, end: str, last: bool) -> None:
    lines = [HEADER, "", ROW, "", f'{ROW}"a{end}{end}b"', f"x{ROW}", "", f'{ROW}"a{end}b",x', ROW, f"y{ROW}"]
    text = end.join(lines) + end * last
    for chunk_bytes in (1, 30, 100, 101, 102, 103, 300, chunks.CHUNK_BYTES):
        trips = read_text(tmp_path, text, chunk_bytes=chunk_bytes)
        assert len(fares(trips)) == 3
        # The row of lines 10 and 11 has a field too many, so each of them is one that cannot be read.
        wanted = [(8, "fare"), (10, ""), (11, ""), (13, "fare")]
        assert rejected(trips) == [(row, "unparseable", column) for row, column in wanted]


def test_a_field_with_line_breaks_is_one_row(tmp_path: Path) -> None:
    note = '"one, two\n\n# three ""four""\n"'
    text = "\n".join([HEADER, f"x{ROW}{note}", f"{ROW}{note}", ROW, f"y{ROW}"])
    trips = read_text(tmp_path, text, chunk_bytes=10)
    assert (trips.n_read, rejected(trips)) == (4, [(2, "unparseable", "fare"), (11, "unparseable", "fare")])
    assert trips.rejected["text"].to_pylist()[0] == f"x{ROW}{note}"
    first = f'"a\nb",{ROW}'  # in the first column, so that the last line of the row has as many fields as a row
    assert fares(read_text(tmp_path, "\n".join([f"note2,{HEADER}", first, first]), chunk_bytes=10)) == [12.5] * 2


def test_a_file_whose_every_row_has_line_breaks_is_cut_between_rows(tmp_path: Path) -> None:
    text = HEADER + "\n" + f'{ROW}"a\nb"\n' * 500
    trips = read_text(tmp_path, text, chunk_bytes=1000)
    assert (len(fares(trips)), rejected(trips)) == (500, [])
    assert len(reading.plan_chunks([str(tmp_path / "trips.csv")], PROFILE, 1000)) > 20


def test_a_stray_quote_spoils_its_own_line_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MAX_ROW_LINES", 5)
    stray = '"' + ROW
    closing = ROW.replace("12.5", '12.5"')  # closes the quote, with the right number of fields
    for middle in ([ROW], [ROW, ROW], ["1,2"] * 9, [f'{ROW}"a\nb"']):
        text = "\n".join([HEADER, stray, *middle, closing, ROW])
        whole = read_text(tmp_path, text)
        n_lines = sum(line.count("\n") + 1 for line in middle)
        spoilt = range(3, 3 + n_lines) if middle[0] == "1,2" else ()
        assert [row for row, *_ in rejected(whole)] == [2, *spoilt, 3 + n_lines]
        assert len(fares(whole)) == 1 + (0 if spoilt else len(middle))
        for chunk_bytes in (1, 60, 111, 200):
            cut = read_text(tmp_path, text, chunk_bytes=chunk_bytes)
            assert (cut.examples.equals(whole.examples), rejected(cut)) == (True, rejected(whole))


def test_spaces_around_quotes_of_rows(tmp_path: Path) -> None:
    quoted = ", ".join(f'"{cell}"' for cell in ROW.split(","))
    lines = [quoted, f" {quoted} ", ROW + ' "a, b" ', ROW + '"a, ""b"" , c"', ROW + ' "a', ROW + '"a" b']
    trips = read_text(tmp_path, "\n".join([HEADER, *lines]))
    assert (len(fares(trips)), rejected(trips)) == (4, [(6, "unparseable", ""), (7, "unparseable", "")])


def test_values_of_text_are_exact(tmp_path: Path) -> None:
    """Blanks, separators and line breaks in quotes reach the table of places unchanged."""
    names = ["a, b", 'c "d"', "e\nf", "g , h", 'x "", "" y', "é", "i;j"]
    places = {name: Place(-73.9 - i / 100, 40.7) for i, name in enumerate(names)}
    columns = Columns("fare", pickup_location="from", dropoff_location="to", pickup_time="when")
    profile = dataclasses.replace(PROFILE, columns=columns, locations=Locations(places=places))
    for spacing, encoding in ((",", None), (", ", None), (",", "utf-16"), (",", "latin-1"), (",", "cp037")):
        file = io.StringIO()
        file.write("from,fare,when,to\n")
        for name in names:
            row = io.StringIO()
            csv.writer(row, quoting=csv.QUOTE_ALL, lineterminator="").writerow([name, 12.5, ROW.split(",")[1], name])
            file.write(row.getvalue().replace('","', f'"{spacing}"') + "\n")
        (tmp_path / "trips.csv").write_bytes(file.getvalue().encode(encoding or "utf-8"))
        with_encoding = dataclasses.replace(profile, csv=CsvDialect(encoding=encoding))
        examples = read(tmp_path / "trips.csv", with_encoding, 50).examples
        wanted = np.array([each.longitude for each in places.values()], np.float32)
        for column in ("pickup_longitude", "dropoff_longitude"):
            np.testing.assert_array_equal(examples.column(column).to_numpy(), wanted)


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        (None, codecs.BOM_UTF8), ("latin-1", codecs.BOM_UTF8), ("utf-8-sig", codecs.BOM_UTF8),
        (None, codecs.BOM_UTF16_LE), (None, codecs.BOM_UTF16_BE), ("utf-16", codecs.BOM_UTF16_LE),
        (None, codecs.BOM_UTF32_LE), ("utf-16-le", b""), ("utf-16-be", b""), ("latin-1", b""), ("cp1252", b""),
        ("gbk", b""), ("shift_jis", b""), ("utf-7", b""), ("cp037", b""),
    ],
)  # fmt: skip
def test_encodings(tmp_path: Path, encoding: str | None, mark: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row numbers count lines, in one block and in many, packed and not."""
    written = {
        codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be",
        codecs.BOM_UTF32_LE: "utf-32-le",
    }.get(mark, encoding)  # fmt: skip
    note = {"gbk": "乗|\\", "shift_jis": "表ソ", "cp037": "é"}.get(str(written), "é")
    text = "\r\n".join([HEADER, ROW + note, f"x{ROW}{note}", f'{ROW}"{note}\r\n"', *[ROW] * 50, f"y{ROW}"])
    content = mark + text.encode(str(written))
    path, packed = tmp_path / "trips.csv", tmp_path / "trips.csv.gz"
    path.write_bytes(content)
    packed.write_bytes(gzip.compress(content))
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 300)
    for each, chunk_bytes in ((path, 1 << 20), (path, 70), (packed, 1 << 20)):
        trips = read(each, dialect(encoding=encoding), chunk_bytes)
        assert (len(fares(trips)), [row for row, *_ in rejected(trips)]) == (52, [3, 56])
        assert trips.rejected["text"].to_pylist()[0] == f"x{ROW}{note}"


def test_a_file_that_is_not_in_its_encoding_says_its_line(tmp_path: Path) -> None:
    """Bytes of a column that is not read do no harm; those of used ones and of names do."""
    bad = ROW.replace("2011-01-28", "2011é01-28")
    rows = [HEADER, ROW, "", ROW]
    hint = "; city.csv.encoding must be the file's encoding, such as latin-1"
    wrong = "\n".join([*rows, bad]).encode("latin-1")
    assert message(tmp_path, wrong) == "trips.csv: line 5 is not UTF-8 text: byte 0xe9" + hint
    assert fares(read_text(tmp_path, "\n".join(rows))) == [12.5] * 2
    (tmp_path / "trips.csv").write_bytes(f"{HEADER}\n{ROW}é\n".encode("latin-1"))
    assert fares(read(tmp_path / "trips.csv")) == [12.5]
    named = HEADER.replace("note", "remarqué").encode("latin-1")
    assert message(tmp_path, named) == "trips.csv: line 1 is not UTF-8 text: byte 0xe9" + hint
    undefined = "\n".join([*rows, ROW]).encode() + b"\x81"
    assert message(tmp_path, undefined, dialect(encoding="cp1252")).startswith("trips.csv: line 5 is not CP1252 text")
    broken = codecs.BOM_UTF16_LE + "\n".join([*rows, ROW]).encode("utf-16-le") + b"\x00\xdc" + b"x\0"
    assert message(tmp_path, broken).startswith("trips.csv: line 5 is not UTF-16 text")
    assert message(tmp_path, broken[:-3]).startswith("trips.csv: line 5 is not UTF-16 text")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\x7fELF\x02\x01\x01" + bytes(200), "line 1 must be text, got NUL bytes"),
        ((HEADER + "\n" + ROW).encode("utf-16-le"), "line 1 must be text, got NUL bytes"),
        (b"\x80\x81\x82" * 1000, "line 1 is not UTF-8 text"),
        (b"a" * (3 << 20), "line 1 has no end within 1 MB, so this is not CSV"),
        (b'"' + b"a,b" * 60_000, "line 1 cannot be read as CSV: field larger than field limit"),
        (HEADER.encode() + b"\n" + bytes(range(256)) * 40, "none of 81 rows is a trip of nyc: 81 unparseable"),
    ],
)
def test_binary_content_is_one_line(tmp_path: Path, content: bytes, text: str) -> None:
    assert message(tmp_path, content).startswith(f"trips.csv: {text}")


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "MAX_ROW_BYTES", 1 << 12)
    path = tmp_path / "trips.csv"
    path.write_bytes(f"{HEADER}\n{ROW}\n".encode() + b"x" * (1 << 14) + b"\n" + ROW.encode())
    with pytest.raises(InputError, match="line 3 has no end within 0 MB, so this is not CSV"):
        reading.plan_chunks([str(path)], PROFILE, 100)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"separator": "\n"}, "city.csv.separator=\n must be one ASCII character, no line break, or null"),
        ({"separator": ";;"}, "city.csv.separator=;; must be one ASCII character"),
        ({"encoding": "hex"}, "city.csv.encoding=hex must be an encoding of text that Python knows, such as latin-1"),
        ({"encoding": "klingon"}, "city.csv.encoding=klingon must be an encoding of text"),
        ({"decimal": "5"}, "city.csv.decimal=5 and thousands=None must be no digit and no sign"),
        ({"thousands": "-"}, "city.csv.decimal=. and thousands=- must be no digit and no sign"),
        ({"thousands": "."}, "city.csv.thousands=. must differ from city.csv.decimal=."),
        ({"quote": ";", "separator": ";"}, "city.csv: separator, quote, escape and comment must differ, got ; ;"),
    ],
)
def test_a_dialect_that_cannot_be_is_refused(fields: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        CsvDialect(**fields)
    assert str(caught.value).startswith(text)


TLC_TIMES = (
    "Trip_Pickup_DateTime", "pickup_datetime", "tpep_pickup_datetime", "lpep_pickup_datetime", "Pickup_DateTime",
    "Pickup_date",
)  # fmt: skip
TLC_COLUMNS = Columns(
    ("Fare_Amt", "fare_amount", "Fare_amount"),
    ("Start_Lon", "pickup_longitude", "Pickup_longitude"),
    ("Start_Lat", "pickup_latitude", "Pickup_latitude"),
    ("End_Lon", "dropoff_longitude", "Dropoff_longitude"),
    ("End_Lat", "dropoff_latitude", "Dropoff_latitude"),
    passenger_count=("Passenger_Count", "passenger_count", "Passenger_count"),
    pickup_time=TLC_TIMES,
    pickup_location="PULocationID",
    dropoff_location="DOLocationID",
)
# The TLC's files of hired cars have no fares, and the oldest ones no places: read by their bases.
HIRED_COLUMNS = Columns(
    ("12.5",),
    pickup_time=TLC_TIMES,
    passenger_count=(),
    pickup_location=("PULocationID", "PUlocationID", "Dispatching_base_num"),
    dropoff_location=("DOLocationID", "DOlocationID", "Dispatching_base_num + ''"),
)


@pytest.mark.skipif(not HEADS.exists(), reason=f"the heads of TLC files are not at {HEADS}")
@pytest.mark.parametrize("chunk_bytes", [200, chunks.CHUNK_BYTES])
@pytest.mark.parametrize("name", sorted(path.name for path in HEADS.glob("*_tripdata_*.csv")))
def test_real_heads_are_read(name: str, chunk_bytes: int) -> None:
    """Every complete row is a trip with its time; the last line of each file is cut."""
    zones = {str(number): Place(-73.95, 40.75) for number in range(1, 266)} | {"B00001": Place(-73.95, 40.75)}
    columns = HIRED_COLUMNS if name.startswith("fhv") else TLC_COLUMNS
    profile = dataclasses.replace(
        PROFILE, columns=columns, locations=Locations(places=zones), box=Box(-75, 1, -1, 42), fare=Bounds(-100, 500)
    )
    with (HEADS / name).open(newline="") as file:
        header, *rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    place = next(header.index(each) for each in TLC_TIMES if each in header)
    trips = read(HEADS / name, profile, chunk_bytes)
    assert trips.n_read == len(rows)
    assert len(rows) - 1 <= trips.examples.num_rows
    hours = [int(row[place][11:13]) for row in rows[:-1]]
    assert trips.examples.column("pickup_hour").to_pylist()[: len(hours)] == hours
