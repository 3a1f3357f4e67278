"""What was typed into forms that were left, for as long as the panel is open."""

from __future__ import annotations

from collections.abc import Hashable, MutableMapping
from typing import Any
from weakref import WeakKeyDictionary

from textual.app import App

Drafts = dict[Hashable, dict[str, str]]
_OF: MutableMapping[App[Any], Drafts] = WeakKeyDictionary()


def drafts_of(app: App[Any]) -> Drafts:
    """A form and what it is about, to the values that were left in its fields."""
    return _OF.setdefault(app, {})
