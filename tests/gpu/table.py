"""Writes docs/gpu.md: what the tests have seen on a card, with versions, or that they have not run on one.

    python -P tests/gpu/table.py DOCUMENT [SEEN]

SEEN is the folder that the tests left (``FADA_GPU_SEEN``). `make docs-gpu` runs both.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.gpu.seen import read

Seen = Mapping[str, Mapping[str, Mapping[str, Any]]]
MACHINE = "machine"
"""The part that holds the card, its driver and the versions of the packages."""

BEGIN = """# On an NVIDIA card: what has been seen

Written by `make docs-gpu` from what the tests in `tests/gpu` saw on a card; not edited by hand.
"""
NOT_RUN = """
**Not yet run on a card.** Every test in `tests/gpu` is skipped, aloud, on a machine without one. What stands behind
them was tried without a card as far as that goes:

- the loaders, in 32 and 16 bits, on the CPU, for each architecture of [models.md](models.md);
- the telemetry, against a stand-in for NVIDIA's library;
- unsloth 2026.10.9, by its own switch for machines without a device: its loading, its patched forward, LoRA, answers
  during training and the saved adapter, on tiny checkpoints. Its Triton kernels, its compiler, 8- and 4-bit loading
  and its offloading of activations were not run.

On a machine with a card: `make setup`, then `make docs-gpu`.
"""


def document(seen: Seen) -> str:
    """The page."""
    if not seen:
        return BEGIN + NOT_RUN
    parts = [BEGIN, _machine(seen.get(MACHINE, {}))]
    parts += [_part(name, rows) for name, rows in sorted(seen.items()) if name != MACHINE]
    return "\n".join(parts)


def _machine(rows: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [f"- {what}: {_figures(figures)}" for what, figures in sorted(rows.items())]
    return "\n".join(lines or ["- the machine was not recorded"]) + "\n"


def _part(name: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for figures in rows.values() for key in figures))
    head = _line(name, *columns) + _line(*["---"] * (1 + len(columns)))
    body = [_line(what, *(str(figures.get(key, "-")) for key in columns)) for what, figures in sorted(rows.items())]
    return f"## {name}\n\n{head}{''.join(body)}"


def _figures(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in figures.items())


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |\n"


def main() -> None:
    target, *source = map(Path, sys.argv[1:])
    seen = read(source[0]) if source else {}
    if source and not seen:
        raise SystemExit(f"{source[0]}: nothing was recorded: the tests found no card, or none passed")
    target.parent.mkdir(exist_ok=True)
    target.write_text(document(seen), encoding="utf-8")
    print(f"{target}: {sum(map(len, seen.values()))} rows")


if __name__ == "__main__":
    main()
