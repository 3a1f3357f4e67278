"""The demo as a newcomer runs it: by keys in the panel, through a killed tmux, and headless."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from db.home import Home

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("demo")]

CHAIN_S = 600.0


def ask(fada: list[str], home: Home, *words: str) -> Any:
    done = subprocess.run(
        [*fada, "--home", str(home.root), "--json", *words], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_the_demo_by_keys_outlives_tmux_and_shows_its_score(tmux: Any, fada: list[str], fresh_home: Home) -> None:
    command = [*fada, "--home", str(fresh_home.root)]
    tmux.start(120, 40, *command)
    tmux.until(lambda screen: "42 models" in screen and "Tier 1" in screen)
    tmux.keys("D")
    # The fine-tune is live: its curve grows on the screen.
    tmux.until(lambda screen: re.search(r"#3\b.*finetune", screen) and re.search(r"loss\b.*\d", screen), CHAIN_S)
    states = {run["id"]: run["state"] for run in ask(fada, fresh_home, "jobs")}
    assert states[3] == "running" and states[4] == "queued"

    tmux.kill_server()

    jobs = ask(fada, fresh_home, "jobs")
    assert next(run for run in jobs if run["id"] == 3)["state"] == "running"
    tmux.start(120, 40, *command)
    screen = tmux.until(lambda text: re.search(r"✓ #4\b", text), CHAIN_S)

    (score,) = [one for one in ask(fada, fresh_home, "scores", "--run", "4", "--overall") if one["metric"] == "exact"]
    assert score["ci_low"] > score["floors"]["majority"]
    assert score["n"] == score["answered"] and score["failed"] == 0
    assert "category_majority" in score["references"]
    screen = tmux.until(lambda text: f"exact {score['value']:.3f}" in text)
    assert f"floor majority {score['floors']['majority']:.2f}" in screen
    tmux.keys("q")
    tmux.until(lambda text: "FADA v3" not in text)


def test_the_demo_headless_prints_scores_before_and_after(fada: list[str], fresh_home: Home) -> None:
    document = ask(fada, fresh_home, "demo", "--headless")
    base, tuned = document["base"], document["tuned"]
    assert base["metric"] == tuned["metric"] == "exact"
    assert base["value"] <= base["floors"]["majority"]
    assert tuned["ci_low"] > tuned["floors"]["majority"]
    assert base["ci_high"] < tuned["ci_low"]
    assert base["n"] == tuned["n"] > 0
    states = {run["id"]: run["state"] for run in ask(fada, fresh_home, "jobs")}
    assert [states[run] for run in document["runs"]] == ["done"] * 3
    open_to_others = [path for path in fresh_home.root.rglob("*") if path.stat().st_mode & 0o077]
    assert not open_to_others
