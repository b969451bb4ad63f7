"""The table of zones as source: each language that runs here finds places by id and by name, to the float32."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from farebox.components.errors import InputError
from farebox.components.tflite.codegen.place_tables import WRITERS, is_place_table, place_table

# Names with what languages escape: a quote, a backslash, a dollar, a trigraph, an accent.
PLACES = {
    "132": (-73.78653, 40.64699, "JFK Airport"),
    "230": (-73.9842, 40.75982, 'Times "Sq" $Théâtre\\District ??/'),
    "Back Bay": (-71.08, 42.35, ""),
}
ASKED = ("132", "JFK Airport", 'Times "Sq" $Théâtre\\District ??/', "Back Bay", "133", "")
ANSWERS = [PLACES["132"][:2], PLACES["132"][:2], PLACES["230"][:2], PLACES["Back Bay"][:2], None, None]


def written(folder: Path, language: str) -> Path:
    ((name, text),) = place_table(language, "fare", PLACES, "ab" * 32).items()
    assert is_place_table(name)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def asked(*command: str | Path, cwd: Path) -> list[str]:
    """A line of output for each of ASKED."""
    ended = subprocess.run([*map(str, command), *ASKED], cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def check(lines: list[str]) -> None:
    for line, answer in zip(lines, ANSWERS, strict=True):
        if answer is None:
            assert line == "none"
        else:
            np.testing.assert_array_equal(np.array(line.split(), np.float32), np.array(answer, np.float32))


def test_c(needs, tmp_path: Path) -> None:
    written(tmp_path, "c")
    (tmp_path / "ask.c").write_text(
        '#include <stdio.h>\n#include "fare_locations.h"\nint main(int n, char **asked) {\n  float x, y;\n'
        "  for (int i = 1; i < n; i++)\n    if (farebox_fare_location(asked[i], &x, &y)) "
        'printf("%.9g %.9g\\n", (double)x, (double)y); else puts("none");\n}\n'
    )
    flags = ("-std=c99", "-Wall", "-Wextra", "-Werror")
    subprocess.run([needs("gcc"), *flags, "ask.c", "-o", "ask"], cwd=tmp_path, check=True)
    check(asked("./ask", cwd=tmp_path))


def test_javascript(needs, tmp_path: Path) -> None:
    written(tmp_path, "js")
    (tmp_path / "ask.mjs").write_text(
        'import { location } from "./fare_locations.mjs";\nfor (const each of process.argv.slice(2)) {\n'
        '  const at = location(each);\n  console.log(at ? `${at.longitude} ${at.latitude}` : "none");\n}\n'
    )
    check(asked(needs("node", "nodejs"), "ask.mjs", cwd=tmp_path))


def test_python(tmp_path: Path) -> None:
    written(tmp_path, "python")
    (tmp_path / "ask.py").write_text(
        "import sys\nfrom fare_locations import location\nfor each in sys.argv[1:]:\n"
        '    print(*(location(each) or ["none"]))\n'
    )
    check(asked(sys.executable, "ask.py", cwd=tmp_path))


def test_rust(needs, tmp_path: Path) -> None:
    written(tmp_path, "rust")
    (tmp_path / "ask.rs").write_text(
        "mod fare_locations;\nfn main() {\n    let _ = fare_locations::LOCATIONS.len();\n"
        "    for each in std::env::args().skip(1) {\n        match fare_locations::location(&each) {\n"
        '            Some((x, y)) => println!("{} {}", x, y),\n            None => println!("none"),\n'
        "        }\n    }\n}\n"
    )
    subprocess.run([needs("rustc", "Rust"), "-D", "warnings", "ask.rs"], cwd=tmp_path, check=True)
    check(asked("./ask", cwd=tmp_path))


@pytest.mark.parametrize("language", ["kotlin", "swift"])
def test_the_other_languages_hold_the_same_literals(tmp_path: Path, language: str) -> None:
    text = written(tmp_path, language).read_text(encoding="utf-8")
    for id_, (longitude, latitude, name) in PLACES.items():
        row = next(line for line in text.splitlines() if json.dumps(id_) in line)
        assert f"{longitude}" in row and f"{latitude}" in row
        literal = json.dumps(name, ensure_ascii=False).replace("$", "\\$" if language == "kotlin" else "$")
        assert literal in row


def test_many_places_in_kotlin_are_several_methods() -> None:
    many = {str(i): (0.0, 0.0, "") for i in range(1001)}
    (text,) = place_table("kotlin", "fare", many, "").values()
    assert "= part0() + part1() + part2()\n" in text and text.count("Location(") == 1001 + 1


def test_names_and_languages() -> None:
    names = [next(iter(place_table(each, "7 days", PLACES, ""))) for each in WRITERS]
    assert names == [
        "x_7_days_locations.h", "x_7_days_locations.mjs", "X7DaysLocations.kt", "X7DaysLocations.swift",
        "x_7_days_locations.py", "x_7_days_locations.rs",
    ]  # fmt: skip
    assert not is_place_table("fare.c")
    with pytest.raises(InputError, match="to=perl must be one of c, js"):
        place_table("perl", "fare", PLACES, "")
