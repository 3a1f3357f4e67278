"""The page of models: a row for each catalogued one, with what was seen and nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.catalog.reader import load_catalog
from tests.backends.models.conformance.seen import FOLDER, read, record
from tests.backends.models.conformance.table import document

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
    seen = read(tmp_path / "seen")
    assert sorted(seen["gemma3"]["loads"]) == ["4bit", "fp32"]
    page = document(load_catalog(), seen)
    assert cells(page, "MedGemma-4B")[3:] == ["4bit, fp32", "-", "-", "-", "-", "-"]
    assert cells(page, "Pixtral-12B")[5] == "fp32"
    assert cells(page, "LLaVA-Med")[3:] == ["-"] * 6
    assert cells(page, "FetalMind")[2:] == ["cannot run"] + ["-"] * 6


def test_the_page_in_docs_has_every_model() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for entry in load_catalog().entries:
        assert len(cells(page, entry.name)) == 9
