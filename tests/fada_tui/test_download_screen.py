"""From the detail view of a model: what it is, what it takes, and fetching it, seen by a person."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from textual.pilot import Pilot

from db.home import Home
from fada_tui.app import PanelApp
from fada_tui.screens.download import DownloadScreen
from fada_tui.screens.known import Known
from fada_tui.screens.model import ModelScreen
from tests.fada_tui.conftest import Until
from tests.fada_tui.homes import choose, loaded
from tests.fada_tui.panel import screen_text
from tests.hub_server import HubServer, Repo

REPO = "HuggingFaceTB/SmolVLM-256M-Instruct"


@pytest.fixture
def repo(hub_server: HubServer, tiny_checkpoint: Path) -> Repo:
    return hub_server.add(REPO, tiny_checkpoint)


@pytest.fixture
def app(panel_home: Home, monkeypatch: pytest.MonkeyPatch) -> PanelApp:
    """Nothing that is queued is started."""
    monkeypatch.setattr("backends.jobs.submit.start_dispatcher", lambda home: None)
    return PanelApp(panel_home)


async def open_model(app: PanelApp, pilot: Pilot[str], until: Until, name: str) -> None:
    await until(pilot, lambda: loaded(app))
    await choose(app, pilot, f"model:{name}")
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, ModelScreen) and isinstance(app.screen.data, Known))


def said(app: PanelApp) -> str:
    """The words on the screen, whatever lines they are broken into."""
    beside = re.compile(r"│.│|[│╭╮╰╯─▁▂▃▄▅▆▇█]")  # borders, and what is left of the screen under a question
    return " ".join(beside.sub(" ", screen_text(app)).split())


async def test_every_way_of_using_it_is_estimated_beside_what_the_note_says(
    app: PanelApp, until: Until, hub_server: HubServer
) -> None:
    async with app.run_test(size=(100, 60)) as pilot:
        await open_model(app, pilot, until, "SmolVLM-256M")
        words = said(app)
        assert REPO in words and "idefics3" in words
        assert "not downloaded (about 488 MiB); d fetches it" in words
        assert "evaluate, 16 bits, batch 32" in words and "fine-tune, Unsloth in 4 bits" in words
        assert "the note <1GB" in words
    assert hub_server.seen == []


async def test_a_model_of_old_code_says_where_it_runs(app: PanelApp, until: Until, hub_server: HubServer) -> None:
    async with app.run_test(size=(100, 60)) as pilot:
        await open_model(app, pilot, until, "MiniCPM-V-2.6")
        words = said(app)
        assert "environment transformers-4.51" in words
        assert "fada env create transformers-4.51" in words
        assert "evaluate, 16 bits, one by one" in words and "fine-tune, Unsloth" not in words
    assert hub_server.seen == []


async def test_it_is_asked_about_first_and_then_queued(
    app: PanelApp, panel_home: Home, until: Until, repo: Repo
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await open_model(app, pilot, until, "SmolVLM-256M")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DownloadScreen) and "to fetch" in said(app))
        words = said(app)
        assert repo.commit[:12] in words and "apache-2.0" in words and "free in" in words
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, ModelScreen))
        assert list(panel_home.runs.glob("*/spec.json")) == []
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DownloadScreen) and app.screen.may_answer())
        assert "y download it" in said(app)
        await pilot.press("y")
        await until(pilot, lambda: list(panel_home.runs.glob("*/spec.json")))
        assert isinstance(app.screen, ModelScreen)
    (spec,) = panel_home.runs.glob("*/spec.json")
    assert json.loads(spec.read_text())["tool"]["args"] == {
        "repo": REPO, "revision": repo.commit, "branch": "main", "allow_pickle": False,
    }  # fmt: skip


async def test_a_yes_over_the_dashboard_leaves_the_dashboard(
    app: PanelApp, panel_home: Home, until: Until, repo: Repo
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: loaded(app))
        await choose(app, pilot, "model:SmolVLM-256M")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DownloadScreen) and app.screen.may_answer())
        await pilot.press("y")
        await until(pilot, lambda: list(panel_home.runs.glob("*/spec.json")))
        assert app.screen is app.dashboard


async def test_what_cannot_be_fetched_cannot_be_answered_with_yes(
    app: PanelApp, panel_home: Home, until: Until, repo: Repo, hub_server: HubServer
) -> None:
    repo.gated = True
    async with app.run_test(size=(80, 24)) as pilot:
        await open_model(app, pilot, until, "SmolVLM-256M")
        await pilot.press("d")
        await until(pilot, lambda: "is gated" in said(app))
        assert "accept its terms at" in said(app) and "hf auth login" in said(app)
        assert "n leave it" in said(app) and "y download it" not in said(app)
        await pilot.press("y")
        assert isinstance(app.screen, DownloadScreen)
        await pilot.press("escape")
        repo.gated = False
        repo.claims["model.safetensors"] = 10**17
        await pilot.press("d")
        await until(pilot, lambda: "GB are free there" in said(app))
        await pilot.press("y")
        assert isinstance(app.screen, DownloadScreen)
        await pilot.press("escape")
        repo.claims.clear()
        repo.files["pytorch_model.bin"] = repo.files.pop("model.safetensors")
        await pilot.press("d")
        await until(pilot, lambda: "a pickle, which can carry code" in said(app))
        await pilot.press("n")
    assert list(panel_home.runs.glob("*/spec.json")) == []


async def test_of_several_sizes_one_is_chosen(
    app: PanelApp, until: Until, hub_server: HubServer, tiny_checkpoint: Path
) -> None:
    hub_server.add("google/gemma-3-12b-it", tiny_checkpoint)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_model(app, pilot, until, "Gemma-3-Vision")
        await pilot.press("d")
        await until(pilot, lambda: "2 Gemma-3-Vision:12B" in said(app))
        assert hub_server.seen == []
        await pilot.press("2")
        await until(pilot, lambda: "google/gemma-3-12b-it at" in said(app))
