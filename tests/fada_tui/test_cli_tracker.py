from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from db.connect import connect
from db.home import Home
from db.tracker.importer import default_note
from fada_tui.cli import run


class Fada:
    """`fada` in this process: the exit status and what was printed."""

    def __init__(self, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.capfd = capfd

    def __call__(self, *words: str) -> tuple[int, str, str]:
        status = run(["--home", str(self.home), *words])
        out, err = self.capfd.readouterr()
        return status, out, err

    def json(self, *words: str):
        status, out, _ = self("--json", *words)
        assert status == 0, out
        return json.loads(out)

    def fails(self, *words: str, with_status: int = 2) -> dict[str, str]:
        """The error of a command that must end with that status, the same on standard error."""
        status, out, err = self("--json", *words)
        assert status == with_status
        error = json.loads(out)["error"]
        assert error["message"].splitlines()[0] in err
        assert error["hint"]
        return error


@pytest.fixture
def fada(tmp_path, capfd) -> Fada:
    return Fada(tmp_path / "h", capfd)


def test_a_fresh_home_has_the_shipped_note(fada):
    models = fada.json("models")
    assert len(models) == 42
    assert len({model["section"] for model in models}) == 6
    assert len(fada.json("items")) == 14
    status, out, _ = fada("export")
    assert status == 0
    assert out.encode() == default_note()


def test_a_dash_is_standard_output(fada, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fada("export", "-")[1].encode() == default_note()
    assert not (tmp_path / "-").exists()


def test_models_have_the_shape_that_was_promised(fada):
    models = {model["name"]: model for model in fada.json("models")}
    one = models["Qwen2.5-VL-7B"]
    assert (one["size"], one["vram"], one["status"], one["runs"]) == ("7B", "~16GB", "Fine-tuned", [])
    assert one["notes"] == "81.1% GT (600 samples)"
    score = one["scores"][0]
    wanted = {
        "kind": "gt",
        "metric": "cosine",
        "value": 0.811,
        "n": 600,
        "approximate": False,
        "source": "document",
        "alarms": [],
    }
    assert {key: score[key] for key in wanted} == wanted
    assert models["FetalCLIP"]["vram"] is None


def test_filters_of_models(fada):
    def names(*words: str) -> list[str]:
        return [model["name"] for model in fada.json("models", *words)]

    assert names("--section", "api") == ["GPT-4V", "GPT-4o", "Gemini-3-Flash", "Gemini-3-Pro", "Claude-3.5-Sonnet"]
    assert names("--status", "fine tuned") == ["Qwen2.5-VL-7B"]
    assert names("--todo", "mistral") == ["Pixtral-12B"]
    assert names("alibaba", "efficient") == ["Qwen2-VL-2B"]
    assert "sections:" in fada.fails("models", "--section", "nowhere")["hint"]
    assert "Proxy tested" in fada.fails("models", "--status", "nonsense")["hint"]


def test_text_of_the_lists(fada):
    _, out, _ = fada("models")
    assert "General VLMs - Tier 1 (Best Performers)  11" in out.splitlines()
    line = " ".join(next(line for line in out.splitlines() if "Molmo-7B" in line).split())
    assert line == "Molmo-7B 7B ~16GB Proxy tested proxy ~0.700 stated ~70% proxy"
    fada("done", "2")
    _, out, _ = fada("items")
    assert "Phase 1: Ground Truth Eval (Embedding Similarity)  1/4" in out.splitlines()
    assert "  [x]  2 Qwen2-VL-2B (1,494 test images)" in out.splitlines()


def test_one_model_with_everything_known(fada):
    model = fada.json("model", "llama-3.2-vision-11b")
    assert model["name"] == "Llama-3.2-Vision"
    assert [item["number"] for item in model["items"]] == [9]
    assert model["finetune"][0]["Notes"] == "Official Unsloth support"
    assert model["columns"]["Family"] == "Meta"
    wanted = {"repo", "loader", "architecture", "licence", "variants", "runnable", "available", "reason", "instead"}
    assert wanted <= set(model["catalog"])
    assert fada.json("model", "FetalCLIP")["papers"]
    _, out, _ = fada("model", "Qwen2-VL-2B")
    assert "score: proxy keyword 0.833 (document)" in out
    assert "export: Best Candidates for Mobile Deployment" in out


def test_a_run_and_its_score_stand_beside_the_model(fada):
    fada("models")
    conn = connect(Home(fada.home).runs_db)
    conn.execute(
        "INSERT INTO runs(id, kind, task, model, state, attempt, created, position, spec)"
        " VALUES (7, 'eval', 'gt', 'Molmo-7B', 'done', 1, 1.0, 1.0, '{}')"
    )
    body = {"value": 0.5, "n": 20, "answered": 19, "failed": 1, "alarms": [{"kind": "collapse", "text": "one answer"}]}
    conn.executemany(
        "INSERT INTO scores(run, metric, question, category, partial, step, body) VALUES (7, ?, ?, NULL, ?, ?, ?)",
        [
            ("cosine", None, 0, None, json.dumps(body)),
            ("cosine", "Q1", 0, None, json.dumps(body)),
            ("cosine", None, 1, None, json.dumps(body)),
            ("exact", None, 0, 40, json.dumps(body)),
        ],
    )
    conn.close()
    model = fada.json("model", "Molmo-7B")
    assert model["runs"] == [7]
    measured = [score for score in model["scores"] if score["source"] == "run"]
    assert [(score["metric"], score["value"], score["n"], score["run"]) for score in measured] == [
        ("cosine", 0.5, 20, 7)
    ]
    assert measured[0]["alarms"][0]["kind"] == "collapse"
    assert "gt cosine 0.500 ⚠ #7" in fada("models", "Molmo")[1]


def test_unknown_names_get_the_nearest(fada):
    assert "Qwen2-VL-2B" in fada.fails("model", "Qwen2-VL-2")["hint"]
    assert "Qwen2-VL-2B" in fada.fails("status", "Qwen2-VL-2", "Tested")["hint"]
    assert "1 to 14" in fada.fails("done", "15")["hint"]
    fada.fails("done", "three")


def test_edits_say_what_changed_and_export_holds_only_that(fada):
    assert fada.json("done", "3") == {"changed": ["item 3 done: InternVL2-4B (1,494 test images)"]}
    assert fada.json("done", "3") == {"changed": []}
    assert fada.json("status", "Molmo-7B", "local", "tested")["changed"]
    assert fada.json("note", "Molmo-7B", "look again")["changed"]
    assert fada.json("alias", "Molmo-7B", "the molmo")["changed"]
    assert fada.json("model", "the molmo")["notes"] == "look again"
    _, out, _ = fada("export")
    before = default_note().decode().splitlines()
    changed = [line for line in out.splitlines() if line not in before]
    assert changed == [
        "| Molmo-7B | AllenAI | 7B | ~16GB | Local tested | look again |",
        "3. [x] InternVL2-4B (1,494 test images)",
    ]
    for _ in range(4):
        assert len(fada.json("undo")["changed"]) == 1
    assert fada.json("undo") == {"changed": []}
    assert fada("export")[1].encode() == default_note()
    assert "item 3" in fada.json("redo")["changed"][0]
    history = fada.json("history")
    assert [entry["undone"] for entry in history] == [True, True, True, False, False]
    assert set(history[0]) == {"id", "time", "who", "text", "undone", "models"}
    assert fada.json("undone", "3")["changed"]


def test_import_reports_and_replaces(fada, tmp_path):
    note = tmp_path / "n.md"
    note.write_text("## S\n| Model | Status |\n|---|---|\n| Molmo-7B | Tested |\n| New | TODO |\n| New | TODO |\n")
    result = fada.json("import", str(note))
    assert (result["models"], result["sections"], result["items"]) == (2, 1, 0)
    assert (result["added"], result["changed"], len(result["absent"])) == (["New"], ["Molmo-7B"], 41)
    assert [warning["line"] for warning in result["warnings"]] == [6]
    models = fada.json("models")
    assert [model["name"] for model in models if not model["absent"]] == ["Molmo-7B", "New"]
    _, out, _ = fada("import", str(note))
    assert out.splitlines()[0] == "2 models in 1 sections, 0 items"
    fada("undo")
    fada("undo")
    assert len([model for model in fada.json("models") if not model["absent"]]) == 42


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda path: path.write_bytes(b"# x\n| Model |\n|--|\n| \xff |\n"), ":4"),
        (lambda path: path.write_bytes(b""), ":1"),
        (lambda path: path.write_text("# only prose\n"), ":1"),
        (lambda path: path.mkdir(), ""),
        (lambda path: None, ""),
        (lambda path: (path.parent / "file").touch() or path.symlink_to(path.parent / "file" / "x"), ""),
    ],
)
def test_bad_files_are_refused_and_the_database_stays(fada, tmp_path, make, where):
    path = tmp_path / "note.md"
    fada("done", "1")
    conn = connect(Home(fada.home).fada_db)
    before = list(conn.iterdump())
    make(path)
    assert fada.fails("import", str(path))["where"] == f"{path}{where}"
    assert list(conn.iterdump()) == before
    conn.close()


