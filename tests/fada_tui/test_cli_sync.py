from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from db.tracker.importer import default_note
from fada_tui.cli import run

MODEL = b"| **Qwen3-VL-8B** | Alibaba | 8B | ~20GB | Local tested |"


class Fada:
    """`fada --json` in this process, on a note of one's own."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.home = folder / "home"
        self.note = folder / "n.md"
        self.capfd = capfd

    def __call__(self, *words: str, status: int = 0):
        assert run(["--home", str(self.home), "--json", *words]) == status
        return json.loads(self.capfd.readouterr().out)

    def by_hand(self, was: bytes, now: bytes) -> None:
        self.note.write_bytes(self.note.read_bytes().replace(was, now))


@pytest.fixture
def fada(tmp_path, capfd) -> Fada:
    fada = Fada(tmp_path, capfd)
    fada.note.write_bytes(default_note())
    fada("import", str(fada.note))
    return fada


def test_sync_goes_both_ways_with_the_file_that_the_note_came_from(fada):
    fada("done", "5")
    fada.by_hand(b"6. [ ]", b"6. [x]")
    said = ["item 6 done: EchoVLM", f"wrote 1 change to {fada.note}"]
    planned = ["would come in: item 6 done: EchoVLM", "would go out: item 5 done: FetalCLIP"]
    assert fada("sync", "--dry-run") == {"changed": planned, "conflicts": []}
    assert b"5. [ ]" in fada.note.read_bytes()
    assert fada("sync") == {"changed": said, "conflicts": []}
    assert b"5. [x] FetalCLIP\n6. [x] EchoVLM" in fada.note.read_bytes()
    assert fada("sync", str(fada.note)) == {"changed": [], "conflicts": []}


@pytest.mark.parametrize(("side", "status"), [("ours", "Tested"), ("theirs", "Fine-tuned")])
def test_a_conflict_is_status_3_until_a_side_is_chosen(fada, side, status):
    fada("status", "Qwen3-VL-8B", "Tested")
    fada.by_hand(MODEL, MODEL.replace(b"Local tested", b"Fine-tuned"))
    before = fada.note.read_bytes()
    for words in (["sync"], ["sync", "--dry-run"]):
        document = fada(*words, status=3)
        (conflict,) = document["conflicts"]
        assert (conflict["ours"], conflict["theirs"], conflict["base"]) == ("Tested", "Fine-tuned", "Local tested")
        assert (
            conflict["line"]
            == before.splitlines().index(MODEL.replace(b"Local tested", b"Fine-tuned") + b" Unsloth works |") + 1
        )
        assert document["changed"] == []
        assert document["error"]["where"] == str(fada.note)
        assert "--theirs" in document["error"]["hint"]
        assert fada.note.read_bytes() == before
    assert len(fada("sync", f"--{side}")["changed"]) == 1
    assert fada("model", "Qwen3-VL-8B")["status"] == status
    assert f"~20GB | {status} |".encode() in fada.note.read_bytes()


def test_text_for_people_names_the_place(fada, capfd):
    fada("status", "Qwen3-VL-8B", "Tested")
    fada.by_hand(MODEL, MODEL.replace(b"Local tested", b"Fine-tuned"))
    assert run(["--home", str(fada.home), "sync"]) == 3
    out, err = capfd.readouterr()
    assert out.splitlines()[0].endswith(": Qwen3-VL-8B: Status")
    assert "  theirs  Fine-tuned" in out
    assert "nothing was written" in err


def test_without_a_file_it_must_be_named(tmp_path, capfd):
    assert run(["--home", str(tmp_path / "h"), "--json", "sync"]) == 2
    assert "FILE.md" in json.loads(capfd.readouterr().out)["error"]["hint"]


def test_what_is_no_note_is_refused(fada, tmp_path):
    bad = tmp_path / "bad.md"
    bad.write_bytes(b"\xff")
    assert fada("sync", str(bad), status=2)["error"]["where"] == f"{bad}:1"
    assert bad.read_bytes() == b"\xff"


def test_a_name_that_is_not_utf8_stands_in_json_as_escapes(fada, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.md")
    assert fada("sync", odd) == {"changed": [f"created {odd}"], "conflicts": []}
    assert fada("export", odd)["file"] == odd
