"""What is on this machine of the Hugging Face hub, read from its cache folder without importing anything of it."""

from __future__ import annotations

import os
from pathlib import Path


def cached_snapshot(repo: str, revision: str | None = None) -> Path | None:
    """The folder of a downloaded checkpoint, None where it is not in the cache (or has no config.json)."""
    folder = cache_folder() / f"models--{repo.replace('/', '--')}"
    wanted = revision or "main"
    reference = folder / "refs" / wanted
    try:
        commit = reference.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        commit = wanted
    snapshot = folder / "snapshots" / commit
    return snapshot if (snapshot / "config.json").is_file() else None


def cache_folder() -> Path:
    """Where huggingface_hub keeps what it downloads, by its own environment variables."""
    given = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(given).expanduser() if given else _hub_home() / "hub"


def is_offline() -> bool:
    """Whether downloads are switched off."""
    return any(os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in _OFFLINE)


def has_token() -> bool:
    """Whether an access token is set up (it is not read)."""
    return bool(os.environ.get("HF_TOKEN")) or (_hub_home() / "token").is_file()


_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def _hub_home() -> Path:
    given = os.environ.get("HF_HOME")
    if given:
        return Path(given).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "huggingface"
