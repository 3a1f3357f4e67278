"""``[keys]`` of config.toml laid over the table: a key changes everywhere at once, in help and footer too."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from textual.binding import Binding
from textual.keys import Keys, key_to_character

from fada_tui.commands.command import Command

KEPT = ("ctrl+c", "ctrl+q")
"""They quit, whatever else is wrong."""
_NAMED = frozenset(key.value for key in Keys) | {"minus", "plus"}
_MODIFIERS = ("ctrl", "shift", "alt")

_Taken = dict[str, tuple[str, ...]]


def with_keys(table: Sequence[Command], wanted: Mapping[str, Sequence[str]]) -> tuple[tuple[Command, ...], list[str]]:
    """The table with the user's keys, and what of them could not be taken.

    A key of the user's goes before those of the table: who had it where the other works, has it no more.
    """
    by_id = {command.id: command for command in table}
    problems: list[str] = []
    taken: _Taken = {}
    for name, keys in wanted.items():
        if name not in by_id:
            near = difflib.get_close_matches(name, by_id, n=1)
            hint = f"did you mean {near[0]}?" if near else "README lists the names"
            problems.append(f"[keys] {name}: there is no such command; {hint}")
        elif (found := _checked(by_id[name], keys, taken, by_id, problems)) or not keys:
            taken[name] = found
    return tuple(_rekeyed(command, taken, by_id, problems) for command in table), problems


def _checked(
    command: Command, keys: Sequence[str], taken: _Taken, by_id: Mapping[str, Command], problems: list[str]
) -> tuple[str, ...]:
    good: list[str] = []
    for written in keys:
        key = textual_name(written)
        rival = next((name for name, held in taken.items() if key in held and command.meets(by_id[name])), None)
        if key is None:
            problems.append(f"[keys] {command.id} = {written!r}: no key is called that (x, X, ?, space, ctrl+x, f5 …)")
        elif key in KEPT:
            problems.append(f"[keys] {command.id} = {written!r}: {' and '.join(KEPT)} always quit")
        elif rival is not None:
            problems.append(f"[keys] {command.id} = {written!r}: that is {rival}'s already")
        else:
            good.append(key)
    return tuple(good)


def _rekeyed(command: Command, taken: _Taken, by_id: Mapping[str, Command], problems: list[str]) -> Command:
    if command.id in taken:
        return replace(command, keys=taken[command.id], shown="")
    takers = {
        key: name
        for name, keys in taken.items()
        for key in keys
        # Those that shared it from the beginning take turns at it.
        if key in command.keys and key not in by_id[name].keys and command.meets(by_id[name])
    }
    if not takers:
        return command
    left = tuple(key for key in command.keys if key not in takers)
    if not left:
        problems.append(f"[keys] {next(iter(takers.values()))} has the key of {command.id} now: give that another")
    return replace(command, keys=left, shown="")


def textual_name(written: str) -> str | None:
    """``?`` as ``question_mark``, ``Ctrl+X`` as ``ctrl+x``; None for what is no key."""
    if len(written) == 1:
        return next(iter(Binding.make_bindings([(written, "", "")]))).key if written.isprintable() else None
    *modifiers, name = written.strip().lower().split("+")
    if not name or any(one not in _MODIFIERS for one in modifiers):
        return None
    whole = "+".join((*modifiers, name))
    if len(name) == 1:
        return whole if modifiers and name.isprintable() else None
    # The signs have names too; a word that is some rare character's name is not meant.
    sign = key_to_character(name)
    return whole if name in _NAMED or whole in _NAMED or (sign is not None and sign.isascii()) else None
