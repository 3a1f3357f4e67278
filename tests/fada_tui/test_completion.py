"""`fada completion`: the shells' own engines, asked as Tab asks them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from db.home import Home

BIN = Path(sys.executable).parent


def words(home: Home, line: str) -> list[str]:
    """What a shell is told when Tab is pressed at the end of a line."""
    asking = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "FADA_HOME": str(home.root),
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SHELL": "bash",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    done = subprocess.run(
        ["bash", "-c", "fada 8>&1 9>/dev/null 1>/dev/null 2>/dev/null"],
        env=asking,
        capture_output=True,
        text=True,
        check=False,
    )
    return [word.strip() for word in done.stdout.split("\n")]


def test_tab_knows_verbs_options_values_models_and_runs(panel_home: Home) -> None:
    assert "evaluate" not in words(panel_home, "fada ev") and "eval" in words(panel_home, "fada ev")
    assert "--image-root" in words(panel_home, "fada eval X --im")
    assert set(words(panel_home, "fada eval X --kind p")) == {"proxy", "perf"}
    assert {"Qwen3-VL-2B", "Qwen3-VL-8B"} <= set(words(panel_home, "fada eval Qwen3"))
    assert "MiniCPM-V-2.6" in words(panel_home, "fada model Mini")
    env = {**os.environ, "FADA_HOME": str(panel_home.root)}
    subprocess.run([BIN / "fada", "run", "--", "true"], env=env, check=True, capture_output=True)
    assert "1" in words(panel_home, "fada log ")


def test_tab_on_a_home_that_is_not_there_says_nothing_and_makes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "none")
    assert not [word for word in words(home, "fada model Q") if word]
    assert not home.root.exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_is_printed_is_a_script_of_that_shell(shell: str) -> None:
    done = subprocess.run([BIN / "fada", "completion", shell], capture_output=True, text=True, check=True)
    assert "fada" in done.stdout
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed (Debian: {shell}): its completion was printed, not read by it")
    checked = subprocess.run([shell, "-n"], input=done.stdout, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_bash_itself_completes(panel_home: Home) -> None:
    script = """
        source <(fada completion bash)
        COMP_WORDS=(fada leader); COMP_CWORD=1; COMP_LINE="fada leader"; COMP_POINT=11; COMP_TYPE=9
        _python_argcomplete fada leader fada
        echo "${COMPREPLY[@]}"
    """
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "FADA_HOME": str(panel_home.root)}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["leaderboard"]


def test_keys_lists_the_names_that_config_takes(panel_home: Home) -> None:
    panel_home.config.write_text("[keys]\nzoom = 'Q'\nnope = 'x'\n")
    done = subprocess.run(
        [BIN / "fada", "--home", str(panel_home.root), "keys"], capture_output=True, text=True, check=True
    )
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("zoom ")] == ["Q"]
    assert "nope" in done.stderr
