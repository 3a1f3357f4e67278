"""What the catalogue says of a tracked model, as a document and as facts for people. Reads the disk."""

from __future__ import annotations

from typing import Any

from db.home import Home
from db.tracker.rows import Model

_FROM_HUB = ("transformers", "open_clip", "environment")
"""Loaders of checkpoints that the hub may ask consent for."""
_UNSLOTH = {
    "named": "trains it: it is in its own list of models",
    "generic": "should train it: a native architecture, but nothing names it",
    "no": "does not train it",
}


def catalogued(model: Model, home: Home, memory_total: int | None) -> dict[str, Any] | None:
    """The ``catalog`` of `fada model NAME --json`; None where the catalogue has no entry.

    Args:
        memory_total: Bytes of the card, or of main memory where there is none.
    """
    from backends.catalog.available import availability
    from backends.catalog.reader import USER_FILE, load_catalog
    from backends.jobs.remote_code import agreed_words

    catalog = load_catalog(home.root / USER_FILE)
    entry = next((found for name in (model.name, *model.aliases) if (found := catalog.find(name))), None)
    if entry is None:
        return None
    document = entry.to_dict(*availability(entry, memory_total, home=home.root))
    agreed = agreed_words(home, entry.repo, *(one.repo for one in entry.variants))
    return document | {"name": entry.name, "agreed": agreed}


def catalog_facts(catalog: dict[str, Any]) -> dict[str, str]:
    """Label to text, of what is known; whether it can run here is not among them."""
    size = f"{catalog['params_b']:g}B" if catalog.get("params_b") else None
    facts = {
        "repo": catalog["repo"],
        "loader": catalog["loader"],
        "architecture": catalog["architecture"],
        "licence": _licence(catalog["licence"]),
        "gated": _gate(catalog),
        "parameters": size,
        "sizes": ", ".join(map(_variant, catalog["variants"])),
        "worked with": ", ".join(catalog["requires"]),
        "environment": catalog["environment"],
        "agreed": catalog.get("agreed"),
        "unsloth": _UNSLOTH.get(str(catalog.get("unsloth"))),
        "note": catalog["note"],
    }
    return {name: text for name, text in facts.items() if text}


def _licence(text: str | None) -> str | None:
    return f"{text.removesuffix('?')} (commonly stated, not confirmed)" if text and text.endswith("?") else text


def _gate(catalog: dict[str, Any]) -> str | None:
    """Whether the hub asks for consent; nothing of what does not come from it."""
    if catalog["loader"] not in _FROM_HUB:
        return None
    words = {True: "yes: accept its terms on huggingface.co, then `hf auth login`", False: "no"}
    return words.get(catalog.get("gated"), "not known")  # type: ignore[arg-type]


def _variant(one: dict[str, Any]) -> str:
    size = f" ({one['params_b']:g}B)" if one.get("params_b") else ""
    return f"{one['name']} {one['repo']}{size}"
