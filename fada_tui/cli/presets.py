"""`fada presets`: the named sets of training settings."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.output import table
from fada_tui.cli.queueing import asking
from fada_tui.text import printable

if TYPE_CHECKING:
    from backends.jobs.presets import Preset
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser(
        "presets",
        parents=[shared],
        help="named sets of training settings, for `fada finetune --preset NAME` and the form f",
        epilog="one's own are in presets.toml in HOME; ctrl+g in the form writes one",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="one of them alone")
    parser.set_defaults(handler=show_presets)


def show_presets(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.presets import FILE, find_preset, read_presets

    with asking():
        found = [find_preset(context.home, args.name)] if args.name else list(read_presets(context.home).values())
    if not found:
        raise UsageError("there are no presets")
    path = str(context.home.root / FILE)
    context.emit([_document(one, path) for one in found], lambda: _text(found, path))


def _document(one: Preset, path: str) -> dict[str, Any]:
    settings = dict(one.settings)
    return {"name": one.name, "settings": settings, "precision": one.precision, "file": path if one.own else None}


def _text(found: list[Preset], path: str) -> str:
    rows = []
    for one in found:
        words = [f"{name}={_word(value)}" for name, value in one.settings.items()]
        words += [f"precision={one.precision}"] if one.precision else []
        rows.append((printable(one.name), "yours" if one.own else "shipped", printable(" ".join(words))))
    return "\n".join([table(("preset", "from", "settings"), rows), printable(f"yours: {path}")])


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(value) if isinstance(value, list) else str(value)
