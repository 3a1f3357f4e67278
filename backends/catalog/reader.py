"""Reading the catalogue: the shipped file, then the user's over it."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from backends.catalog.entry import LOADERS, Entry, Variant

SHIPPED = Path(__file__).with_name("catalog.toml")
USER_FILE = "catalog.toml"
"""Its name in HOME."""


class CatalogError(Exception):
    """A catalogue file cannot be used.

    Args:
        message: What is wrong with it.
        where: The file, with the line where it is known.
        hint: What to do.
    """

    def __init__(self, message: str, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint


class Catalog:
    """All entries, in the file's order; found by name, alias, repo, or ``name:variant``."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries: tuple[Entry, ...] = tuple(entries)
        self._index: dict[str, tuple[Entry, Variant | None]] = {}
        for entry in self.entries:
            for variant in entry.variants:
                for name in (f"{entry.name}:{variant.name}", f"{entry.name}-{variant.name}", variant.repo):
                    self._index.setdefault(_key(name), (entry, variant))
            names = [entry.name, *entry.aliases, *([entry.repo] if entry.repo else [])]
            self._index.update((_key(name), (entry, None)) for name in names)

    def find(self, name: str) -> Entry | None:
        """The entry of a tracker name, alias, repo or ``name:variant``; case does not matter."""
        found = self.lookup(name)
        return found[0] if found else None

    def lookup(self, name: str) -> tuple[Entry, Variant | None] | None:
        """As :meth:`find`, with the variant that the name chose (None where it chose none)."""
        return self._index.get(_key(name))

    def nearest(self, name: str, limit: int = 3) -> list[str]:
        """Entry names that look like ``name``."""
        names = {_key(entry.name): entry.name for entry in self.entries}
        close = difflib.get_close_matches(_key(name), names, n=limit, cutoff=0.5)
        return [names[key] for key in close]


def load_catalog(user_file: Path | None = None) -> Catalog:
    """The shipped catalogue with the user's file over it, where there is one.

    Args:
        user_file: ``HOME/catalog.toml``: a ``[[model]]`` with a known name overrides the fields it gives, another
            one is added. It need not exist.

    Raises:
        CatalogError: The user's file is no catalogue.
    """
    entries = {_key(entry.name): entry for entry in _shipped()}
    if user_file is not None and user_file.is_file():
        for row in _rows(user_file):
            key = _key(row["name"])
            entries[key] = _entry(row, user_file, entries.get(key))
    return Catalog(entries.values())


@cache
def _shipped() -> tuple[Entry, ...]:
    return tuple(_entry(row, SHIPPED, None) for row in _rows(SHIPPED))


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise CatalogError(f"not readable as TOML: {error}", where=str(path)) from error
    rows = document.get("model", [])
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("name"), str) for row in rows
    ):
        raise CatalogError(
            "every model needs a name", where=str(path), hint='write [[model]] and below it name = "…", once a model'
        )
    return rows


def _entry(row: Mapping[str, Any], path: Path, base: Entry | None) -> Entry:
    known = {field.name for field in fields(Entry)}
    where = f"{path}: model {row['name']}"
    unknown = sorted(set(row) - known)
    if unknown:
        raise CatalogError(f"unknown field {unknown[0]}", where=where, hint=f"known: {', '.join(sorted(known))}")
    given = {key: _value(key, value, where) for key, value in row.items()}
    if base is None:
        base = Entry(row["name"], None, "transformers")
    elif "repo" in given:
        # A checkpoint of one's own takes the row's place: what was said of the old one no longer stands.
        base = Entry(base.name, None, "transformers", aliases=base.aliases)
    return replace(base, **given | {"name": base.name})


def _value(key: str, value: Any, where: str) -> Any:
    """The value as the dataclass has it.

    Raises:
        CatalogError: It is of another type than the field.
    """
    if key == "variants" and isinstance(value, list):
        try:
            return tuple(Variant(**item) for item in value)
        except TypeError as error:
            raise CatalogError(f"a variant is {{ name, repo, params_b }}: {error}", where=where) from error
    if key in ("aliases", "requires") and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if key == "loader" and value not in LOADERS:
        raise CatalogError(f"unknown loader {value!r}", where=where, hint=f"one of {', '.join(LOADERS)}")
    fits = {"gated": bool, "runnable": bool, "params_b": int | float}.get(key, str)
    if key in ("variants", "aliases", "requires") or not isinstance(value, fits):
        raise CatalogError(f"{key} cannot be {value!r}", where=where)
    return float(value) if key == "params_b" else value


def _key(name: str) -> str:
    # As the tracker compares names: case, spaces, hyphens and underscores do not count.
    return re.sub(r"[\s_-]+", "", name).casefold()
