"""Screens: the dashboard and what opens over it."""

from __future__ import annotations

PANE_ORDER = ("tracker", "queue", "gpu", "run")


def pane_number(pane: str) -> int:
    """The digit that focuses a pane."""
    return PANE_ORDER.index(pane) + 1
