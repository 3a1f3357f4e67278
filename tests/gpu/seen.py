"""What the tests on a card have seen, for docs/gpu.md: one JSON file a row.

Nothing is written unless ``FADA_GPU_SEEN`` names a folder (`make docs-gpu` sets it).
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

FOLDER = "FADA_GPU_SEEN"


def record(part: str, what: str, **figures: Any) -> None:
    """Note that ``what`` was seen; called after a test's last assertion.

    Args:
        part: The heading under which it stands.
        figures: What was measured, by name; they are shown in this order.
    """
    if folder := os.environ.get(FOLDER):
        Path(folder).mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^\w.-]+", "-", f"{part}.{what}")
        document = {"part": part, "what": what, "figures": figures}
        (Path(folder) / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")


def read(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """``{part: {what: figures}}`` of all that was recorded in ``folder``."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(document["part"], {})[document["what"]] = document["figures"]
    return found
