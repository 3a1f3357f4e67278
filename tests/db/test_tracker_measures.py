"""What was measured here, written into the note's own tables on fine-tuning and export."""

from __future__ import annotations

import sqlite3

from db.tracker.editing.measures import write_measured
from db.tracker.edits import undo
from db.tracker.export import export_note
from db.tracker.importer import import_note
from db.tracker.measured import Measured

NOTE = """# A note

## Models

| Model | Size | Status |
|-------|------|--------|
| Qwen2-VL-2B | 2B | TODO |
| SmolVLM-500M | 500M | TODO |

## Fine-tuning

### Unsloth Verified

| Model | Train Time (2 samples) | Mobile Export |
|-------|------------------------|---------------|
| Qwen2-VL-2B | 44s | - |

## Mobile Export Guide

### Mobile-Native Models

| Model | Size | Format |
|-------|------|--------|
| SmolVLM-500M | ~1GB | ONNX |
"""
TRAINED = Measured(3, "finetune", "trained in 9 s, peft")
GGUF, ONNX = Measured(5, "convert", "gguf q4_k_m: 1.2 GB"), Measured(4, "convert", "onnx: 0.9 GB")


def test_it_stands_after_what_the_note_says_and_one_undo_takes_it_back(empty_db: sqlite3.Connection) -> None:
    import_note(empty_db, NOTE.encode(), "note.md", "test")
    merged = Measured(9, "convert", "merged: 4.4 GB")
    found = {"Qwen2-VL-2B": [TRAINED, merged, GGUF], "SmolVLM-500M": [GGUF, ONNX]}
    changed = write_measured(empty_db, found)
    after = export_note(empty_db).decode()
    assert "| Qwen2-VL-2B | 44s; here: trained in 9 s, peft | here: gguf q4_k_m: 1.2 GB |" in after
    assert "| SmolVLM-500M | ~1GB; here: onnx: 0.9 GB | ONNX |" in after, "in the format that the row names"
    assert len(changed) == 3 and after.count("here: ") == 3
    assert "| Qwen2-VL-2B | 2B | TODO |" in after, "a model's own row stays"
    assert write_measured(empty_db, found) == []
    undo(empty_db)
    assert export_note(empty_db).decode() == NOTE


def test_what_is_measured_anew_takes_the_place_of_what_was(empty_db: sqlite3.Connection) -> None:
    import_note(empty_db, NOTE.encode(), "note.md", "test")
    write_measured(empty_db, {"Qwen2-VL-2B": [TRAINED]})
    write_measured(empty_db, {"Qwen2-VL-2B": [Measured(7, "finetune", "trained in 5 s, unsloth"), TRAINED]})
    assert "| Qwen2-VL-2B | 44s; here: trained in 5 s, unsloth | - |" in export_note(empty_db).decode()
    routes = empty_db.execute("SELECT columns FROM finetune_rows").fetchone()
    assert "trained in 5 s, unsloth" in routes[0], "what the panel reads"


def test_a_model_without_such_a_row_changes_nothing(empty_db: sqlite3.Connection) -> None:
    import_note(empty_db, NOTE.encode(), "note.md", "test")
    assert write_measured(empty_db, {"SmolVLM-500M": [TRAINED]}) == []
    assert export_note(empty_db).decode() == NOTE
