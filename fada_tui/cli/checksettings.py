"""The checks of `fada doctor` that look at what the user wrote into config.toml, and at the clipboard."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from fada_tui.cli.check import Check, made
from fada_tui.format import count


def settings_checks(config: Path) -> Iterator[Check]:
    """All of them."""
    yield from _hooks(config)
    yield from _panel(config)
    yield from _clipboard()


def _hooks(config: Path) -> Iterator[Check]:
    """Whether what config.toml says of alerts can be taken, and the user's commands are there."""
    from backends.telemetry.symptoms import read_wishes

    wishes = read_wishes(config)
    if wishes.problems:
        yield made("alerts", "warn", "; ".join(wishes.problems), f"mend {config}; until then the usual limits hold")
    for name, command in (("on_alert", wishes.on_alert), ("on_finish", wishes.on_finish)):
        if command is None:
            continue
        program = _program(command)
        if program is None or shutil.which(program) is not None:
            yield made(name, "ok", command)
        else:
            yield made(name, "missing", f"{command}: there is no command {program}", f"mend {name} in {config}")


def _panel(config: Path) -> Iterator[Check]:
    """Whether the theme, the keys and the rest of what config.toml says of the panel can be taken."""
    from fada_tui.config import read_config

    wishes = read_config(config)
    problems = list(wishes.problems)
    if wishes.keys:  # only these take the panel's own library
        from fada_tui.commands.keymap import with_keys
        from fada_tui.commands.table import TABLE

        problems += with_keys(TABLE, wishes.keys)[1]
    if problems:
        yield made("panel settings", "warn", "; ".join(problems), f"mend {config}; until then the rest of it holds")
    elif wishes.theme or wishes.keys:
        keys = count(len(wishes.keys), "key")
        yield made("panel settings", "ok", f"theme {wishes.theme or 'as the terminal'}, {keys} of your own")


def _clipboard() -> Iterator[Check]:
    """Whether tmux hands on what `y` copies."""
    if not os.environ.get("TMUX") or shutil.which("tmux") is None:
        return
    done = subprocess.run(
        ["tmux", "show-options", "-gqv", "set-clipboard"], capture_output=True, text=True, check=False
    )
    said = done.stdout.strip()
    if said == "on":
        yield made("copying", "ok", "tmux hands on what y copies (set-clipboard on)")
    elif said:
        hint = "in ~/.tmux.conf: set -s set-clipboard on"
        yield made("copying", "warn", f"tmux keeps back what y copies (set-clipboard {said})", hint)


def _program(command: str) -> str | None:
    """The program that a shell command begins with; None where that takes a shell to tell."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    first = next((word for word in words if not re.fullmatch(r"\w+=.*", word)), None)
    if first is None or re.search(r"[$`(){};|&<>]", first):
        return None
    builtins = (
        "echo",
        "printf",
        "test",
        "[",
        "cd",
        "exec",
        ".",
        "if",
        "for",
        "while",
        "case",
        ":",
        "true",
        "false",
        "{",
        "!",
    )
    return None if first in builtins else str(Path(first).expanduser())
