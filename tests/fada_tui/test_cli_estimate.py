"""`fada estimate`: components and an interval for any model that has weights, and plain words where something is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fada_tui.cli import run


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> tuple[int, Any]:
        status = run(["estimate", *words, "--json", "--home", str(tmp_path / "home")])
        return status, json.loads(capsys.readouterr().out)

    return call


def test_a_tracked_model(ask: Any) -> None:
    status, found = ask("Qwen2.5-VL-7B", "--method", "unsloth", "--batch", "2", "--image-size", "640x480")
    assert status == 0
    assert found["tracker_vram"] == "~16GB"
    assert found["low"] < found["likely"] < found["high"]
    assert {one["name"] for one in found["components"]} >= {"weights", "training", "logits", "CUDA context"}
    assert found["likely"] == sum(one["likely"] for one in found["components"])
    _, larger = ask("Qwen2.5-VL-7B", "--method", "unsloth", "--batch", "2", "--image-size", "1920x1080")
    assert larger["likely"] > found["likely"]
    _, whole = ask("Qwen2.5-VL-7B", "--method", "full")
    assert whole["likely"] > 8 * found["likely"] and whole["precision"] is None


def test_a_model_that_needs_its_own_code_is_estimated_too(ask: Any) -> None:
    status, found = ask("MiniCPM-V-2.6")
    assert (status, found["source"]) == (0, "openbmb/MiniCPM-V-2_6")
    assert "catalogue" in found["how"]


def test_a_size_of_a_row_of_several(ask: Any) -> None:
    assert ask("Gemma-3-Vision:12B")[1]["source"] == "google/gemma-3-12b-it"
    status, found = ask("Gemma-3-Vision")
    assert status == 2 and "Gemma-3-Vision:4B" in found["error"]["hint"]


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (("Qwen2-VL-2B", "--image-size", "wide"), "WIDTHxHEIGHT"),
        (("Qwen2-VL-2B", "--batch", "0"), "at least 1"),
        (("Qwen2-VL-2B", "--method", "full", "--precision", "4bit"), "4bit"),
        (("Qwen2-VL-2BB",), "no model named"),
        (("FetalMind",), "never published"),
    ],
)
def test_bad_input(ask: Any, words: tuple[str, ...], word: str) -> None:
    status, found = ask(*words)
    assert status == 2
    assert word in found["error"]["message"]


def test_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["estimate", "SmolVLM-256M", "--home", str(tmp_path / "home")]) == 0
    shown = capsys.readouterr().out
    for word in ("least", "likely", "most", "weights", "KV cache", "CUDA context", "the tracker says", "tiles"):
        assert word in shown
