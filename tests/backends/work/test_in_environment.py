"""An older transformers laid over the panel's own torch, for real: made, used, killed, resumed, and refused.

What the environment holds comes from the package index; where there is none, these tests are skipped and say so.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from backends.catalog.environments import load_recipes
from backends.jobs.environments import OVERLAY, envs, python_of, state_of, the_recipe
from backends.jobs.store import read_attempt
from db.home import Home
from db.migrate import migrate
from fada_tui.cli import run
from tests.backends.models.conformance.seen import FOLDER, record, record_environment
from tests.backends.models.tiny_chat import BUILD_QWEN, write
from tests.conftest import end_processes

NAME = "transformers-4.51"
PATIENCE_S = 120.0
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("environment")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A HOME in which `fada env create` has made the environment."""
    home = Home(tmp_path_factory.mktemp("environment") / "home").ensure()
    migrate(home)
    try:
        status = fada(home, "env", "create", NAME)
        log = (home.run_dir(1) / "log.txt").read_text()
        if status and "its packages cannot be installed" in log:
            pytest.skip("the packages of the environment cannot be had here")
        assert status == 0, log
        yield home
    finally:
        end_processes(home)


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    return write(tmp_path / "tinychat")


def fada(home: Home, *words: str) -> int:
    return run(["--home", str(home.root), *words])


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def last_run(home: Home) -> int:
    return max(int(path.name) for path in home.runs.iterdir() if path.name.isdigit())


def lines(home: Home, run_id: int, name: str = "predictions.jsonl") -> list[dict[str, Any]]:
    try:
        text = (home.run_dir(run_id) / name).read_text()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines()]


def asked(phantom_set: dict[str, str]) -> list[str]:
    return ["--environment", NAME, "--data", phantom_set["test"], "--image-root", phantom_set["images"]]


def words(versions: Mapping[str, str]) -> str:
    """What was made, for docs/models.md."""
    return f"made over torch {versions['torch']} and checked: transformers {versions['transformers']}"


@pytest.mark.skipif(FOLDER not in os.environ, reason="`make docs` makes all of them; one is made and used below")
@pytest.mark.parametrize("name", sorted(set(load_recipes()) - {NAME}))
def test_every_recipe_can_be_made(home: Home, name: str) -> None:
    status = fada(home, "env", "create", name)
    log = (home.run_dir(1) / "log.txt").read_text()
    if status and "its packages cannot be installed" in log:
        pytest.skip(f"the packages of {name} cannot be had here")
    assert status == 0, log
    assert fada(home, "env", "check", name) == 0
    record_environment(name, words(state_of(home, the_recipe(home, name)).versions))


def test_its_own_packages_win_and_the_rest_is_the_panels(made: Home) -> None:
    state = state_of(made, the_recipe(made, NAME))
    assert (state.state, state.versions["transformers"]) == ("made", "4.51.3")
    code = (
        "import backends, torch, transformers as t, huggingface_hub as h; print(t.__file__, torch.__file__, h.__file__)"
    )
    said = subprocess.run([str(state.python), "-P", "-c", code], capture_output=True, text=True, check=True).stdout
    ours, shared, hub = said.split()
    assert Path(ours).is_relative_to(state.folder)
    assert Path(hub).is_relative_to(state.folder)
    assert not Path(shared).is_relative_to(state.folder)
    assert not list(state.folder.rglob("torch/__init__.py"))
    assert fada(made, "env", "check", NAME) == 0
    record_environment(NAME, words(state.versions))


