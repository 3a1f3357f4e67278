"""Whether unsloth can be used here, and for which models: from metadata alone, nothing of it is imported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from backends.catalog.hub import cached_snapshot
from backends.catalog.reader import load_catalog

HINT = "pip install 'fada-tui[gpu]', or `make setup` on a machine with a card"
NO_CARD = "there is no CUDA card here"
_NEEDED = ("unsloth", "unsloth_zoo", "bitsandbytes", "triton", "trl", "peft", "datasets")
"""Without bitsandbytes and triton it is imported, and then loads no vision model, not in 16 bits either."""
_WINDOW = ("torch", "transformers", "trl", "peft", "datasets", "bitsandbytes", "triton")
_SEVERAL_TOWERS = ("llava",)
"""Model types that stand for quite different models: that one of them is named says nothing of the others."""


def packages_missing() -> str | None:
    """What is not installed, or in a version that unsloth's own metadata rule out; None where all is well."""
    absent = [name for name in _NEEDED if find_spec(name) is None]
    if absent:
        are = "is" if len(absent) == 1 else "are"
        return f"{', '.join(absent)} {are} not installed"
    return next(_outside(), None)


def _outside() -> Iterator[str]:
    from packaging.requirements import Requirement

    for line in metadata.requires("unsloth") or []:
        wanted = Requirement(line)
        name = wanted.name.lower().replace("_", "-")
        if name not in (*_WINDOW, "unsloth-zoo") or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield f"{name} is not installed"
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            yield f"unsloth {metadata.version('unsloth')} wants {name} {wanted.specifier}, and {found} is installed"


def support(source: str) -> str:
    """Of a checkpoint folder or hub id: ``named``, ``generic`` or ``no``; see ``unsloth`` in catalog.toml."""
    entry = load_catalog().find(source)
    if entry is not None and (entry.unsloth or entry.loader != "transformers"):
        return entry.unsloth or "no"
    return "named" if _model_type(source) in _named_types() else "generic"


def not_for(source: str, *, by_name: bool) -> str | None:
    """Why it is not taken for this model; None where it is.

    Args:
        by_name: A person asked for it: then a model that it only takes by its general rule will do.
    """
    found = support(source)
    if found == "no":
        return "it has no support for this model"
    if found == "generic" and not by_name:
        return "its makers do not name this model (ask for it with method=unsloth to try)"
    return None


@cache
def _named_types() -> frozenset[str]:
    found = {entry.architecture for entry in load_catalog().entries if entry.unsloth == "named" and entry.architecture}
    return frozenset(found - set(_SEVERAL_TOWERS))


def _model_type(source: str) -> str | None:
    folder = Path(source) if Path(source).is_absolute() else cached_snapshot(source)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError):
        return None
    found = config.get("model_type") if isinstance(config, dict) else None
    return found if isinstance(found, str) and re.fullmatch(r"\w+", found) else None