def as_anybody(fada: Fada, *words: str) -> tuple[int, str]:
    """`fada` in a process that may no more than its user is given, also where the tests run as root."""
    # Root's rights to pass over a file's mode.
    rights = "-dac_override,-dac_read_search"
    before = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"] if os.geteuid() == 0 else []
    command = [*before, sys.executable, "-P", "-m", "fada_tui", "--home", str(fada.home), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_file_without_permission(fada, tmp_path):
    path = tmp_path / "note.md"
    path.write_bytes(default_note())
    fada("done", "1")
    with closing(connect(Home(fada.home).fada_db)) as conn:
        before = list(conn.iterdump())
        path.chmod(0)
        status, said = as_anybody(fada, "import", str(path))
        assert status == 2 and f"{path}: no permission" in said
        assert list(conn.iterdump()) == before


def test_a_file_that_may_only_be_read_is_not_replaced(fada, tmp_path):
    path = tmp_path / "note.md"
    path.write_bytes(default_note())
    path.chmod(0o444)
    assert fada("import", str(path))[0] == 0
    assert fada("done", "1")[0] == 0
    for verb in ("sync", "export"):
        status, said = as_anybody(fada, verb, str(path))
        assert status == 2 and "cannot write: no permission" in said
        assert path.read_bytes() == default_note()
    path.chmod(0o644)
    assert as_anybody(fada, "sync", str(path))[0] == 0
    assert path.read_bytes() != default_note()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_export_leaves_a_file_whose_it_was(fada, tmp_path):
    path = tmp_path / "note.md"
    path.touch()
    os.chown(path, 1234, 5678)
    path.chmod(0o664)
    assert fada("export", str(path))[0] == 0
    now = path.stat()
    assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (1234, 5678, 0o664)
    assert path.read_bytes() == default_note()


def test_export_to_a_file_keeps_its_mode_and_follows_links(fada, tmp_path):
    target = tmp_path / "real.md"
    target.touch()
    target.chmod(0o640)
    link = tmp_path / "link.md"
    link.symlink_to(target)
    fada("done", "1")
    assert fada("export", str(link))[0] == 0
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_bytes() == default_note().replace(b"1. [ ] MiniCPM", b"1. [x] MiniCPM")
    assert sorted(path.name for path in tmp_path.glob("*real*")) == ["real.md"]


def test_export_over_other_peoples_work_is_a_conflict(fada, tmp_path):
    path = tmp_path / "a note.md"
    path.write_bytes(default_note())
    assert fada("import", str(path))[0] == 0
    for number in ("1", "2"):
        assert fada("done", number)[0] == 0
        assert fada("export", str(path))[0] == 0
    path.write_text(path.read_text() + "by hand\n")
    before = path.stat()
    error = fada.fails("export", str(path), with_status=3)
    assert error["where"] == str(path)
    assert "changed after fada wrote it" in error["message"]
    assert "--force" in error["hint"]
    assert f"fada import '{path}'" in error["hint"]
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert path.read_text().endswith("by hand\n")
    assert fada.json("export", "--force", str(path)) == {"file": str(path), "bytes": len(path.read_bytes())}
    assert path.read_bytes() == fada("export")[1].encode()
    path.write_text(path.read_text() + "by hand\n")
    assert fada("import", str(path))[0] == 0
    assert fada("done", "3")[0] == 0
    assert fada("export", str(path))[0] == 0
    assert path.read_text().endswith("by hand\n")


def test_a_dropped_model_is_listed_as_dropped(fada, tmp_path):
    note = tmp_path / "n.md"
    lines = default_note().decode().splitlines(keepends=True)
    note.write_text("".join(line for line in lines if not line.startswith("| Molmo-7B ")))
    assert "General VLMs - Tier 2" in fada.json("model", "Molmo-7B")["section"]
    assert "no longer in the note" not in fada("model", "Molmo-7B")[1]
    assert fada.json("import", str(note))["absent"] == ["Molmo-7B"]
    out = fada("models")[1].splitlines()
    assert out[-2] == "No longer in the note  1"
    assert "Proxy tested (not in the note)" in out[-1]
    assert [line for line in out[:-1] if "Molmo" in line or "not in the note" in line] == []
    assert {model["name"] for model in fada.json("models") if model["absent"] is True} == {"Molmo-7B"}
    assert [model["name"] for model in fada.json("models", "--section", "no longer")] == ["Molmo-7B"]
    assert fada.json("models", "--section", "tier 2", "molmo") == []
    assert fada.json("model", "Molmo-7B")["absent"] is True
    out = fada("model", "Molmo-7B")[1].splitlines()
    assert out[0] == "Molmo-7B  Proxy tested (not in the note)"
    assert out[1].startswith("no longer in the note")
    assert "Tier 2" in out[1]


def test_an_import_tells_what_is_lost_and_no_more_than_can_be_read(fada, tmp_path):
    """The shipped note's models are nobody's work until somebody wrote in it."""
    note = tmp_path / "n.md"
    rows = "".join(f"| Mine-{at} | TODO |\n" for at in range(100))
    note.write_text(f"# Mine\n\n| Model | Status |\n|---|---|\n{rows}")
    out = fada("import", str(note))[1].splitlines()
    gone = [line for line in out if "no longer" in line]
    assert gone == [
        "the note that comes with fada is replaced; nothing was written in it"
        " (42 of its models are no longer listed, and kept)"
    ]
    added = [line for line in out if line.startswith("added: ")]
    assert len(added) == 21 and added[-1] == "added: … and 80 more (--json has all)"
    fada("undo")
    fada("done", "3")
    out = fada("import", str(note))[1].splitlines()
    gone = [line for line in out if "no longer" in line]
    assert len(gone) == 21 and gone[-1] == "no longer in the note (kept): … and 22 more (--json has all)"
    fada("undo")
    assert len(fada.json("import", str(note))["absent"]) == 42


def test_export_to_a_bad_place(fada, tmp_path):
    assert "directory" in fada.fails("export", str(tmp_path))["message"]
    assert "no such folder" in fada.fails("export", str(tmp_path / "none" / "n.md"))["message"]


def test_hostile_text_is_shown_and_not_obeyed(fada, tmp_path):
    note = tmp_path / "n.md"
    name = "[bold]E\x1b[31mvil\u202e 👩‍🔬"
    note.write_text(f"## S\x1b[2J\n| Model | Status |\n|---|---|\n| {name} | TODO |\n\n## P\n1. [ ] {name} \x07\n")
    for words in (("import", str(note)), ("models",), ("items",), ("model", name), ("done", "1"), ("history",)):
        status, out, err = fada(*words)
        assert status == 0, err
        assert not set(out + err) & {"\x1b", "\x07", "\u202e"}
        if words[0] in ("models", "model", "items"):
            assert "[bold]E^[[31mvil<U+202E>" in out
    assert fada.json("items")[0]["models"] == [name]
    assert fada("export")[1] == note.read_text().replace("1. [ ]", "1. [x]")


def test_the_note_never_goes_over_our_own_database(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    before = panel_home.fada_db.read_bytes()
    assert run(["--home", str(panel_home.root), "export", str(panel_home.fada_db), "--force"]) == 2
    assert "own database" in capsys.readouterr().err
    assert panel_home.fada_db.read_bytes() == before
