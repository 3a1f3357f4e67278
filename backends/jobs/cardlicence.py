"""What a base's licence means for weights that were made from it, as far as its name says; no legal advice."""

from __future__ import annotations

from typing import Any

_HUB = {"apache-2.0": "apache-2.0", "mit": "mit", "cc by-nc 4.0": "cc-by-nc-4.0", "cc by-nc-nd 4.0": "cc-by-nc-nd-4.0"}
_HUB |= {"gemma terms": "gemma", "llama 3.2 community": "llama3.2"}
_FOLLOWS = (
    ("nc-nd", "No commercial use, and no derivatives may be passed on: these weights are one. Keep them to yourself."),
    ("by-nc", "Attribution, and no commercial use of these weights either."),
    ("research", "For research only; the base's terms hold for these weights too."),
    ("apache", "Keep the licence and its notices with these weights, and say that they were changed."),
    ("mit", "Keep the copyright notice and the licence text with these weights."),
    ("llama", 'Pass the licence on with these weights, show "Built with Llama", and begin their name with "Llama".'),
    ("gemma", "Pass Gemma's terms and its use restrictions on with these weights, and say that they were changed."),
    (
        "health ai",
        "Pass the terms of Health AI Developer Foundations on with these weights; no clinical use unchecked.",
    ),
)


def hub_licence(licence: str | None, repo: str | None) -> dict[str, Any]:
    """``license`` of the front matter: the hub's own identifier, else ``other`` with the name; none where unknown."""
    if not licence:
        return {}
    name = licence.rstrip("?")
    known = _HUB.get(name.casefold())
    if known and not licence.endswith("?"):
        return {"license": known}
    link = {"license_link": f"https://huggingface.co/{repo}"} if repo else {}
    return {"license": "other", "license_name": name.casefold().replace(" ", "-"), **link}


def follows_from(licence: str | None, repo: str | None) -> list[str]:
    """Lines of the card."""
    if not licence:
        return [
            "The licence of the base is not known here. Look it up before passing these weights on: it holds for them."
        ]
    name = licence.rstrip("?")
    lines = [f"The base is under: {name}. What it asks of the base it asks of these weights."]
    found = next((text for word, text in _FOLLOWS if word in name.casefold()), None)
    if found:
        lines.append(found)
    if licence.endswith("?") or found is None:
        where = f"https://huggingface.co/{repo}" if repo else "where the base comes from"
        lines.append(f"Read the terms before passing them on, here they are known by name only: {where}")
    lines.append("The training data have terms of their own.")
    return lines
