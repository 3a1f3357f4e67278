"""Named sets of training settings: those that came with the program, and one's own in ``presets.toml`` in HOME."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.jobs.errors import QueueError
from backends.jobs.precision import PRECISIONS
from backends.jobs.settings import SettingError, check_settings
from db.atomic import replace_file
from db.home import Home

FILE = "presets.toml"
SHIPPED = Path(__file__).with_name(FILE)
NAME_LENGTH = 60
_HEADER = re.compile(r"\s*\[")


@dataclass(frozen=True)
class Preset:
    """``settings`` by full name, checked; ``precision`` is None where the preset does not say."""

    name: str
    settings: Mapping[str, Any]
    precision: str | None
    own: bool
    """From HOME, not shipped."""


def read_presets(home: Home) -> dict[str, Preset]:
    """All presets by name: the shipped ones, then one's own, which replace those of the same name.

    Raises:
        QueueError: One's own file is wrong; line and key are named.
    """
    return _read(SHIPPED, own=False) | _read(home.root / FILE, own=True)


def find_preset(home: Home, name: str) -> Preset:
    """One of them; capitals do not matter.

    Raises:
        QueueError: There is none of that name, or the file is wrong.
    """
    known = read_presets(home)
    found = known.get(name) or next((one for one in known.values() if one.name.casefold() == name.casefold()), None)
    if found is None:
        raise QueueError(f"there is no preset {name!r}", hint="known: " + ", ".join(known))
    return found


def save_preset(home: Home, name: str, settings: Mapping[str, Any], precision: str | None = None) -> Path:
    """Write one preset into HOME's file; everything else in it, comments too, stays as it is.

    Raises:
        QueueError: The name or a value is no good, or the file as it is cannot be read; nothing was written.
    """
    name = name.strip()
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise QueueError(f"{name!r} is no name for a preset", hint=f"write up to {NAME_LENGTH} characters")
    wanted: dict[str, Any] = dict(_checked(settings))
    if precision is not None:
        wanted["precision"] = precision
    if not wanted:
        raise QueueError("no setting differs from the defaults: there is nothing to keep")
    path = home.root / FILE
    _read(path, own=True)  # a file with a mistake is mended first, by hand
    text = _text(path)
    before = _document(path, text)
    after = _with_table(text, name, _table(name, wanted))
    made = _document(path, after)
    if _others(made, name) != _others(before, name) or name not in made:
        raise QueueError("the preset cannot be put into this file without a change to others", str(path),
                         "write it into the file by hand")  # fmt: skip
    replace_file(path, after.encode("utf-8"))
    return path


def _read(path: Path, *, own: bool) -> dict[str, Preset]:
    text = _text(path)
    found = {}
    for name, table in _document(path, text).items():
        if not isinstance(table, Mapping):
            raise QueueError(f"{name} stands in no preset", _place(path, text, None, name),
                             'write it below a line ["NAME"]')  # fmt: skip
        flat = _flat(table)
        precision = flat.pop("precision", None)
        if precision is not None and precision not in PRECISIONS:
            words = f"preset {name!r}: there is no precision {precision!r}"
            raise QueueError(words, _place(path, text, name, "precision"), f"known: {', '.join(PRECISIONS)}")
        settings: dict[str, Any] = {}
        for key, value in flat.items():
            try:
                settings |= check_settings({key: value})
            except SettingError as error:
                where = _place(path, text, name, key)
                raise QueueError(f"preset {name!r}, {key}: {error}", where, "mend the line, or take it out") from None
        found[name] = Preset(name, settings, precision, own)
    return found


def _checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {name: value for name, value in check_settings(settings).items() if value is not None}
    except SettingError as error:
        raise QueueError(str(error)) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise QueueError(f"the presets cannot be read: {error.strerror}", str(path)) from error
    except UnicodeDecodeError as error:
        raise QueueError("the presets are no UTF-8 text", str(path), "save the file as UTF-8") from error


def _document(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        number = int(line[1]) if line else text.count("\n") + 1
        written = text.split("\n")[number - 1].strip() if text else ""
        raise QueueError(f"no TOML: {error}", f"{path}:{number}", f"the line is: {written}"[:200]) from error


def _flat(table: Mapping[str, Any], under: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{under}{key}.") if isinstance(value, Mapping) else {f"{under}{key}": value}
    return flat


def _others(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}


def _header_of(line: str) -> tuple[str, ...] | None:
    """Names in a table's header, the outermost first; None for any other line."""
    if not _HEADER.match(line):
        return None
    try:
        found: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    names = []
    while isinstance(found, dict) and len(found) == 1:
        ((key, found),) = found.items()
        names.append(key)
    return tuple(names)


def _place(path: Path, text: str, preset: str | None, key: str) -> str:
    """``file:line`` of a key, as far as it is found."""
    here: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        header = _header_of(line)
        if header is not None:
            here = header
        elif (here[:1] or (None,)) == (preset,) and "=" in line:
            try:
                keys = _flat(tomllib.loads(line))
            except tomllib.TOMLDecodeError:
                keys = {line.partition("=")[0].strip().strip("\"'"): None}
            if key in {".".join((*here[1:], one)) for one in keys}:
                return f"{path}:{number}"
    return str(path)


def _with_table(text: str, name: str, table: str) -> str:
    """The text with this table in place of the one of that name, else at its end."""
    lines = text.split("\n")
    starts = [at for at, line in enumerate(lines) if (_header_of(line) or ("",))[0] == name]
    if not starts:
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        return text + gap + table
    kept: list[str] = []
    at, written = 0, False
    while at < len(lines):
        if at not in starts:
            kept.append(lines[at])
            at += 1
            continue
        end = next((n for n in range(at + 1, len(lines)) if _header_of(lines[n]) is not None), len(lines))
        # Comments and empty lines before the next table belong to that.
        tail = end
        while tail > at + 1 and (not lines[tail - 1].strip() or lines[tail - 1].lstrip().startswith("#")):
            tail -= 1
        kept += [] if written else table.rstrip("\n").split("\n")
        kept += lines[tail:end]
        at, written = end, True
    return "\n".join(kept)


def _table(name: str, values: Mapping[str, Any]) -> str:
    return f"[{_quoted(name)}]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in values.items())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_quoted(str(one)) for one in value) + "]"
    return _quoted(value) if isinstance(value, str) else repr(value)
