"""The page of models: a row for each catalogued one, with what was seen and nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.catalog.environments import load_recipes
from backends.catalog.reader import load_catalog
from tests.backends.models.conformance.seen import FOLDER, read, read_environments, record, record_environment
from tests.backends.models.conformance.table import NOT_MADE, document

PAGE = Path(__file__).parents[4] / "docs" / "models.md"


def cells(page: str, name: str) -> list[str]:
    return next([cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if f"| {name} |" in line)


def test_what_is_recorded_is_read_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record("gemma3", "asks", "fp32")  # no folder is named: nothing is written
    monkeypatch.setenv(FOLDER, str(tmp_path / "seen"))
    record("gemma3", "loads", "fp32")
    record("gemma3", "loads", "4bit")
    record("pixtral", "batches", "fp32")
    with pytest.raises(ValueError, match="no column"):
        record("gemma3", "flies", "fp32")
    record("internvl_chat", "asks", "fp32")
    record_environment("transformers-4.47", "made")
    seen = read(tmp_path / "seen")
    assert sorted(seen["gemma3"]["loads"]) == ["4bit", "fp32"]
    page = document(load_catalog(), seen, read_environments(tmp_path / "seen"))
    assert cells(page, "MedGemma-4B")[3:] == ["4bit, fp32", "-", "-", "-", "-", "-"]
    assert cells(page, "Pixtral-12B")[5] == "fp32"
    assert cells(page, "LLaVA-Med")[3:] == ["-"] * 6
    assert cells(page, "FetalMind")[2:] == ["cannot run"] + ["-"] * 6
    assert cells(page, "InternVL2-2B")[2:5] == ["environment transformers-4.47", "-", "fp32"]
    assert "Asked so: InternVL2-2B, InternVL2-4B." in page
    assert "never run: EchoVLM, MiniCPM-V-2.6" in page
    assert cells(page, "transformers-4.47")[2] == "made"
    assert cells(page, "transformers-4.51")[2] == NOT_MADE


def test_the_page_in_docs_has_every_model() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for entry in load_catalog().entries:
        assert len(cells(page, entry.name)) == 9


def test_what_the_command_says_of_an_environment_is_what_the_page_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for recipe in load_recipes().values():
        assert (cells(page, recipe.name)[2] == NOT_MADE) == (recipe.standing == "recipe"), recipe.name


def test_of_models_in_environments_the_page_claims_only_what_a_stand_in_did() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if " | environment " in line]
    cells = [cell.strip(" |") for row in rows for cell in row[3:]]
    assert len(rows) > 8
    assert all(cell == "-" or cell.endswith("a stand-in's code") for cell in cells)
