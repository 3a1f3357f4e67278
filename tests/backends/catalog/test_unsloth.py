from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.catalog import unsloth
from backends.catalog.entry import UNSLOTH
from backends.catalog.errors import CatalogError
from backends.catalog.reader import load_catalog


def test_every_native_entry_says_it() -> None:
    entries = load_catalog().entries
    assert all(entry.unsloth in UNSLOTH for entry in entries if entry.loader == "transformers")
    assert all(entry.unsloth is None for entry in entries if entry.loader != "transformers")
    assert sum(entry.unsloth == "named" for entry in entries) == 11


@pytest.mark.parametrize(
    ("source", "support"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", "named"),
        ("google/gemma-3-4b-it", "named"),
        ("HuggingFaceTB/SmolVLM-Instruct", "generic"),
        ("google/medgemma-27b-it", "generic"),
        ("allenai/Molmo-7B-D-0924", "no"),
        ("numansaeed/fetalclip-model", "no"),
        ("somebody/unheard-of", "generic"),
    ],
)
def test_a_model_of_the_catalogue(source: str, support: str) -> None:
    assert unsloth.support(source) == support


@pytest.mark.parametrize(
    ("kind", "support"), [("qwen3_vl", "named"), ("mllama", "named"), ("llava", "generic"), ("smolvlm", "generic")]
)
def test_a_folder_is_told_by_its_architecture(kind: str, support: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    assert unsloth.support(str(tmp_path)) == support


def test_by_itself_it_takes_those_that_are_named() -> None:
    assert unsloth.not_for("Qwen/Qwen3-VL-4B-Instruct", by_name=False) is None
    assert "do not name" in (unsloth.not_for("HuggingFaceTB/SmolVLM-Instruct", by_name=False) or "")
    assert unsloth.not_for("HuggingFaceTB/SmolVLM-Instruct", by_name=True) is None
    assert "no support" in (unsloth.not_for("allenai/Molmo-7B-D-0924", by_name=True) or "")


def test_a_user_may_say_it_of_a_model(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text('[[model]]\nname = "Mine"\nrepo = "me/mine"\nunsloth = "named"\n')
    entry = load_catalog(file).find("mine")
    assert entry is not None
    assert entry.unsloth == "named"
    file.write_text('[[model]]\nname = "Mine"\nunsloth = "perhaps"\n')
    with pytest.raises(CatalogError, match="perhaps"):
        load_catalog(file)


def test_a_version_outside_of_its_window_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"unsloth": "2026.10.9", "transformers": "5.23.0", "torch": "2.13.0+cpu", "triton": "3.7.1"}
    wanted = [
        "torch<2.15.0,>=2.4.0",
        'triton-windows; sys_platform == "win32"',
        "rich",
        "triton>=3; 'linux' in sys_platform",
        "transformers!=5.0.0,<=5.17.0,>=4.52.4",
        'something; extra == "cu130"',
    ]
    monkeypatch.setattr(unsloth, "find_spec", lambda name: object())
    monkeypatch.setattr(unsloth.metadata, "requires", lambda name: wanted)
    monkeypatch.setattr(unsloth.metadata, "version", versions.__getitem__)
    said = unsloth.packages_missing() or ""
    assert said.startswith("unsloth 2026.10.9 wants transformers")
    assert said.endswith("and 5.23.0 is installed")
    versions["transformers"] = "5.17.0"
    assert unsloth.packages_missing() is None
    monkeypatch.setattr(unsloth, "find_spec", lambda name: None if name == "bitsandbytes" else object())
    assert unsloth.packages_missing() == "bitsandbytes is not installed"
