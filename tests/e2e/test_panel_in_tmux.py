"""What only a real terminal shows: tiny windows, resizing, signals, a panel that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from db.home import Home

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def panel_pid(home: Home) -> int:
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "fada_tui" in words and str(home.root) in words:
            return int(process.pid)
    raise AssertionError("no panel runs")


def test_a_tiny_terminal_says_so_and_recovers(
    tmux: Any, fada: list[str], fresh_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A shell that exports its old size must not mislead the panel.
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    tmux.start(20, 5, *fada, "--home", str(fresh_home.root))
    screen = tmux.until(lambda text: "small" in text.lower())
    assert "Tier 1" not in screen
    tmux.resize(80, 24)
    tmux.until(lambda text: "42 models" in text and "Tier 1" in text)


def test_space_marks_an_item_done_in_the_database_and_the_export(tmux: Any, fada: list[str], fresh_home: Home) -> None:
    command = [*fada, "--home", str(fresh_home.root)]
    tmux.start(80, 24, *command)
    tmux.until(lambda text: "Tier 1" in text)
    tmux.keys("G")  # the checklist is at the end
    tmux.until(lambda text: "[ ] 14 Moondream2" in text)
    tmux.keys("Space")
    tmux.until(lambda text: "[x] 14 Moondream2" in text)
    items = json.loads(subprocess.run([*command, "--json", "items"], capture_output=True, check=True).stdout)
    assert [item["number"] for item in items if item["done"]] == [14]
    note = subprocess.run([*command, "export"], capture_output=True, check=True).stdout.decode()
    assert "14. [x] Moondream2\n" in note


def test_a_killed_panel_takes_no_job_with_it(tmux: Any, fada: list[str], fresh_home: Home, tmp_path: Any) -> None:
    command = [*fada, "--home", str(fresh_home.root)]
    tmux.start(120, 40, *command)
    tmux.until(lambda text: "42 models" in text)
    end = tmp_path / "end"
    code = f"import os, time\nwhile not os.path.exists({str(end)!r}): time.sleep(0.05)"
    subprocess.run([*command, "run", "--", sys.executable, "-c", code], check=True, capture_output=True)
    tmux.until(lambda text: "1 running" in text)
    os.kill(panel_pid(fresh_home), signal.SIGKILL)
    jobs = json.loads(subprocess.run([*command, "--json", "jobs"], capture_output=True, check=True).stdout)
    assert jobs[0]["state"] == "running"
    end.touch()
    deadline = time.monotonic() + 240
    while jobs[0]["state"] != "done":
        assert time.monotonic() < deadline, jobs
        jobs = json.loads(subprocess.run([*command, "--json", "jobs"], capture_output=True, check=True).stdout)
    tmux.start(120, 40, *command)
    tmux.until(lambda text: "✓ #1" in text)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(tmux: Any, fada: list[str], fresh_home: Home, number: int) -> None:
    tmux.start(80, 24, "sh", "-c", f"{' '.join(fada)} --home {fresh_home.root}; echo status $?; exec sleep 1000")
    tmux.until(lambda text: "Tier 1" in text)
    os.kill(panel_pid(fresh_home), number)
    screen = tmux.until(lambda text: "status" in text)
    assert "Tier 1" not in screen  # the alternate screen was left
    tmux.keys("x", "y", "z")
    tmux.until(lambda text: "xyz" in text)  # and keys are echoed again


def test_two_panels_on_one_home(tmux: Any, fada: list[str], fresh_home: Home) -> None:
    command = " ".join([*fada, "--home", str(fresh_home.root)])
    tmux.start(160, 40, "sh", "-c", f"tmux split-window -h '{command}'; exec {command}")
    tmux.until(lambda text: text.count("Tier 1") == 1 and "42 models" in text)
    tmux._run("select-pane", "-L")
    tmux.until(lambda text: "42 models" in text)
    tmux.keys("G")
    tmux.until(lambda text: "[ ] 14 Moondream2" in text)
    tmux.keys("Space")
    tmux.until(lambda text: "[x] 14 Moondream2" in text)
    tmux._run("select-pane", "-R")
    tmux.keys("G")
    tmux.until(lambda text: "[x] 14 Moondream2" in text)


def test_a_suspended_panel_gives_the_shell_back_and_comes_back_whole(
    tmux: Any, fada: list[str], fresh_home: Home
) -> None:
    command = " ".join([*fada, "--home", str(fresh_home.root)])
    tmux.start(100, 30, "bash", "--norc", "-i")
    tmux.keys(command, "Enter")
    tmux.until(lambda text: "Tier 1" in text)
    tmux.keys("?")  # from any screen
    before = tmux.until(lambda text: "Right here, in" in text and "esc back" in text)  # its first and its last line
    tmux.keys("C-z")
    tmux.until(lambda text: "Stopped" in text)
    tmux.keys("clear; seq 1000", "Enter")
    tmux.until(lambda text: "\n999\n1000" in text)
    tmux.keys("clear; fg", "Enter")
    tmux.until(lambda text: text == before)
    tmux.keys("Escape")
    tmux.until(lambda text: "42 models" in text and "Tier 1" in text)


def test_where_no_shell_waits_nothing_is_suspended(tmux: Any, fada: list[str], fresh_home: Home) -> None:
    """Nobody could bring it back: of a panel that an SSH command has started the screen would be dead."""
    tmux.start(100, 30, *fada, "--home", str(fresh_home.root))
    tmux.until(lambda text: "Tier 1" in text)
    tmux.keys("C-z")
    tmux.until(lambda text: "No shell waits" in text)


def test_what_something_else_wrote_to_the_terminal_is_painted_over(
    tmux: Any, fada: list[str], fresh_home: Home
) -> None:
    tmux.start(100, 30, *fada, "--home", str(fresh_home.root))
    tmux.until(lambda text: "Tier 1" in text)
    with open(tmux._run("display-message", "-p", "#{pane_tty}").strip(), "w") as terminal:
        terminal.write("\x1b[5;5HBROADCAST MESSAGE\r\n")
    tmux.until(lambda text: "BROADCAST" in text)
    tmux.keys("C-l")
    tmux.until(lambda text: "BROADCAST" not in text and "Tier 1" in text)
