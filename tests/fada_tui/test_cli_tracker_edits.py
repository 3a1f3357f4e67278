from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from db.connect import connect
from db.home import Home
from db.tracker.importer import default_note
from tests.fada_tui.test_cli_tracker import Fada


@pytest.fixture
def fada(panel_home: Home, capfd: pytest.CaptureFixture[str]) -> Fada:
    return Fada(panel_home.root, capfd)


@contextmanager
def runs_db(fada: Fada) -> Iterator[sqlite3.Connection]:
    with closing(connect(Home(fada.home).runs_db)) as conn:
        yield conn


def finished(fada: Fada, run: int, model: str, *, value: float = 0.811, alarm: bool = False, task: str = "gt") -> None:
    """A run that ended a second ago, with its overall score."""
    alarms = [{"kind": "collapse", "question": None, "text": "one answer for all"}] if alarm else []
    body = {"value": value, "n": 600, "answered": 600, "failed": 0, "alarms": alarms}
    metric = {"gt": "cosine", "proxy": "keyword"}[task]
    with runs_db(fada) as conn:
        conn.execute(
            "INSERT INTO runs(id, kind, task, model, state, attempt, created, ended, position, spec)"
            " VALUES (?, 'eval', ?, ?, 'done', 1, 1.0, ?, 1.0, '{}')",
            (run, task, model, time.time() - 1),
        )
        conn.execute(
            "INSERT INTO scores(run, metric, question, category, partial, step, body) VALUES (?, ?, NULL, NULL, 0, NULL, ?)",
            (run, metric, json.dumps(body)),
        )


def test_several_items_are_one_change(fada: Fada) -> None:
    assert len(fada.json("done", "1", "3", "14")["changed"]) == 3
    assert [item["number"] for item in fada.json("items") if item["done"]] == [1, 3, 14]
    assert fada("done", "1", "3")[1] == "items 1, 3 are done already\n"
    assert len(fada.json("undone", "3", "4")["changed"]) == 1
    fada("undo")
    fada("undo")
    assert fada("export")[1].encode() == default_note()
    assert "1 to 14" in fada.fails("done", "1", "15")["hint"]
    assert not any(item["done"] for item in fada.json("items"))


def test_several_models_are_one_change(fada: Fada) -> None:
    changed = fada.json("status", "Molmo-7B", "local tested", "--also", "PaliGemma2", "pixtral-12b")["changed"]
    assert len(changed) == 3
    assert fada.json("model", "Pixtral-12B")["status"] == "Local tested"
    assert len(fada.json("note", "Molmo-7B", "later", "--also", "PaliGemma2")["changed"]) == 2
    assert fada.json("history", "PaliGemma2")[0]["models"] == ["Molmo-7B", "PaliGemma2"]
    assert [len(fada.json("history", name)) for name in ("PaliGemma2", "Pixtral-12B", "FetalCLIP")] == [2, 1, 0]
    assert len(fada.json("history", "PaliGemma2", "--limit", "1")) == 1
    fada.fails("history", "nobody")
    fada.fails("status", "Molmo-7B", "Tested", "--also", "nobody")
    fada("undo")
    fada("undo")
    assert fada("export")[1].encode() == default_note()


def test_a_model_is_added_in_the_style_of_its_table(fada: Fada) -> None:
    words = ("add", "Aya-Vision-8B", "--section", "tier 2", "--set", "Size=8B", "--set", "family=Cohere")
    status, out, err = fada(*words)
    assert status == 0, err
    assert "Aya-Vision-8B" in out
    model = fada.json("model", "Aya-Vision-8B")
    assert (model["size"], model["family"], model["status"]) == ("8B", "Cohere", "TODO")
    assert model["section"].startswith("General VLMs - Tier 2")
    added = [line for line in fada("export")[1].splitlines() if line not in default_note().decode().splitlines()]
    assert [" ".join(line.split()) for line in added] == ["| Aya-Vision-8B | Cohere | 8B | | TODO | |"]
    fada.fails(*words)
    assert "Family" in fada.fails("add", "X", "--section", "tier 2", "--set", "Colour=red")["hint"]
    assert "COLUMN=VALUE" in fada.fails("add", "X", "--section", "tier 2", "--set", "Colour")["message"]
    fada.fails("add", "X", "--section", "nowhere")
    fada.fails("add", "X")
    fada("undo")
    assert fada("export")[1].encode() == default_note()


def test_aliases_come_and_go(fada: Fada) -> None:
    fada("alias", "Molmo-7B", "the", "molmo")
    assert fada.json("model", "the molmo")["aliases"] == ["the molmo"]
    assert fada.json("alias", "--remove", "the molmo")["changed"]
    fada.fails("model", "the molmo")
    fada.fails("alias", "--remove", "the molmo")
    fada.fails("alias", "Molmo-7B")
    fada.fails("alias", "Molmo-7B", "--remove", "the molmo")
    fada("undo")
    assert fada.json("model", "the molmo")["name"] == "Molmo-7B"


