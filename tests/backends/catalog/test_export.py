from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backends.catalog.entry import Entry
from backends.catalog.export import TARGETS, routes
from backends.catalog.reader import load_catalog


def folder(path: Path, **config: Any) -> str:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    return str(path)


def test_every_model_of_the_catalogue_has_a_route_or_says_why_not() -> None:
    for entry in load_catalog().entries:
        found = routes(entry.repo or "", entry)
        assert tuple(found) == TARGETS
        for route in found.values():
            assert route.why_not is None or len(route.words()) > len("no GGUF: ")


@pytest.mark.parametrize(
    ("name", "gguf", "onnx"),
    [("Qwen2-VL-2B", True, False), ("SmolVLM-500M", True, True), ("Pixtral-12B", True, False)],
)
def test_the_guide_s_candidates(name: str, gguf: bool, onnx: bool) -> None:
    entry = load_catalog().find(name)
    assert entry is not None
    found = routes(entry.repo or "", entry)
    assert (found["gguf"].why_not is None, found["onnx"].why_not is None) == (gguf, onnx)


def test_what_only_its_makers_have_made_is_named() -> None:
    entry = load_catalog().find("Moondream2")
    assert entry is not None
    found = routes(entry.repo or "", entry)
    assert found["merged"].why_not is not None
    assert found["gguf"].ready == "ggml-org/moondream2-20250414-GGUF"
    assert "ready-made" in found["gguf"].words()


def test_a_hosted_model_can_be_made_into_nothing() -> None:
    entry = load_catalog().find("GPT-4o")
    assert entry is not None
    assert all(route.why_not for route in routes("", entry).values())


def test_a_folder_is_judged_by_its_own_configuration(tmp_path: Path) -> None:
    clip = folder(tmp_path / "clip", model_type="llava", vision_config={"model_type": "clip_vision_model"})
    pixtral = folder(tmp_path / "pixtral", model_type="llava", vision_config={"model_type": "pixtral"})
    assert routes(clip)["gguf"].why_not and routes(pixtral)["gguf"].why_not is None
    # What the catalogue says of a name does not hold for another architecture under it.
    said = Entry("of mine", clip, "transformers", architecture="qwen2_vl")
    assert routes(clip, said)["gguf"].why_not


def test_an_unknown_architecture_is_merged_and_nothing_else(tmp_path: Path) -> None:
    found = routes(folder(tmp_path / "new", model_type="brand_new_vl"))
    assert found["merged"].why_not is None
    assert found["gguf"].why_not == found["onnx"].why_not == "no route is known for this architecture"