def test_code_of_its_own_runs_there_and_only_there_and_only_when_agreed(
    made: Home, chat: Path, phantom_set: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = last_run(made)
    assert fada(made, "eval", str(chat), *asked(phantom_set)) == 2
    told = capsys.readouterr().err
    assert "nobody has agreed" in told
    assert "modeling_tinychat.py" in told
    assert last_run(made) == before
    assert fada(made, "eval", str(chat), *asked(phantom_set), "--trust-remote-code", "--wait") == 0
    folder = made.run_dir(last_run(made))
    answers = lines(made, last_run(made))
    assert len(answers) == 24
    assert [one["error"] for one in answers] == [None] * 24
    assert len({one["prediction"] for one in answers}) > 3
    assert json.loads((folder / "scores.json").read_text())["finished"]
    spec = json.loads((folder / "spec.json").read_text())
    assert spec["model"]["environment"] == NAME
    assert spec["versions"]["transformers"] == "4.51.3"
    assert spec["python"] == str(python_of(envs(made) / NAME))
    assert {file["name"] for file in spec["model"]["remote_code"]["files"]} == {
        "configuration_tinychat.py",
        "modeling_tinychat.py",
    }
    started = next(event for event in lines(made, last_run(made), "events.jsonl") if event["kind"] == "started")
    assert started["versions"]["transformers"] == "4.51.3"
    assert started["loaded"]["asked as"] == "InternVLChat"
    assert not list(chat.rglob("__pycache__"))
    record("internvl_chat", "loads", f"fp32 in {NAME}, a stand-in's code")
    record("internvl_chat", "asks", f"fada eval in {NAME}, a stand-in's code")
    record_environment(NAME, "a model with code of its own evaluated in it")


def test_killed_and_resumed_it_gives_the_answers_of_an_uninterrupted_run(
    made: Home, tmp_path: Path, phantom_set: dict[str, str]
) -> None:
    hold = tmp_path / "hold"
    chat = write(tmp_path / "waits", hold=hold, hold_after=9)
    words = ["eval", str(chat), *asked(phantom_set), "--trust-remote-code"]
    assert fada(made, *words, "--wait") == 0
    whole = last_run(made)
    hold.touch()
    assert fada(made, *words) == 0
    killed = last_run(made)
    until(lambda: bool(lines(made, killed)))
    attempt = read_attempt(made.run_dir(killed), 1)
    assert attempt is not None
    assert attempt.worker is not None
    os.kill(attempt.worker.pid, signal.SIGKILL)
    until(lambda: (one := read_attempt(made.run_dir(killed), 1)) is not None and one.ended is not None)
    assert 0 < len(lines(made, killed)) <= 9
    hold.unlink()
    assert fada(made, "resume", str(killed), "--wait") == 0
    assert {(one["id"], one["prediction"]) for one in lines(made, killed)} == {
        (one["id"], one["prediction"]) for one in lines(made, whole)
    }
    specs = [json.loads((made.run_dir(one) / "spec.json").read_text()) for one in (whole, killed)]
    assert specs[0]["fingerprint"] == specs[1]["fingerprint"]


def test_code_that_changes_while_the_job_waits_is_not_run(made: Home, chat: Path, phantom_set: dict[str, str]) -> None:
    assert fada(made, "eval", str(chat), *asked(phantom_set), "--trust-remote-code", "--wait") == 0
    with (chat / "modeling_tinychat.py").open("a") as file:
        file.write(f"\nopen({str(chat / 'ran')!r}, 'w')\n")
    assert fada(made, "retry", str(last_run(made)), "--wait") == 1
    assert "its code has changed since it was agreed to: modeling_tinychat.py" in str(
        lines(made, last_run(made), "events.jsonl")[-1]
    )
    assert not (chat / "ran").exists()
    assert fada(made, "eval", str(chat), *asked(phantom_set)) == 2


def test_an_architecture_of_transformers_itself_needs_no_agreement(
    made: Home, tmp_path: Path, phantom_set: dict[str, str]
) -> None:
    folder = tmp_path / "qwen"
    python = str(python_of(envs(made) / NAME))
    subprocess.run([python, "-P", "-c", BUILD_QWEN, str(folder)], check=True, capture_output=True)
    assert fada(made, "eval", str(folder), *asked(phantom_set), "--limit", "5", "--wait") == 0
    answers = lines(made, last_run(made))
    assert [one["error"] for one in answers] == [None] * 5
    assert "remote_code" not in json.loads((made.run_dir(last_run(made)) / "spec.json").read_text())["model"]
    record_environment(NAME, "a tiny Qwen2-VL of its own transformers evaluated in it")


def test_an_interrupted_making_is_noticed_and_repeated(made: Home, tmp_path: Path) -> None:
    """The same recipe under another name, killed while it installs."""
    (made.root / "environments.toml").write_text(
        '[[environment]]\nname = "again"\nrequirements = ["einops==0.8.1"]\nimports = ["einops"]\n'
    )
    assert fada(made, "env", "create", "again", "--no-wait") == 0
    making = last_run(made)
    until(lambda: (envs(made) / "again").is_dir())
    attempt = read_attempt(made.run_dir(making), 1)
    assert attempt is not None
    assert attempt.worker is not None
    os.kill(attempt.worker.pid, signal.SIGKILL)
    until(lambda: (one := read_attempt(made.run_dir(making), 1)) is not None and one.ended is not None)
    recipe = the_recipe(made, "again")
    assert state_of(made, recipe).state == "broken"
    assert fada(made, "env", "check", "again") == 1
    assert fada(made, "env", "create", "again") == 0
    assert state_of(made, recipe).state == "made"
    assert list((envs(made) / "again").rglob(OVERLAY))
    assert fada(made, "env", "remove", "again") == 0
    assert state_of(made, recipe).state == "not made"


def test_without_an_index_it_fails_with_what_to_do(made: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (made.root / "environments.toml").write_text(
        '[[environment]]\nname = "none"\nrequirements = ["fada-no-such-package==1"]\nimports = []\n'
    )
    for name in ("UV_OFFLINE", "PIP_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    assert fada(made, "env", "create", "none") == 1
    failed = lines(made, last_run(made), "events.jsonl")[-1]
    assert "its packages cannot be installed" in failed["message"]
    assert "check the network" in failed["hint"]
    assert state_of(made, the_recipe(made, "none")).state == "broken"
