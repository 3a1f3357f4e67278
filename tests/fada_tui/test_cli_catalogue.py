"""What the command says of the catalogue: every name of a model, what is known of it, and a user's file with mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.catalog.entry import Entry
from backends.catalog.reader import load_catalog
from db.home import Home
from fada_tui.cli import run
from fada_tui.cli.context import Context
from fada_tui.cli.verbs import the_model


def names_of(entry: Entry) -> list[str]:
    sizes = [name for one in entry.variants for name in (one.repo, f"{entry.name}:{one.name}")]
    return [entry.name, *entry.aliases, *([entry.repo] if entry.repo else []), *sizes]


def test_every_name_of_a_model_leads_to_its_row(panel_home: Home) -> None:
    context = Context(panel_home)
    found = {name: the_model(context, name).name for one in load_catalog().entries for name in names_of(one)}
    assert found == {name: one.name for one in load_catalog().entries for name in names_of(one)}
    assert len(set(found.values())) == 42


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("Gemma-3-Vision", ["  gated: yes: accept its terms", "  sizes: 4B google/gemma-3-4b-it (4.3B), 12B google/"]),
        ("InternVL2-2B", ["  licence: MIT (commonly stated, not confirmed)", "  gated: no", "  parameters: 2.206B"]),
        ("InternVL2-2B", ["  worked with: transformers<5", "  note: Remote code that fails on transformers 5"]),
        ("FetalMind", ["cannot run here: Its weights were announced but never published", "instead: FetalCLIP"]),
        ("GPT-4V", ["cannot run here: Retired: gpt-4-turbo was shut down on 2026-10-23", "instead: GPT-4o"]),
        ("EchoVLM", ["  gated: not known", "  environment: transformers-4.47", "fada env create transformers-4.47"]),
    ],
)
def test_what_is_known_is_told_to_people(
    panel_home: Home, capsys: pytest.CaptureFixture[str], name: str, lines: list[str]
) -> None:
    assert run(["--home", str(panel_home.root), "model", name]) == 0
    out = capsys.readouterr().out
    assert all(line in out for line in lines), out


@pytest.mark.parametrize("verb", [["model", "Qwen2-VL-2B"], ["estimate", "Qwen2-VL-2B"], ["env", "list"]])
def test_a_catalogue_with_a_mistake_is_bad_input(
    panel_home: Home, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    mine = panel_home.root / "catalog.toml"
    mine.write_text('[[model]]\nname = "Qwen2-VL-2B"\nlisence = "x"\n')
    assert run(["--home", str(panel_home.root), "--json", *verb]) == 2
    told = json.loads(capsys.readouterr().out)["error"]
    assert told["where"] == f"{mine}:3"
    assert (told["message"], told["hint"]) == ("Qwen2-VL-2B: unknown field lisence", "did you mean licence?")


def test_the_doctor_reads_the_users_catalogue(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    def found() -> dict[str, str] | None:
        run(["--home", str(panel_home.root), "--json", "doctor"])
        checks = json.loads(capsys.readouterr().out)
        return next((one for one in checks if one["check"] == "catalogue"), None)

    assert found() is None
    mine: Path = panel_home.root / "catalog.toml"
    mine.write_text('[[model]]\nname = "Mine"\nrepo = "me/mine"\n')
    assert (found() or {})["state"] == "ok"
    mine.write_text("[[model]\n")
    told = found() or {}
    assert told["state"] == "warn" and f"{mine}:1" in told["detail"] and told["hint"]


def test_one_of_the_catalogue_alone_says_so(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    (panel_home.root / "catalog.toml").write_text('[[model]]\nname = "Mine"\nrepo = "me/mine"\n')
    assert run(["--home", str(panel_home.root), "model", "me/mine"]) == 2
    assert "Mine is in the catalogue, not in the tracker" in capsys.readouterr().err
