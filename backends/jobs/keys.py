"""The key of a server: from HOME/secrets.env (mode 0600) or the environment, read when the job that needs it starts.

It is never part of a spec, an event, a log or an error's text.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from backends.jobs.errors import QueueError
from db.home import Home

TOKENS = ("HF_TOKEN", "HF_TOKEN_PATH")
"""Variables that give access to gated and private models of the Hugging Face hub."""


def check_key(home: Home, name: str | None) -> None:
    """That there is a place where the key may be, before anything is queued; no key is read.

    Raises:
        QueueError: There is none, or others can read secrets.env.
    """
    if name is None:
        return
    if home.secrets.exists():
        _check_mode(home.secrets)
    elif not os.environ.get(name):
        raise QueueError(f"the key {name} is not set", str(home.secrets), _hint(home, name))


def take_key(home: Home, name: str | None, environment: MutableMapping[str, str]) -> str | None:
    """The key, secrets.env before the environment, from which it is removed; None where the server needs none.

    Raises:
        QueueError: It is not there, others can read the file, or it holds characters that no key has.
    """
    if name is None:
        return None
    given = environment.pop(name, None)
    if home.secrets.exists():
        _check_mode(home.secrets)
        given = _read(home.secrets).get(name) or given
    if not given:
        raise QueueError(f"the key {name} is not set", str(home.secrets), _hint(home, name))
    if not all("!" <= character <= "~" for character in given):
        raise QueueError(f"the key {name} holds characters that no key has (a space or a line end?)", str(home.secrets))
    return given


def hub_token(home: Home) -> str | None:
    """The token for the Hugging Face hub in secrets.env; None: the library looks where it always does.

    Raises:
        QueueError: Others can read the file, or a line of it is none.
    """
    if not home.secrets.exists():
        return None
    _check_mode(home.secrets)
    return _read(home.secrets).get("HF_TOKEN") or None


def hub_variables(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The variables that the worker of a job needs besides those in its spec, to fetch a model from the hub."""
    model = spec.get("model") or {}
    source = str(model.get("source") or "")
    fetches = bool(source) and not source.startswith("/") and not spec.get("server")
    return TOKENS if fetches or spec.get("task") == "download" else ()


def _hint(home: Home, name: str) -> str:
    return (
        f"write {name}=… into {home.secrets} (chmod 600), or set it in the shell from which the queue is first started"
    )


def _check_mode(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid != os.getuid():
        raise QueueError("others may read this file", str(path), f"chmod 600 {path} (and it must be yours)")


def _read(path: Path) -> dict[str, str]:
    """Lines ``NAME=value``, also with ``export`` and quotes; nothing is expanded.

    Raises:
        QueueError: A line is none of these; only its number is told.
    """
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            raise QueueError("no NAME=value", f"{path}:{number}", "write one a line")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[name.strip()] = value
    return found
