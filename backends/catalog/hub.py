"""What is on this machine of the Hugging Face hub, read from its cache folder without importing anything of it."""

from __future__ import annotations

import os
from pathlib import Path


def cached_snapshot(repo: str, revision: str | None = None) -> Path | None:
    """The folder of a downloaded checkpoint, None where it is not in the cache (or has no config.json)."""
    snapshot = snapshot_folder(repo, revision)
    return snapshot if (snapshot / "config.json").is_file() else None


def snapshot_folder(repo: str, revision: str | None = None) -> Path:
    """Where a model lies at a branch, tag or commit, whether it does or not; a branch as it was last fetched."""
    folder = repo_folder(repo)
    wanted = revision or "main"
    try:
        commit = (folder / "refs" / wanted).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        commit = wanted
    return folder / "snapshots" / commit


def repo_folder(repo: str) -> Path:
    """Where huggingface_hub keeps a model: ``blobs``, ``refs`` and ``snapshots`` in it."""
    return cache_folder() / f"models--{repo.replace('/', '--')}"


def list_of_files(repo: str, commit: str) -> Path:
    """Where it is written which files, of which sizes, a whole download of that commit consists of."""
    return repo_folder(repo) / "fada" / f"{commit}.json"


def cached_commit(repo: str, revision: str | None = None) -> str | None:
    """The commit that a branch stood for when it was last fetched; None where nothing of it is here."""
    folder = cached_snapshot(repo, revision)
    return folder.name if folder else None


def cache_folder() -> Path:
    """Where huggingface_hub keeps what it downloads, by its own environment variables."""
    given = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(given).expanduser() if given else _hub_home() / "hub"


def is_offline() -> bool:
    """Whether downloads are switched off."""
    return any(os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in _OFFLINE)


def has_token() -> bool:
    """Whether an access token is set up (it is not read)."""
    given = os.environ.get("HF_TOKEN_PATH")
    return bool(os.environ.get("HF_TOKEN")) or (Path(given) if given else _hub_home() / "token").is_file()


def endpoint() -> str:
    """Where the hub is asked: the public one, or a mirror."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def _hub_home() -> Path:
    given = os.environ.get("HF_HOME")
    if given:
        return Path(given).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "huggingface"
