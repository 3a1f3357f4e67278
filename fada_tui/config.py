"""``[panel]`` and ``[keys]`` of HOME's config.toml: read as far as they can be, and the one thing that is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fada_tui.widgets.palettes import PALETTES

IMAGES = ("auto", "half", "off")


@dataclass(frozen=True)
class PanelConfig:
    """What the user wants of the panel.

    Args:
        theme: One of :data:`PALETTES`; None where nothing is said.
        images: One of :data:`IMAGES`.
        mouse: Whether the terminal is asked to report the mouse.
        keys: Keys by the id of their command, as they were written.
        problems: What could not be taken, each as a sentence.
    """

    theme: str | None = None
    images: str = "auto"
    mouse: bool = True
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


class ConfigError(Exception):
    """config.toml cannot be changed."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = "mend the file, then choose again; until the panel closes it stays as you see it"


def read_config(path: Path) -> PanelConfig:
    """What the file says; what is wrong in it is left as it would be without, and told."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return PanelConfig()
    except (OSError, UnicodeDecodeError) as error:
        return PanelConfig(problems=(f"it cannot be read: {error}",))
    import tomllib  # where there is nothing to read the panel need not wait for it

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return PanelConfig(problems=(f"it cannot be read: {error}",))
    problems: list[str] = []
    panel = _table(document, "panel", problems)
    problems += [f"[panel] {name} is not known" for name in panel if name not in ("theme", "images", "mouse", "diff")]
    theme = _one_of(panel, "theme", tuple(PALETTES), problems)
    images = _one_of(panel, "images", IMAGES, problems) or "auto"
    mouse = _yes_no(panel, "mouse", True, problems)
    _yes_no(panel, "diff", True, problems)  # read where cells are drawn, told here
    keys = _keys(_table(document, "keys", problems), problems)
    return PanelConfig(theme, images, mouse, keys, tuple(problems))


def _table(document: Mapping[str, Any], name: str, problems: list[str]) -> Mapping[str, Any]:
    table = document.get(name, {})
    if isinstance(table, dict):
        return table
    problems.append(f"{name} is no table: write [{name}]")
    return {}


def _one_of(table: Mapping[str, Any], name: str, known: tuple[str, ...], problems: list[str]) -> str | None:
    value = table.get(name)
    if value is None or value in known:
        return value
    problems.append(f"[panel] {name} = {value!r}: one of {', '.join(known)}")
    return None


def _yes_no(table: Mapping[str, Any], name: str, usual: bool, problems: list[str]) -> bool:
    value = table.get(name, usual)
    if isinstance(value, bool):
        return value
    problems.append(f"[panel] {name} is true or false")
    return usual


def _keys(table: Mapping[str, Any], problems: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for command, value in table.items():
        keys = [value] if isinstance(value, str) else value
        if isinstance(keys, list) and all(isinstance(key, str) for key in keys):
            found[command] = tuple(key for key in keys if key)
        else:
            problems.append(f"[keys] {command} = {value!r}: a key in quotes, or a list of them")
    return found


def remember_theme(path: Path, theme: str) -> None:
    """Write ``[panel] theme``; everything else in the file stays as it is, comments included.

    Raises:
        ConfigError: The file cannot be read or written, or is no TOML: then it is left alone.
    """

    def change(document: Any) -> None:
        import tomlkit

        if not isinstance(document.get("panel"), dict):
            document["panel"] = tomlkit.table()
        document["panel"]["theme"] = theme

    _edit(path, change)


def _edit(path: Path, change: Callable[[Any], None]) -> None:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8") if path.exists() else "")
        change(document)
        # Beside it first: a full disk must not leave half of the user's file. What a link leads to is what is meant.
        target = path.resolve()
        fresh = target.with_name(f"{target.name}.new")
        fresh.write_text(tomlkit.dumps(document), encoding="utf-8")
        fresh.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o600)
        fresh.replace(target)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise ConfigError(getattr(error, "strerror", None) or str(error), str(path)) from error
