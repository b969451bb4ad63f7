"""`farebox lineage`: what each source tells of a version, and what is said if one is missing."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from farebox.components.atomic_pusher import push, versions
from farebox.components.atomic_pusher.commit import code_commit
from farebox.components.atomic_pusher.store import LocalStore
from farebox.components.errors import Check, InputError
from farebox.pipeline.metadata import origins
from farebox.pipeline.retraining import lineage
from farebox.pipeline.retraining.journal import Content, Journal, Record, Spans

FIRST_RUN, SECOND_RUN, LOT_RUN = "20240304-030000-000", "20240305-030000-000", "20240306-030000-000"


class Database:
    """MLMD's real sqlite file, with the nodes, artifacts and events that a run of TFX leaves there."""

    def __init__(self, path: Path) -> None:
        config = mlmd.ConnectionConfig()
        config.sqlite.filename_uri = str(path)
        config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self.store = metadata_store.MetadataStore(config)
        self.run_type = self.store.put_context_type(mlmd.ContextType(name="pipeline_run"))
        self.other_type = self.store.put_context_type(mlmd.ContextType(name="pipeline"))
        self.artifact_type = self.store.put_artifact_type(mlmd.ArtifactType(name="Any"))
        self.pipeline = self.context(self.other_type, "farebox-chicago")

    def context(self, kind: int, name: str) -> int:
        (context,) = self.store.put_contexts([mlmd.Context(type_id=kind, name=name)])
        return context

    def artifact(self, **properties: int | str) -> int:
        artifact = mlmd.Artifact(type_id=self.artifact_type, uri="somewhere")
        for name, value in properties.items():
            field = "int_value" if isinstance(value, int) else "string_value"
            setattr(artifact.custom_properties[name], field, value)
        return self.store.put_artifacts([artifact])[0]

    def node(self, run: int, name: str, inputs=(), outputs=(), state=mlmd.Execution.COMPLETE) -> None:
        """inputs, outputs: pairs of a key and an artifact."""
        kind = self.store.put_execution_type(mlmd.ExecutionType(name=f"some.package.{name}"))
        execution = mlmd.Execution(type_id=kind, last_known_state=state)
        contexts = [mlmd.Context(id=each) for each in (self.pipeline, run)]
        execution_id, _, _ = self.store.put_execution(
            execution, [], self.store.get_contexts_by_id([c.id for c in contexts])
        )
        for kind, pairs in ((mlmd.Event.INPUT, inputs), (mlmd.Event.OUTPUT, outputs)):
            for key, artifact in pairs:
                event = mlmd.Event(artifact_id=artifact, execution_id=execution_id, type=kind)
                event.path.steps.add().key = key
                event.path.steps.add().index = 0
                self.store.put_events([event])


@pytest.fixture
def pushed(city) -> tuple[str, str, str]:
    """Three versions: of spans 1 and 2; of 2 and 3, begun with the first one's network; and of one lot of trips."""
    settings = city.settings()
    settings.runs_dir.mkdir(parents=True)
    store = LocalStore(settings.models_dir)
    runs = (FIRST_RUN, SECOND_RUN, LOT_RUN)
    names = [
        push.push(
            f"model {run}".encode(), store, {"run_id": run, "spans": spans, "metrics": {"rmse": 3.5}, "commit": "abc"}
        )
        for run, spans in zip(runs, ([1, 2], [2, 3], []), strict=True)
    ]
    database = Database(settings.runs_dir / "metadata.sqlite")
    contexts = [database.context(database.run_type, run) for run in runs]
    examples = {
        span: database.artifact(span=span, version=version, input_fingerprint=f"sha256:{span}{version}")
        for span, version in ((1, 1), (2, 1), (3, 2))
    }
    network, lot = database.artifact(), database.artifact(input_fingerprint="files:2,sha256:9")
    database.node(contexts[0], "SpanWindow", [("spans", examples[2]), ("spans", examples[1])])
    database.node(contexts[0], "Trainer", [("examples", examples[1])], [("model", network)])
    database.node(contexts[1], "Trainer", outputs=[("model", network)], state=mlmd.Execution.CACHED)
    database.node(contexts[2], "TripExampleGen", outputs=[("examples", lot)])
    database.node(contexts[2], "Trainer", [("base_model", network)])
    second = database.context(database.run_type, f"{SECOND_RUN}-span-3-2")
    database.node(second, "TripExampleGen", outputs=[("examples", examples[3])])
    return tuple(names)


def test_a_window_comes_from_mlmd_with_versions_and_digests(city, pushed):
    found = lineage.lineage_of(city.settings(), pushed[0])
    assert [dataclasses.astuple(each) for each in found.spans] == [(1, "1", 1, "11"), (2, "2", 1, "21")]
    assert (found.fingerprint, found.warm_start, found.state) == (None, None, "earlier")
    assert (found.run_id, found.metrics, found.commit) == (FIRST_RUN, {"rmse": 3.5}, "abc")


def test_one_lot_has_the_fingerprint_of_its_files_and_a_base(city, pushed):
    """The network was made by the first run; the second one had it from the cache."""
    found = lineage.lineage_of(city.settings(), pushed[2])
    assert (found.spans, found.fingerprint, found.state) == ((), "files:2,sha256:9", "latest")
    assert found.warm_start == lineage.WarmStart(FIRST_RUN, pushed[0])


