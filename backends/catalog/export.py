"""Which exports a model can be converted to, and why not to the others: from its configuration and a table."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from backends.catalog.entry import Entry
from backends.catalog.hub import cached_snapshot

TARGETS = ("merged", "gguf", "onnx")
SAID = {"merged": "merged", "gguf": "GGUF", "onnx": "ONNX"}
_TABLE = Path(__file__).with_name("export.toml")
_YES = "yes"


@dataclass(frozen=True)
class Route:
    """``why_not`` is None where it can be converted; ``ready`` is a hub id of the published model in that form."""

    to: str
    why_not: str | None
    ready: str | None = None
    note: str | None = None

    def words(self) -> str:
        """``GGUF: yes``, ``no GGUF: …``."""
        if self.why_not is None:
            return f"{SAID[self.to]}: yes" + (f"; {self.note}" if self.note else "")
        ready = f"; ready-made, of the published model: {self.ready}" if self.ready else ""
        return f"no {SAID[self.to]}: {self.why_not}{ready}"


def routes(source: str, entry: Entry | None = None) -> dict[str, Route]:
    """The routes of a model by target.

    Args:
        source: A checkpoint folder or a hub id; what is not on this machine is judged by the catalogue's word.
        entry: What the catalogue knows of it.
    """
    row = _row(source, entry)
    if row is None and entry is not None and entry.loader != "transformers":
        why = entry.reason or f"it is not loaded by transformers ({entry.architecture or entry.loader})"
        return {to: Route(to, why) for to in TARGETS}
    merged = None if entry is None or entry.loader == "transformers" else "transformers does not load it"
    found = {"merged": Route("merged", merged)}
    for to in ("gguf", "onnx"):
        told = str((row or {}).get(to) or "no route is known for this architecture")
        why_not = None if told == _YES else told
        ready = (row or {}).get("gguf_ready") if to == "gguf" else None
        found[to] = Route(to, why_not, ready, (row or {}).get("note") if to == "gguf" else None)
    return found


def _row(source: str, entry: Entry | None) -> Mapping[str, Any] | None:
    if entry is not None:
        named = next((row for row in _table() if row.get("name") == entry.name), None)
        if named is not None:
            return named
    config = _config(source)
    kind = config.get("model_type") or (entry.architecture if entry else None)
    vision = (config.get("vision_config") or {}).get("model_type")
    return next((row for row in _table() if row.get("type") == kind and row.get("vision") in (None, vision)), None)


def _config(source: str) -> dict[str, Any]:
    folder = Path(source) if Path(source).is_absolute() else cached_snapshot(source)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


@cache
def _table() -> tuple[Mapping[str, Any], ...]:
    return tuple(tomllib.loads(_TABLE.read_text(encoding="utf-8"))["route"])