def test_a_proposal_is_shown_taken_over_and_taken_back(fada: Fada) -> None:
    finished(fada, 12, "Molmo-7B", alarm=True)
    wanted = {"run": 12, "status": "Tested", "words": "81.1% GT (600 samples) ⚠ collapse"}
    wanted["alarms"] = ["one answer for all"]
    listed = {model["name"]: model["proposal"] for model in fada.json("models")}
    assert {name for name, proposal in listed.items() if proposal} == {"Molmo-7B"}
    assert wanted.items() <= listed["Molmo-7B"].items()
    assert fada.json("model", "Molmo-7B")["proposal"] == listed["Molmo-7B"]
    assert [model["name"] for model in fada.json("models", "--proposed")] == ["Molmo-7B"]
    assert "Proxy tested → Tested #12 ⚠" in fada("models", "Molmo")[1]
    line = next(line for line in fada("model", "Molmo-7B")[1].splitlines() if line.startswith("proposed"))
    assert line.startswith("proposed by run #12: Tested, 81.1% GT (600 samples) ⚠ collapse ⚠ one answer for all")
    assert len(fada.json("accept", "molmo 7b")["changed"]) == 2
    assert fada("undo")[0] == 0
    assert fada("accept", "molmo 7b")[2] == "fada: warning: Molmo-7B, run #12: one answer for all\n"
    model = fada.json("model", "Molmo-7B")
    assert (model["status"], model["notes"], model["proposal"]) == (
        "Tested",
        "~70% proxy; 81.1% GT (600 samples) ⚠ collapse",
        None,
    )
    assert "from run #12" in model["history"][0]["text"]
    assert "from run #12" in fada("model", "Molmo-7B")[1].splitlines()[-1]
    fada.fails("accept", "Molmo-7B")
    fada("undo")
    assert fada("export")[1].encode() == default_note()
    assert fada.json("dismiss", "Molmo-7B")["changed"]
    assert fada.json("models", "--proposed") == []
    assert "proposes" in fada.fails("dismiss", "Molmo-7B")["message"]


def test_what_was_measured_goes_into_the_notes_own_tables(fada: Fada) -> None:
    assert "nothing was measured here of Qwen2-VL-2B" in fada.fails("record", "qwen2-vl-2b")["message"]
    with runs_db(fada) as conn:
        conn.execute(
            "INSERT INTO runs(id, kind, model, state, attempt, created, position, spec, summary)"
            " VALUES (7, 'finetune', 'Qwen2-VL-2B', 'done', 1, 1.0, 1.0, '{}', ?)",
            (json.dumps({"seconds": 65.0, "samples": 600, "method": "unsloth"}),),
        )
    (changed,) = fada.json("record", "qwen2-vl-2b")["changed"]
    assert changed.endswith("44s → 44s; here: trained in 1 min 05 s (600 samples), unsloth")
    row = next(line for line in fada("export")[1].splitlines() if "here: " in line)
    assert row.startswith("| Qwen2-VL-2B | 44s; here: trained in 1 min 05 s (600 samples), unsloth |")
    assert fada.json("record", "Qwen2-VL-2B")["changed"] == []
    fada("undo")
    assert fada("export")[1].encode() == default_note()


def test_all_proposals_at_once_without_their_scores(fada: Fada) -> None:
    assert fada("accept", "--all")[1] == "nothing is proposed\n"
    finished(fada, 12, "Molmo-7B")
    finished(fada, 13, "FetalCLIP", task="proxy")
    assert len(fada.json("accept", "--all", "--no-score")["changed"]) == 2
    assert [fada.json("model", name)["status"] for name in ("Molmo-7B", "FetalCLIP")] == ["Tested", "Proxy tested"]
    assert fada("export")[1].count("81.1% GT (600 samples)") == 1
    assert "from run #12, #13" in fada.json("history")[0]["text"]
    fada("undo")
    assert fada("export")[1].encode() == default_note()
    fada.fails("accept")
    fada.fails("accept", "Molmo-7B", "--all")


def test_stats_mark_what_differs(fada: Fada) -> None:
    figures = fada.json("stats")
    assert {"table", "row", "column", "stated", "computed", "agrees", "detail", "line"} == set(figures[0])
    wrong = {(figure["row"], figure["column"]): figure["computed"] for figure in figures if figure["agrees"] is False}
    assert wrong["Tier 1 General", "Tested"] == 10
    assert wrong["Total mobile options", "Count"] == "6-8"
    lines = fada("stats")[1].splitlines()
    assert "✗ Tier 1 General Tested 7 (proxy) 10 5 proxy, 4 local, 1 fine-tuned" in [
        " ".join(line.split()) for line in lines
    ]
    assert sum(line.startswith("✗ ") for line in lines) == len(wrong) + 1
    assert f"✗ {len(wrong)} of 29 figures differ from the note's own tables" in lines
    total = next(line for line in lines if line.startswith("Total ") and "░" in line)
    assert total.split() == ["Total", "23", "2", "4", "1", "9", "2", "1", "████░░░░░░", "17/42"]
    assert max(map(len, lines[-8:])) <= 100


