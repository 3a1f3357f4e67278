"""Reading the catalogue: the shipped file, then the user's over it."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from backends.catalog.entry import LOADERS, UNSLOTH, Entry, Variant
from backends.catalog.errors import CatalogError

SHIPPED = Path(__file__).with_name("catalog.toml")
USER_FILE = "catalog.toml"
"""Its name in HOME."""
_LISTS = {
    "aliases": 'a list of texts: aliases = ["…", "…"]',
    "requires": 'a list of texts: requires = ["transformers==4.51.3"]',
    "variants": 'a list: variants = [{ name = "4B", repo = "ORG/NAME", params_b = 4.3 }]',
}
"""What those fields have to be that are lists."""


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
        seen: dict[str, str] = {}
        for place, row in _rows(user_file):
            key = _key(row["name"])
            if key in seen:
                raise CatalogError(
                    f"{row['name']} is there twice, see {seen[key]}", place.of("name"), "keep one of them"
                )
            seen[key] = place.of("name")
            entries[key] = _entry(row, place, entries.get(key))
    return Catalog(entries.values())


@cache
def _shipped() -> tuple[Entry, ...]:
    return tuple(_entry(row, place, None) for place, row in _rows(SHIPPED))


class _Place:
    """Where in a file one model stands: which line a field of it is on."""

    def __init__(self, path: Path, lines: list[str], start: int) -> None:
        self._path = path
        self._lines = lines
        self._start = start

    def of(self, key: str = "") -> str:
        """``file:line`` of the field, else of the model's first line."""
        for number, line in enumerate(self._lines[self._start + 1 :], self._start + 2):
            if line.lstrip().startswith("["):
                break
            if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line) and key:
                return f"{self._path}:{number}"
        return f"{self._path}:{self._start + 1}"


def _rows(path: Path) -> list[tuple[_Place, dict[str, Any]]]:
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        said = f"not readable as TOML: {error}"
        raise CatalogError(said, _line_of(path, error, text), "mend it, or move the file away") from error
    rows = document.get("model", [])
    lines = text.splitlines()
    heads = [at for at, line in enumerate(lines) if re.match(r"\s*\[\[\s*model\s*\]\]", line)]
    hint = 'write [[model]] and below it name = "…", once a model'
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CatalogError("`model` is no list of models", where=f"{path}:1", hint=hint)
    other = sorted(set(document) - {"model"})
    if other:
        raise CatalogError(f"unknown table {other[0]}", where=_Place(path, ["", *lines], 0).of(), hint=hint)
    # Written as [[model]] each head is one row; as an inline list all are on one line.
    places = [_Place(path, lines, heads[at] if len(heads) == len(rows) else 0) for at in range(len(rows))]
    for place, row in zip(places, rows, strict=True):
        if not isinstance(row.get("name"), str) or not row["name"].strip():
            raise CatalogError("every model needs a name", where=place.of("name"), hint=hint)
    return list(zip(places, rows, strict=True))


def _line_of(path: Path, error: Exception, text: str) -> str:
    """``file:line`` where the parser says one; a file that ends too early is wrong at its end."""
    said = re.search(r"line (\d+)", str(error))
    if said:
        return f"{path}:{said[1]}"
    return f"{path}:{text.count(chr(10)) + 1}" if "end of document" in str(error) else str(path)


def _entry(row: Mapping[str, Any], place: _Place, base: Entry | None) -> Entry:
    known = {field.name for field in fields(Entry)}
    unknown = sorted(set(row) - known)
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
        raise CatalogError(f"{row['name']}: unknown field {unknown[0]}", where=place.of(unknown[0]), hint=hint)
    given = {key: _value(key, value, place.of(key)) for key, value in row.items()}
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
        return tuple(_variant(item, where) for item in value)
    if key in ("aliases", "requires") and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if key == "loader" and value not in LOADERS:
        raise CatalogError(f"unknown loader {value!r}", where=where, hint=f"one of {', '.join(LOADERS)}")
    if key == "unsloth" and value not in UNSLOTH:
        raise CatalogError(f"unsloth cannot be {value!r}", where=where, hint=f"one of {', '.join(UNSLOTH)}")
    if key == "params_b":
        return _size(value, where)
    if key in _LISTS or not isinstance(value, bool if key in ("gated", "runnable") else str):
        hint = _LISTS.get(key) or ("true or false" if key in ("gated", "runnable") else f'write {key} = "…"')
        raise CatalogError(f"{key} cannot be {value!r}", where, hint)
    return value


def _size(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise CatalogError(f"params_b cannot be {value!r}", where, "billions of parameters, for instance 4.3")
    return float(value)


def _variant(item: Any, where: str) -> Variant:
    whole = isinstance(item, dict) and set(item) <= {"name", "repo", "params_b"}
    if not (whole and all(isinstance(item.get(key), str) and item[key] for key in ("name", "repo"))):
        raise CatalogError("a variant is { name, repo, params_b }", where, _LISTS["variants"])
    size = item.get("params_b")
    return Variant(item["name"], item["repo"], None if size is None else _size(size, where))


def _key(name: str) -> str:
    # As the tracker compares names: case, spaces, hyphens and underscores do not count.
    return re.sub(r"[\s_-]+", "", name).casefold()
