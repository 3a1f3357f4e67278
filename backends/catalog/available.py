"""Whether this machine can run an entry now, and if not, why."""

from __future__ import annotations

from importlib.util import find_spec

from backends.catalog.entry import Entry, Variant
from backends.catalog.hub import cached_snapshot, has_token, is_offline

ROUTES = ("transformers",)
"""The loaders that are always there; open_clip is where its package is."""

_BYTES_PER_PARAMETER = 2


def availability(
    entry: Entry, memory_total: int | None = None, variant: Variant | None = None
) -> tuple[bool, str | None]:
    """``(available, reason)``; the reason is None exactly where it is available.

    Args:
        memory_total: Bytes of the card, or of main memory where there is none; None leaves the size unchecked.
        variant: Which checkpoint of the row; without it a row of several counts by its smallest.
    """
    reason = no_route(entry) or _not_here(entry, memory_total, variant)
    return reason is None, reason


def no_route(entry: Entry) -> str | None:
    """Why no loader of this version runs it, whatever the machine; None where one does."""
    if not entry.runnable:
        return entry.reason or "it is marked as not runnable in catalog.toml"
    if entry.loader in ROUTES or (entry.loader == "open_clip" and find_spec("open_clip") is not None):
        return None
    needs = " with " + ", ".join(entry.requires) if entry.requires else ""
    return {
        "open_clip": "It needs open_clip, which is not installed: pip install 'fada-tui[contrastive]'.",
        "openai": "It is asked over the network: name its server with --server.",
        "environment": f"Its code needs an environment of its own{needs}, which this version cannot run.",
    }.get(entry.loader, "There is nothing to load.")


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