def test_stats_of_a_note_without_a_summary(fada: Fada, tmp_path: Path) -> None:
    note = tmp_path / "n.md"
    note.write_text("## S\n| Model | Status |\n|---|---|\n| A | Tested |\n| B | on \x1b[1mhold |\n")
    fada("import", str(note))
    assert fada.json("stats") == []
    out = fada("stats")[1]
    assert out.startswith("The note states no summary.")
    assert "on ^[[1mhold" in out
    # What the note says in its own words is a test only where it speaks of one.
    assert "█████░░░░░ 1/2" in next(line for line in out.splitlines() if line.startswith("S "))


def test_models_are_filtered_and_sorted(fada: Fada) -> None:
    def names(*words: str) -> list[str]:
        return [model["name"] for model in fada.json("models", *words)]

    assert names("--filter", "qwn3 8b") == ["Qwen3-VL-8B"]
    assert names("--filter", "unslth tier") == ["Qwen2.5-VL-3B", "Qwen3-VL-2B", "Qwen3-VL-4B", "Qwen3-VL-8B"]
    assert names("--family", "meta") == ["Llama-3.2-Vision"]
    assert "Alibaba" in fada.fails("models", "--family", "nobody")["hint"]
    assert names("--family", "alibaba", "--sort", "size")[:2] == ["Qwen2-VL-2B", "Qwen3-VL-2B"]
    assert names("--sort", "size", "--reverse")[0] == "InternVL3-78B"
    assert names("--sort", "SCORE")[0] == "Qwen2.5-VL-7B"
    assert names("--sort", "Speed")[-1:] != ["Moondream2"]
    assert names("--section", "api", "--reverse")[0] == "Claude-3.5-Sonnet"
    finished(fada, 12, "Molmo-7B")
    assert names("--sort", "Runs")[0] == "Molmo-7B"
    assert "Provider" in fada.fails("models", "--sort", "colour")["hint"]
    out = fada("models", "--sort", "Name")[1].splitlines()
    assert len(out) == 43
    assert out[1].split()[0] == "AbVLM-Q"


def test_import_names_likely_renames(fada: Fada, tmp_path: Path) -> None:
    note = tmp_path / "n.md"
    note.write_bytes(default_note().replace(b"| Molmo-7B | AllenAI | 7B", b"| Molmo-7B-D | AllenAI | 7B"))
    result = fada.json("import", str(note))
    assert result["renamed"] == [{"old": "Molmo-7B", "new": "Molmo-7B-D"}]
    assert any("fada alias Molmo-7B-D Molmo-7B" in warning["text"] for warning in result["warnings"])
    assert fada.json("alias", "Molmo-7B-D", "Molmo-7B")["changed"]
    assert fada.json("model", "Molmo-7B")["name"] == "Molmo-7B-D"
    assert not [model for model in fada.json("models") if model["absent"]]


def test_a_name_and_a_text_with_a_dash_in_front_go_after_two_dashes(fada: Fada) -> None:
    assert fada("add", "--section", "Medical", "--", "-odd")[0] == 0
    assert fada("note", "MedGemma-4B", "--", "-5%")[0] == 0
    assert fada("note", "--", "-odd", "-7%")[0] == 0
    assert fada.json("model", "MedGemma-4B")["notes"] == "-5%"
    assert fada.json("model", "--", "-odd")["notes"] == "-7%"
    # What stands there is never passed over in silence.
    assert fada("done", "1", "--", "MedGemma-4B")[0] == 2
    assert not any(item["done"] for item in fada.json("items"))


def test_the_list_shows_the_score_that_the_panel_shows(fada: Fada) -> None:
    finished(fada, 4, "Qwen2.5-VL-7B", value=0.74)
    with runs_db(fada) as conn:
        conn.execute(
            "INSERT INTO scores(run, metric, question, category, partial, step, body)"
            " SELECT run, 'exact', NULL, NULL, 0, NULL, json_set(body, '$.value', 0.9) FROM scores"
        )
    line = next(line for line in fada("models")[1].splitlines() if "Qwen2.5-VL-7B" in line)
    assert "gt 0.811 stated" in line
    finished(fada, 5, "Qwen2.5-VL-7B", value=0.85)
    assert "gt cosine 0.850 #5" in fada("models", "Qwen2.5-VL-7B")[1]