def test_without_mlmd_the_journal_tells_the_window_and_the_reasons(city, pushed):
    settings = city.settings()
    record = Record(
        "2024-03-05T03:00:00+00:00", "chicago", "retrain", ("drift",), ("span 3 is off",),
        spans=Spans(new=((3, 2),), window=((2, 1), (3, 2))), outcome="pushed", run_id=SECOND_RUN, version=pushed[1],
        contents={"3/2": Content("32", "stamp", "span-3")},
    )  # fmt: skip
    Journal(settings.runs_dir).finish(record)
    (settings.runs_dir / "metadata.sqlite").unlink()
    found = lineage.lineage_of(settings, pushed[1])
    assert [dataclasses.astuple(each) for each in found.spans] == [(2, "2", 1, None), (3, "3", 2, "32")]
    assert (found.causes, found.reasons) == (("drift",), ("span 3 is off",))
    assert any(line.startswith(f"MLMD does not have run {SECOND_RUN}") for line in found.unknown)
    assert not (settings.runs_dir / "metadata.sqlite").exists()


def test_without_either_the_manifest_tells_the_numbers(city, pushed):
    settings = city.settings()
    (settings.runs_dir / "metadata.sqlite").unlink()
    found = lineage.lineage_of(settings, pushed[1])
    assert [dataclasses.astuple(each) for each in found.spans] == [(2, "2", None, None), (3, "3", None, None)]


def test_history_tells_who_followed_whom(city, pushed):
    first, second, third = pushed
    settings = city.settings()
    neighbours = [
        (each.parents, each.before, each.after) for each in (lineage.lineage_of(settings, name) for name in pushed)
    ]
    assert neighbours == [((), None, second), ((first,), first, third), ((second,), second, None)]
    versions.rollback(settings.models_dir, first)
    states = [lineage.lineage_of(settings, name).state for name in pushed]
    assert states == ["latest", "rolled back", "rolled back"]


def test_gates_come_from_the_runs_summary(city, pushed):
    settings = city.settings()
    (settings.runs_dir / FIRST_RUN).mkdir()
    checks = [
        Check("max_rmse", 3.5, 4.0, ok=True),
        Check("push.hook", 1.0, 0.0, ok=False, detail="exit code 1", severity="warn"),
    ]
    summary = {"gates": [dataclasses.asdict(check) for check in checks]}
    (settings.runs_dir / FIRST_RUN / "summary.json").write_text(json.dumps(summary))
    assert [gate["name"] for gate in lineage.lineage_of(settings, pushed[0]).gates] == ["max_rmse", "push.hook"]
    unknown = lineage.lineage_of(settings, pushed[1]).unknown
    assert unknown == (f"{settings.runs_dir}/{SECOND_RUN}/summary.json is not there: its gates are unknown",)


def test_the_command_prints_lines_and_json(city, pushed, call):
    (city.settings().runs_dir / FIRST_RUN).mkdir()
    summary = city.settings().runs_dir / FIRST_RUN / "summary.json"
    summary.write_text(
        json.dumps(
            {"gates": [dataclasses.asdict(Check("push.hook", 1, 0, ok=False, detail="exit code 1", severity="warn"))]}
        )
    )
    options = ("--city", "chicago", "--out", city.folder / "out")
    code, out, err = call("lineage", pushed[0][:8], *options)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split(maxsplit=1) == ["version", f"chicago {pushed[0]}, earlier"]
    assert "  1  version 1  sha256 11\n  2  version 1  sha256 21\n" in out
    assert "gates: 0 of 1 hold\n  warn: push.hook=1, exit code 1\n" in out
    shown = json.loads(call("lineage", pushed[2], *options, "--json")[1])
    assert (shown["version"], shown["warm_start"]) == (pushed[2], {"run_id": FIRST_RUN, "version": pushed[0]})


@pytest.mark.parametrize("wanted", ["fff", ""])
def test_no_version_or_several_are_one_line(city, pushed, wanted):
    with pytest.raises(InputError, match=f"^version={wanted} must be the beginning of one version in "):
        lineage.lineage_of(city.settings(), wanted)


def test_a_city_without_versions_is_one_line(city):
    with pytest.raises(InputError, match="^version=abc must be the beginning of one version in .*, got none$"):
        lineage.lineage_of(city.settings(), "abc")


def test_a_run_that_the_database_does_not_know_has_no_origins(city, pushed):
    assert origins.origins_of(city.settings(), "another") is None


def test_the_commit_of_a_checkout(tmp_path):
    """With `-dirty` while tracked files differ; nothing in a folder inside of another checkout, as a wheel is."""

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True, text=True
        ).stdout

    assert code_commit(tmp_path) is None
    git("init", "-q")
    assert code_commit(tmp_path) is None
    (tmp_path / "a.py").write_text("1")
    git("add", "a.py")
    git("commit", "-q", "-m", "first")
    commit = git("rev-parse", "HEAD").strip()
    (tmp_path / "untracked").touch()
    assert code_commit(tmp_path) == commit
    (tmp_path / "a.py").write_text("2")
    assert code_commit(tmp_path) == f"{commit}-dirty"
    (tmp_path / "site-packages").mkdir()
    assert code_commit(tmp_path / "site-packages") is None
