"""Which runs may be ranked together: those that were asked the same, in the same way, and scored alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_NOT_DECIDING = ("batch_size",)
"""Of the generation: what changes the speed and, but for rounding, no answer."""
_VERSIONS = ("torch", "transformers")


def deciding(kind: str, spec: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that decide whether two values measure the same, by name. What is not known is left out.

    Args:
        spec: The run's ``data``, ``prompt``, ``generation``, ``seed`` and ``device``.
        row: The stored score: its scorer, synonyms and embedding as loaded; of a perf run also what it ran on.
    """
    data, generation = spec.get("data") or {}, spec.get("generation") or {}
    parts: dict[str, Any] = {"data": data.get("sha256"), "limit": data.get("limit"), "prompt": spec.get("prompt")}
    parts |= {name: value for name, value in generation.items() if name not in _NOT_DECIDING}
    if data.get("limit") or generation.get("do_sample") or kind == "fetal-gauge":
        parts["seed"] = spec.get("seed")
    embedding = row.get("embedding")
    if isinstance(embedding, Mapping):
        # As it was loaded: the same name may stand for other weights.
        parts["embedding"] = f"{embedding.get('name')} {str(embedding.get('weights_sha256') or '')[:8]}".strip()
    parts |= {"scorer": row.get("scorer"), "synonyms": row.get("synonyms")}
    if kind == "perf":
        parts |= {name: row.get(name) for name in ("device", "batch_size", "dtype")}
    return {name: value for name, value in parts.items() if value is not None}


def minor(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What differs without deciding: versions and the batch."""
    versions, generation = spec.get("versions") or {}, spec.get("generation") or {}
    found = {name: versions.get(name) for name in _VERSIONS}
    if kind != "perf":
        found["batch"] = generation.get("batch_size")
    return {name: value for name, value in found.items() if value is not None}


class Alike:
    """A group that grows: a run joins where nothing that is known of both differs and the data are the same."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self.parts = dict(parts)

    def takes(self, parts: Mapping[str, Any], imported: bool) -> bool:
        """An imported run says little of how it was asked; with our own, what one lacks is a difference."""
        if parts.get("data") != self.parts.get("data"):
            return False
        if imported:
            return all(self.parts.get(name, value) == value for name, value in parts.items())
        return dict(parts) == self.parts


def differences(first: Mapping[str, Any], other: Mapping[str, Any], absent: str = "none") -> tuple[str, ...]:
    """In words, as "prompt A instead of B"; ``absent`` is the word for what the other does not have."""
    names = [*first, *(name for name in other if name not in first)]
    return tuple(
        f"{name.replace('_', ' ')} {word(other.get(name, absent))} instead of {word(first.get(name))}"
        for name in names
        if first.get(name) != other.get(name)
    )


def word(value: Any) -> str:
    text = "none" if value is None else str(value)
    if len(text) == 64 and all(letter in "0123456789abcdef" for letter in text):
        return text[:8]
    return text if len(text) <= 24 else f"{text[:23]}…"


def oddities(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Of each run of a group, what it has otherwise than most: ``torch 2.12.0``."""
    common: dict[str, Any] = {}
    for name in _names(runs):
        counts = Counter(run[name] for run in runs if name in run)
        if len(counts) > 1:
            common[name] = counts.most_common(1)[0][0]
    return [
        tuple(f"{name} {run[name]} (most: {most})" for name, most in common.items() if run.get(name, most) != most)
        for run in runs
    ]


def _names(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in run))
