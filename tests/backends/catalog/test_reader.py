"""The shipped catalogue covers the tracker, and a user's own file overrides and adds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backends.catalog import available
from backends.catalog.available import availability, no_route
from backends.catalog.entry import LOADERS, Entry
from backends.catalog.errors import CatalogError
from backends.catalog.hub import cached_snapshot
from backends.catalog.reader import Catalog, load_catalog

NAMES = """
FetalCLIP FetalMind Sonomate EchoVLM LLaVA-Ultra AbVLM-Q MiniCPM-V-2.6 Qwen2-VL-2B Qwen2-VL-7B Qwen2.5-VL-3B
Qwen2.5-VL-7B Qwen3-VL-2B Qwen3-VL-4B Qwen3-VL-8B InternVL2-2B InternVL2-4B InternVL3-78B LLaVA-OneVision Molmo-7B
PaliGemma2 Pixtral-12B Llama-3.2-Vision DeepSeek-VL2 Gemma-3-Vision MedGemma-27B MedGemma-4B Medical-VLM-24B LLaVA-Med
CheXagent-8B SmolVLM-256M SmolVLM-500M SmolVLM-2.2B Moondream2 MobileVLM-V2-1.7B MobileVLM-V2-3B LFM2-VL-450M
LFM2-VL-1.6B GPT-4V GPT-4o Gemini-3-Flash Gemini-3-Pro Claude-3.5-Sonnet
"""
TRACKED = NAMES.split()


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def test_every_tracked_model_has_an_entry(catalog: Catalog) -> None:
    assert [entry.name for entry in catalog.entries] == TRACKED
    assert len(TRACKED) == 42


def test_every_entry_is_complete(catalog: Catalog) -> None:
    for entry in catalog.entries:
        assert entry.loader in LOADERS
        assert entry.repo or entry.variants or not entry.runnable, entry.name
        assert entry.runnable != bool(entry.reason), entry.name
        if entry.loader in ("transformers", "open_clip", "environment"):
            sizes = [variant.params_b for variant in entry.variants] or [entry.params_b]
            assert all(sizes), entry.name
            assert entry.architecture, entry.name


def test_what_cannot_run_names_something_that_can(catalog: Catalog) -> None:
    for entry in catalog.entries:
        if not entry.runnable or entry.loader in ("environment", "openai", "open_clip"):
            other = catalog.find(entry.instead or "")
            assert other is None or other.runnable, entry.name
            assert other is not None or "/" in (entry.instead or ""), entry.name


def test_names_are_found_however_they_are_spelt(catalog: Catalog) -> None:
    for name in ("qwen2.5-vl-7b", "Qwen2.5 VL 7B", "Qwen/Qwen2.5-VL-7B-Instruct"):
        entry = catalog.find(name)
        assert entry is not None
        assert entry.name == "Qwen2.5-VL-7B"
    assert catalog.find("Llama-3.2-Vision-11B") == catalog.find("Llama-3.2-Vision")
    assert catalog.find("no such model") is None
    assert "Qwen3-VL-8B" in catalog.nearest("Qwen3-VL-8")


def test_a_variant_is_chosen_by_name_or_by_repo(catalog: Catalog) -> None:
    for name in ("Gemma-3-Vision:12B", "gemma-3-vision-12b", "google/gemma-3-12b-it"):
        found = catalog.lookup(name)
        assert found is not None
        entry, variant = found
        assert entry.needs_variant
        assert variant is not None
        assert (entry.name, variant.repo) == ("Gemma-3-Vision", "google/gemma-3-12b-it")


def test_a_user_overrides_one_field_and_keeps_the_rest(tmp_path: Path) -> None:
    mine = tmp_path / "catalog.toml"
    mine.write_text('[[model]]\nname = "qwen3-vl-8b"\nlicence = "asked them"\n')
    entry = load_catalog(mine).find("Qwen3-VL-8B")
    assert entry is not None
    assert (entry.name, entry.licence, entry.architecture) == ("Qwen3-VL-8B", "asked them", "qwen3_vl")


def test_a_user_gives_a_row_a_checkpoint_of_their_own(tmp_path: Path) -> None:
    mine = tmp_path / "catalog.toml"
    mine.write_text('[[model]]\nname = "FetalMind"\nrepo = "lab/fetalmind"\n\n[[model]]\nname = "New"\nrepo = "a/b"\n')
    catalog = load_catalog(mine)
    row, new = catalog.find("FetalMind"), catalog.find("a/b")
    assert row is not None
    assert (row.repo, row.loader, row.runnable, row.reason) == ("lab/fetalmind", "transformers", True, None)
    assert new is not None
    assert (new.name, new.loader) == ("New", "transformers")


@pytest.mark.parametrize(
    ("text", "word", "line"),
    [
        ("[[model]\n", "TOML", 1),
        ('[[model]]\nname = "x"\nrepo = "unclosed\n', "TOML", 3),
        ('[[model]]\nrepo = "a/b"\n', "name", 1),
        ('[[model]]\nname = "y"\n\n[[model]]\nname = "x"\nlader = "none"\n', "did you mean loader", 6),
        ('[[model]]\nname = "x"\nloader = "magic"\n', "magic", 3),
        ('# mine\n\n[[model]]\nname = "x"\nrepo = "a/b"\nparams_b = "big"\n', "params_b", 6),
        ('[[model]]\nname = "x"\nvariants = [{ size = 1 }]\n', "variant", 3),
        ('[[model]]\nname = "x"\nvariants = [{ name = "a", repo = "b/c", params_b = "4" }]\n', "params_b", 3),
        ('[[model]]\nname = "x"\naliases = "y"\n', 'aliases = ["', 3),
        ('[[model]]\nname = "x"\nnote = 3\n', 'write note = "', 3),
        ('[[model]]\nname = "x"\nparams_b = -3\n', "for instance 4.3", 3),
        ('[[model]]\nname = "x"\nparams_b = nan\n', "for instance 4.3", 3),
        ('[[model]]\nname = "x-1"\n\n[[model]]\nname = "X 1"\n', "there twice", 5),
        ('[[model]]\nname = "x"\nrunnable = 1\n', "true or false", 3),
        ('[models]\nname = "x"\n', "unknown table", 1),
        ("model = 3\n", "list of models", 1),
    ],
)
def test_a_broken_user_file_is_named_with_its_line(tmp_path: Path, text: str, word: str, line: int) -> None:
    mine = tmp_path / "catalog.toml"
    mine.write_text(text)
    with pytest.raises(CatalogError) as caught:
        load_catalog(mine)
    assert word in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.where == f"{mine}:{line}"


def test_a_missing_user_file_is_no_matter(tmp_path: Path) -> None:
    assert load_catalog(tmp_path / "none.toml").entries == load_catalog().entries


def test_why_there_is_no_route(catalog: Catalog) -> None:
    words = {"GPT-4V": "shut down", "FetalCLIP": "open_clip", "GPT-4o": "network"}
    for name, word in words.items():
        entry = catalog.find(name)
        assert entry is not None
        assert word in (no_route(entry) or ""), name
        assert availability(entry) == (False, no_route(entry))


def test_available_says_what_stands_in_the_way(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Callable[[Path], Path]
) -> None:
    monkeypatch.setattr(available, "find_spec", lambda name: object())
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = Entry("m", "org/m", "transformers", params_b=8.0, gated=True)
    assert "16 bits" in (availability(model, 10 * 2**30)[1] or "")
    assert "not downloaded" in (availability(model, 32 * 2**30)[1] or "")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    assert "huggingface.co/org/m" in (availability(model)[1] or "")
    checkpoint(tmp_path / "models--org--m" / "snapshots" / "abc")
    assert cached_snapshot("org/m", "abc") is not None
    assert cached_snapshot("org/m") is None
    (tmp_path / "models--org--m" / "refs").mkdir()
    (tmp_path / "models--org--m" / "refs" / "main").write_text("abc")
    assert availability(model) == (True, None)
    assert model.to_dict(True, None)["available"] is True
    gemma = catalog.find("Gemma-3-Vision")
    assert gemma is not None
    assert [variant["name"] for variant in gemma.to_dict(True, None)["variants"]] == ["4B", "12B"]
