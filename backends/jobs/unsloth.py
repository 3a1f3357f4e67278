"""Whether unsloth, asked for by name, can do a job here: checked before anything is queued. Light."""

from __future__ import annotations

from backends.catalog.unsloth import HINT, NO_CARD, not_for, packages_missing
from backends.jobs.engines.machine import capacity_of
from backends.jobs.errors import QueueError
from backends.telemetry.sampler import Sampler
from db.home import Home

LOADERS = ("auto", "unsloth")
"""What `fada eval --loader` takes; auto is what the catalogue says of the model."""


def loader_part(home: Home, loader: str, source: str, resolved: str, *, here: bool) -> dict[str, str]:
    """The key of a spec's ``model`` that differs from what the catalogue says; nothing for ``auto``.

    Args:
        resolved: The loader of the catalogue.
        here: The model is loaded on this machine, and not by a server.

    Raises:
        QueueError: There is no such loader, or unsloth cannot be used for this.
    """
    if loader not in LOADERS:
        raise QueueError(f"there is no loader {loader!r}", hint=f"known: {', '.join(LOADERS)}")
    if loader == "auto":
        return {}
    if not here:
        raise QueueError(f"--loader {loader}: a server loads its models in its own way", hint="leave --loader out")
    if resolved != "transformers":
        raise QueueError(f"--loader {loader}: this model is loaded by {resolved}", hint="leave --loader out")
    check(home, source, f"--loader {loader}", "leave --loader out: transformers asks it the same")
    return {"loader": "unsloth"}


def check_method(home: Home, method: str, source: str) -> None:
    """Refuse the method ``unsloth`` where it cannot train this model here; ``auto`` does without it.

    Raises:
        QueueError: Says what is missing.
    """
    if method == "unsloth":
        check(home, source, "method unsloth", "method=peft trains the same LoRA without it")


def check(home: Home, source: str, what: str, instead: str) -> None:
    """Refuse what cannot run here.

    Raises:
        QueueError: Says what is missing.
    """
    missing = packages_missing()
    if missing is not None:
        raise QueueError(f"{what}: {missing}", hint=f"{HINT}; or {instead}")
    why_not = not_for(source, by_name=True)
    if why_not is None and not _card(home):
        why_not = NO_CARD
    if why_not is not None:
        raise QueueError(f"{what}: {why_not}", hint=instead)


def _card(home: Home) -> bool:
    with Sampler(home) as sampler:
        return capacity_of(sampler.sample({})).memory == "VRAM"
