"""A HOME that cannot be written: looking works, changing says why not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.home import Home
from fada_tui.cli import run

Fada = Callable[..., tuple[int, Any, str]]

# As root nothing but a read-only mount keeps from writing; it lives in a mount namespace of its own.
_MOUNT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


@pytest.fixture
def fada(panel_home: Home, capsys: pytest.CaptureFixture[str]) -> Fada:
    """``fada("jobs")`` on a HOME with one finished run, which then cannot be written."""
    assert run(["--home", str(panel_home.root), "run", "--wait", "--", sys.executable, "-c", "print('hello')"]) == 0
    capsys.readouterr()
    root = str(panel_home.root)
    before: list[str] = []
    if os.getuid() == 0:
        before = ["unshare", "--mount", "sh", "-c", _MOUNT, root]
        if (
            not shutil.which("unshare")
            or subprocess.run([*before, "true"], capture_output=True, check=False).returncode
        ):
            pytest.skip("a read-only mount cannot be made here")
    else:
        panel_home.root.chmod(0o500)

    def call(*words: str) -> tuple[int, Any, str]:
        command = [*before, sys.executable, "-P", "-m", "fada_tui", "--home", root, "--json", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout), done.stderr

    return call


@pytest.fixture(autouse=True)
def _writable_again(panel_home: Home) -> Any:
    yield
    panel_home.root.chmod(0o700)


def test_looking_works(fada: Fada, tmp_path: Path) -> None:
    assert len(fada("models")[1]) == 42
    status, jobs, said = fada("jobs")
    assert (status, jobs[0]["state"], said) == (0, "done", "")
    assert fada("job", "1")[1]["spec"]["kind"] == "run"
    assert fada("log", "1")[1]["log"] == "hello\n"
    for verb in ("items", "scores", "where", "doctor"):
        assert fada(verb)[0] == 0, verb


def test_changing_says_why_not(fada: Fada) -> None:
    for words in (
        ("done", "1"),
        ("status", "Qwen2-VL-2B", "Tested"),
        ("cancel", "1"),
        ("retry", "1"),
        ("rm", "1"),
        ("run", "--", "true"),
        ("reindex",),
    ):
        status, document, _ = fada(*words)
        assert status == 2, words
        assert "writ" in document["error"]["message"] and document["error"]["hint"], words
    assert [job["id"] for job in fada("jobs")[1]] == [1]
