"""What the tests have seen, for the table in docs/models.md: one JSON file an architecture and check.

Nothing is written unless ``FADA_CONFORMANCE`` names a folder (`make docs` sets it), so that a plain run leaves no files.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

FOLDER = "FADA_CONFORMANCE"
ENVIRONMENTS = "environments"
COLUMNS = ("loads", "asks", "batches", "fine-tunes", "exports", "estimated")


def record(architecture: str, column: str, how: str) -> None:
    """Note that ``architecture`` passed a check; called after its last assertion.

    Args:
        column: One of :data:`COLUMNS`.
        how: What was seen, in a word or two: ``fp32``, ``4-bit``, ``LoRA``, ``merged``.
    """
    if column not in COLUMNS:
        raise ValueError(f"no column {column!r}; there are {', '.join(COLUMNS)}")
    if folder := os.environ.get(FOLDER):
        Path(folder).mkdir(parents=True, exist_ok=True)
        document = {"architecture": architecture, "column": column, "how": how}
        name = f"{architecture}.{column}.{how}.json".replace("/", "-").replace(" ", "-")
        (Path(folder) / name).write_text(json.dumps(document), encoding="utf-8")


def record_environment(name: str, how: str) -> None:
    """Note what was done with an environment of its own; called after the last assertion.

    Args:
        how: What was seen, as a sentence's part: ``made over torch 2.13.0: transformers 4.51.3``.
    """
    if folder := os.environ.get(FOLDER):
        place = Path(folder) / ENVIRONMENTS
        place.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(how.encode()).hexdigest()[:8]
        (place / f"{name}.{digest}.json").write_text(json.dumps({"name": name, "how": how}), encoding="utf-8")


def read_environments(folder: Path) -> dict[str, list[str]]:
    """``{environment: [how, …]}`` of all that was recorded in ``folder``."""
    found: dict[str, list[str]] = {}
    for path in sorted((folder / ENVIRONMENTS).glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(document["name"], []).append(document["how"])
    return {name: sorted(hows) for name, hows in found.items()}


def read(folder: Path) -> dict[str, dict[str, list[str]]]:
    """``{architecture: {column: [how, …]}}`` of all that was recorded in ``folder``."""
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(document["architecture"], {}).setdefault(document["column"], []).append(document["how"])
    return found
