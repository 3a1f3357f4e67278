"""Whether this machine can run an entry now, and if not, why."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from backends.catalog.entry import Entry, Variant
from backends.catalog.environments import RECORD, USER_FILE, load_recipes
from backends.catalog.errors import ModelError
from backends.catalog.hub import cached_snapshot, has_token, is_offline

ROUTES = ("transformers",)
"""The loaders that are always there; open_clip is where its package is."""

_BYTES_PER_PARAMETER = 2


def availability(
    entry: Entry, memory_total: int | None = None, variant: Variant | None = None, home: Path | None = None
) -> tuple[bool, str | None]:
    """``(available, reason)``; the reason is None exactly where it is available.

    Args:
        memory_total: Bytes of the card, or of main memory where there is none; None leaves the size unchecked.
        variant: Which checkpoint of the row; without it a row of several counts by its smallest.
        home: HOME, where environments of their own lie; None leaves unchecked whether one is made.
    """
    reason = no_route(entry, home) or _not_made(entry, home) or _not_here(entry, memory_total, variant)
    return reason is None, reason


def no_route(entry: Entry, home: Path | None = None) -> str | None:
    """Why no loader of this version runs it, whatever the machine; None where one does.

    Args:
        home: HOME, whose own recipes of environments count too.
    """
    if not entry.runnable:
        return entry.reason or "it is marked as not runnable in catalog.toml"
    if entry.loader in ROUTES or (entry.loader == "open_clip" and find_spec("open_clip") is not None):
        return None
    if entry.loader == "environment" and entry.environment:
        return _no_recipe(entry.environment, home)
    needs = " with " + ", ".join(entry.requires) if entry.requires else ""
    return {
        "open_clip": "It needs open_clip, which is not installed: pip install 'fada-tui[contrastive]'.",
        "openai": "It is asked over the network: name its server with --server.",
        "environment": f"Its code needs an environment of its own{needs}: name one in catalog.toml, or --environment.",
    }.get(entry.loader, "There is nothing to load.")


def _no_recipe(name: str, home: Path | None) -> str | None:
    try:
        known = load_recipes(home and home / USER_FILE)
    except ModelError as error:
        return f"{error.where or USER_FILE}: {error.message}"
    return None if name in known else f"It names the environment {name}, for which there is no recipe."


def _not_made(entry: Entry, home: Path | None) -> str | None:
    """Whether it is whole and as its recipe says is for the queue to look at."""
    if entry.loader != "environment" or home is None or (home / "envs" / str(entry.environment) / RECORD).is_file():
        return None
    return f"It runs in an environment of its own, which is not made: fada env create {entry.environment}"


def _not_here(entry: Entry, memory_total: int | None, variant: Variant | None) -> str | None:
    missing = [package for package in ("torch", "transformers") if find_spec(package) is None]
    if missing:
        return f"{' and '.join(missing)} not installed: pip install 'fada-tui[eval]'"
    choices = [variant] if variant else list(entry.variants)
    sizes = [choice.params_b for choice in choices if choice.params_b]
    params_b = entry.params_b or (min(sizes) if sizes else None)
    if memory_total is not None and params_b is not None:
        weights = params_b * 1e9 * _BYTES_PER_PARAMETER
        if weights > memory_total:
            return (
                f"Its weights take {weights / 2**30:.1f} GiB in 16 bits, this machine has {memory_total / 2**30:.1f}."
            )
    repos = [choice.repo for choice in choices] or ([entry.repo] if entry.repo else [])
    if any(cached_snapshot(repo) for repo in repos):
        return None
    if is_offline():
        return "It is not downloaded, and downloads are switched off (HF_HUB_OFFLINE)."
    if entry.gated and not has_token() and repos:
        return f"It is gated: accept its terms at huggingface.co/{repos[0]} and set HF_TOKEN (or `hf auth login`)."
    return None
