"""What the catalogue says of one model, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LOADERS = ("transformers", "open_clip", "openai", "environment", "none")
UNSLOTH = ("named", "generic", "no")


@dataclass(frozen=True)
class Variant:
    """One of several checkpoints behind one tracker row."""

    name: str
    repo: str
    params_b: float | None = None
    """Billions of parameters."""


@dataclass(frozen=True)
class Entry:
    """One model. ``repo`` is None where there is nothing to load, or where a variant has to be chosen."""

    name: str
    repo: str | None
    loader: str
    """One of :data:`LOADERS`."""
    architecture: str | None = None
    licence: str | None = None
    """A trailing ``?`` says that it was not confirmed at the source."""
    gated: bool | None = None
    params_b: float | None = None
    """Billions of parameters in all; None where not known, or where it depends on the variant."""
    variants: tuple[Variant, ...] = ()
    runnable: bool = True
    """A route is known on suitable hardware."""
    reason: str | None = None
    """Why it cannot run."""
    instead: str | None = None
    """The nearest model that can: a tracker name or a hub id."""
    aliases: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    """Versions reported to work, where it needs an environment of its own."""
    note: str | None = None
    unsloth: str | None = None
    """Whether unsloth trains it: one of :data:`UNSLOTH`."""
    environment: str | None = None
    """The virtual environment that it runs in; see backends.catalog.environments."""

    @property
    def needs_variant(self) -> bool:
        return self.repo is None and bool(self.variants)

    def to_dict(self, available: bool, reason: str | None) -> dict[str, Any]:
        """The ``catalog`` object of `fada model NAME --json`; see :func:`backends.catalog.available.availability`."""
        return {
            "repo": self.repo,
            "loader": self.loader,
            "architecture": self.architecture,
            "licence": self.licence,
            "variants": [
                {"name": variant.name, "repo": variant.repo, "params_b": variant.params_b} for variant in self.variants
            ],
            "runnable": self.runnable,
            "available": available,
            "reason": reason,
            "instead": self.instead,
            "gated": self.gated,
            "params_b": self.params_b,
            "requires": list(self.requires),
            "note": self.note,
            "unsloth": self.unsloth,
            "environment": self.environment,
        }
