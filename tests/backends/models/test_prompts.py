"""White space around an image: what a processor writes, put into a request for a server that does not write it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from backends.models.base import question_messages
from backends.models.prompts import image_margins, with_margins
from backends.models.transformers_loader import load_processor
from tests.servers.tiny_gemma import build_tiny_gemma


def test_gemma_writes_a_blank_line_on_both_sides(tmp_path: Path) -> None:
    folder = build_tiny_gemma(tmp_path / "tiny-gemma", ["Abdomen", "Femur"], seed=0)
    assert image_margins(load_processor(str(folder), None)) == ("\n\n", "\n\n")
    assert image_margins(SimpleNamespace()) == ("", "")


def test_the_question_follows_the_image_as_one_text() -> None:
    asked = question_messages("Which plane?", "Fetal ultrasound.")
    system, user = with_margins(asked, "\n\n", "\n")
    assert system == asked[0]
    assert user["content"] == [
        {"type": "text", "text": "\n\n"},
        {"type": "image"},
        {"type": "text", "text": "\nWhich plane?"},
    ]
    assert [item["type"] for item in asked[1]["content"]] == ["image", "text"]  # what was given is left alone
