"""An evaluation as the user types it, of a model behind llama.cpp's own server."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from db.home import Home
from tests.servers.llama import LlamaServer

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    # One worker, and so one server, for every test that asks it.
    pytest.mark.xdist_group("llama"),
]

MODEL = "MedGemma-4B"
"""Of the tracker; the server calls its own by another name."""


def ask(fada: list[str], home: Home, *words: str) -> Any:
    done = subprocess.run(
        [*fada, "--home", str(home.root), "--json", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def evaluate(fada: list[str], home: Home, server: LlamaServer, data: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A finished evaluation: its exact score, and its answers by question."""
    where = ("--server-url", server.base_url, "--server-model", server.model)
    ask(fada, home, "eval", MODEL, "--data", data, *where, "--wait")
    run = ask(fada, home, "jobs")[-1]
    assert run["state"] == "done", run
    overall = ask(fada, home, "scores", "--run", str(run["id"]), "--overall")
    (exact,) = [score for score in overall if score["metric"] == "exact"]
    lines = (home.run_dir(run["id"]) / "predictions.jsonl").read_text().splitlines()
    return exact, {answer["id"]: answer["prediction"] for answer in map(json.loads, lines)}


def test_an_evaluation_against_it_is_whole_and_comes_out_the_same_twice(
    fada: list[str], fresh_home: Home, llama_server: LlamaServer, phantom_set: dict[str, str]
) -> None:
    first, answers = evaluate(fada, fresh_home, llama_server, phantom_set["test"])
    again, answers_again = evaluate(fada, fresh_home, llama_server, phantom_set["test"])
    assert first["n"] == first["answered"] == 24
    assert first["failed"] == 0
    assert again["value"] == first["value"]
    assert answers_again == answers
    assert all(answers.values()) and len(set(answers.values())) > 1
