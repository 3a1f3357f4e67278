"""What the tests on a card are made of, tried without one: their checks on the CPU, and the page that they write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backends.models.transformers_loader import load
from tests.backends.models.conformance.questions import GENERATION
from tests.gpu.checks import asked, halvings, lora_losses, samples
from tests.gpu.seen import FOLDER, read, record
from tests.gpu.table import BEGIN, MACHINE, NOT_RUN, document

PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"


@pytest.mark.slow
def test_the_checks_on_the_cpu(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    folder = checkpoint("qwen2_5_vl")
    whole = asked(folder, "cpu", "fp32")
    assert whole.moved < 1e-5
    assert whole.batched < 1e-5
    assert (whole.numbers, whole.answers) == ("float32", 5)
    assert 1e-5 < asked(folder, "cpu", "bf16").moved < 0.1
    losses = lora_losses(folder, "cpu", "fp32", tmp_path)
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.slow
def test_a_batch_is_halved_where_memory_runs_out(
    checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(checkpoint("qwen2_5_vl"), device="cpu", generation=GENERATION)
    answer = model.answer

    def of_four(prepared: dict[str, object]) -> object:
        if len(prepared["input_ids"]) > 4:  # type: ignore[arg-type]
            raise MemoryError
        return answer(prepared)

    monkeypatch.setattr(model, "answer", of_four)
    assert halvings(model, samples(tmp_path, 12), 8) == (1, 12)


def test_the_page_tells_what_was_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record("LoRA in bf16", "gemma3", first="4.1")  # no folder is named: nothing is written
    monkeypatch.setenv(FOLDER, str(tmp_path / "seen"))
    record(MACHINE, "card", name="Card 3000", driver="580.1")
    record("LoRA in bf16", "gemma3", first="4.1", last="1.2")
    record("LoRA in bf16", "a|b", first="3.1")
    seen = read(tmp_path / "seen")
    page = document(seen)
    assert "- card: name Card 3000, driver 580.1" in page
    assert "## LoRA in bf16" in page
    assert "| gemma3 | 4.1 | 1.2 |" in page
    assert "| a/b | 3.1 | - |" in page
    assert "Not yet run" not in page
    assert document({}) == BEGIN + NOT_RUN


def test_the_page_in_docs_is_of_a_card_or_says_that_there_was_none() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.startswith(BEGIN)
    assert page == document({}) or "- card: " in page
