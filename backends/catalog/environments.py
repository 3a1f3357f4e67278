"""The recipes of environments that models of old code run in: the shipped file, then the user's over it. Light."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from backends.catalog.errors import ModelError

SHIPPED = Path(__file__).with_name("environments.toml")
USER_FILE = "environments.toml"
"""Its name in HOME."""
RECORD = "fada-environment.json"
"""In an environment's folder: written last, when all of it is there."""
SHARED = "shared"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")
_LISTS = ("requirements", "imports", "torch")


@dataclass(frozen=True)
class Recipe:
    """How one environment is made."""

    name: str
    requirements: tuple[str, ...]
    """Pinned, and installed as they are."""
    python: str = ""
    """Versions that its packages have wheels for: ``>=3.10,<3.13``."""
    torch: tuple[str, ...] = ()
    """Requirements of a torch of its own; none: the panel's is shared."""
    index: str | None = None
    """Where its own torch comes from."""
    imports: tuple[str, ...] = ("transformers",)
    seen: str = ""
    """What was tried of it; empty: nobody has."""

    @property
    def digest(self) -> str:
        """Hash of what decides what is installed."""
        decides = {key: value for key, value in asdict(self).items() if key not in ("imports", "seen")}
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def standing(self) -> str:
        """``seen`` or ``recipe``: whether anybody has made it."""
        return "seen" if self.seen else "recipe"

    def takes(self, version: tuple[int, int]) -> bool:
        """Whether it can be made with this Python."""
        return all(_holds(version, *one) for one in re.findall(r"(>=|<=|==|<|>)\s*(\d+)\.(\d+)", self.python))


def _holds(version: tuple[int, int], sign: str, major: str, minor: str) -> bool:
    other = (int(major), int(minor))
    return {
        ">=": version >= other,
        "<=": version <= other,
        "==": version == other,
        "<": version < other,
        ">": version > other,
    }[sign]


def load_recipes(user_file: Path | None = None) -> dict[str, Recipe]:
    """All recipes by name.

    Args:
        user_file: ``HOME/environments.toml``; it need not exist.

    Raises:
        ModelError: The user's file is none.
    """
    found = dict(_shipped())
    if user_file is not None and user_file.is_file():
        for row in _rows(user_file):
            base = found.get(str(row.get("name")))
            given = {**({} if base is None else asdict(base)), **row}
            recipe = _recipe(given, user_file)
            found[recipe.name] = recipe
    return found


def recipe_of(name: str, user_file: Path | None = None) -> Recipe:
    """The recipe of that name.

    Raises:
        ModelError: There is none.
    """
    recipes = load_recipes(user_file)
    if name not in recipes:
        raise ModelError(f"there is no environment {name!r}", hint=f"known: {', '.join(recipes)}")
    return recipes[name]


@cache
def _shipped() -> dict[str, Recipe]:
    recipes = (_recipe(row, SHIPPED) for row in _rows(SHIPPED))
    return {recipe.name: recipe for recipe in recipes}


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ModelError(f"not readable as TOML: {error}", str(path)) from error
    rows = document.get("environment", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ModelError(
            "`environment` is no list", str(path), 'write [[environment]] and below it name = "…", once each'
        )
    return rows


def _recipe(row: Mapping[str, Any], path: Path) -> Recipe:
    known = {field.name for field in fields(Recipe)}
    unknown = sorted(set(row) - known)
    if unknown:
        raise ModelError(f"unknown field {unknown[0]}", str(path), f"known: {', '.join(sorted(known))}")
    name = row.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ModelError(f"an environment cannot be called {name!r}", str(path), "letters, digits, dots and hyphens")
    given = dict(row)
    if given.get("torch") == SHARED:
        given["torch"] = ()
    for key in _LISTS:
        if key in given:
            given[key] = _words(given[key], key, name, path)
    for key in ("python", "seen"):
        if not isinstance(given.get(key, ""), str):
            raise ModelError(f"{name}: {key} cannot be {given[key]!r}", str(path))
    if not isinstance(given.get("index"), str | None):
        raise ModelError(f"{name}: index cannot be {given['index']!r}", str(path))
    if not given.get("requirements"):
        raise ModelError(f"{name}: no requirements", str(path), 'requirements = ["transformers==4.51.3"]')
    return Recipe(**given)


def _words(value: Any, key: str, name: str, path: Path) -> tuple[str, ...]:
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        words = tuple(value)
        # A word that starts with a hyphen would be an option of the installer.
        if all(isinstance(word, str) and word and not word.startswith("-") for word in words):
            return words
    raise ModelError(f"{name}: {key} is no list of texts", str(path))
