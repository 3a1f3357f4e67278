from __future__ import annotations

from pathlib import Path

import pytest

from backends.jobs import unsloth
from backends.jobs.errors import QueueError
from db.home import Home


def test_without_its_packages_it_is_refused_with_what_is_missing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsloth, "packages_missing", lambda: "unsloth is not installed")
    with pytest.raises(QueueError, match="method unsloth: unsloth is not installed") as caught:
        unsloth.check_method(home, "unsloth", "Qwen/Qwen2.5-VL-3B-Instruct")
    assert "fada-tui[gpu]" in (caught.value.hint or "")
    for method in ("auto", "peft", "full"):
        unsloth.check_method(home, method, "Qwen/Qwen2.5-VL-3B-Instruct")


def test_without_a_card_too(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsloth, "packages_missing", lambda: None)
    monkeypatch.setattr(unsloth, "_card", lambda home: False)
    with pytest.raises(QueueError, match="there is no CUDA card here"):
        unsloth.check_method(home, "unsloth", "Qwen/Qwen2.5-VL-3B-Instruct")
    with pytest.raises(QueueError, match="no support for this model"):
        unsloth.check_method(home, "unsloth", "allenai/Molmo-7B-D-0924")
    monkeypatch.setattr(unsloth, "_card", lambda home: True)
    unsloth.check_method(home, "unsloth", "HuggingFaceTB/SmolVLM-Instruct")


def test_the_loader_of_an_evaluation(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(unsloth, "packages_missing", lambda: None)
    monkeypatch.setattr(unsloth, "_card", lambda home: True)
    source = "Qwen/Qwen2.5-VL-3B-Instruct"
    assert unsloth.loader_part(home, "auto", source, "transformers", here=True) == {}
    assert unsloth.loader_part(home, "unsloth", source, "transformers", here=True) == {"loader": "unsloth"}
    with pytest.raises(QueueError, match="a server loads"):
        unsloth.loader_part(home, "unsloth", source, "openai", here=False)
    with pytest.raises(QueueError, match="loaded by open_clip"):
        unsloth.loader_part(home, "unsloth", source, "open_clip", here=True)
    with pytest.raises(QueueError, match="no loader 'vllm'"):
        unsloth.loader_part(home, "vllm", source, "transformers", here=True)
