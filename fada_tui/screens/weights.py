"""Which checkpoints of a model are on this machine. Reads the disk: called in a worker thread, or by the command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fada_tui.format import size


@dataclass(frozen=True)
class Weights:
    """What of one checkpoint is on this machine: ``commit`` where all of it is. ``about``: bytes that it may have."""

    variant: str
    commit: str | None
    bytes: int
    about: int | None


def weights_text(one: Weights, by: str = "d") -> str:
    """``downloaded, revision 0123456789ab (15.4 GiB)``, ``not downloaded (about 15.4 GiB); d fetches it``."""
    if one.commit is not None:
        return f"downloaded, revision {one.commit[:12]} ({size(one.bytes)})"
    about = f"about {size(one.about)}" if one.about else "size not known"
    if one.bytes:
        return f"not all downloaded ({size(one.bytes)} of {about}); {by} fetches the rest"
    return f"not downloaded ({about}); {by} fetches it"


def weights(catalog: dict[str, Any] | None) -> tuple[Weights, ...]:
    """Of every checkpoint that comes from the hub; nothing of models on servers and of those without weights."""
    from backends.jobs.downloads import FETCHED, kept

    if catalog is None or catalog["loader"] not in FETCHED:
        return ()
    choices = [(one["name"], one["repo"], one.get("params_b")) for one in catalog["variants"]]
    found = []
    for variant, repo, params_b in choices or [("", catalog["repo"], catalog.get("params_b"))]:
        if repo and not repo.startswith(("/", "~", ".")):
            here = kept(repo)
            # Published in 16 bits, as nearly all are.
            found.append(Weights(variant, here.commit, here.bytes, int(params_b * 2e9) if params_b else None))
    return tuple(found)
