"""The checks of `fada doctor` on what an export takes: llama.cpp's tools, and the packages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from db.home import Home

if TYPE_CHECKING:
    from fada_tui.cli.check import Check

_WITHOUT = {
    "converter": "no GGUF can be made",
    "quantiser": "a GGUF can be q8_0 or f16, not q4_k_m",
    "server": "a GGUF is made and not checked",
}


def export_checks(home: Home) -> Iterator[Check]:
    """A line a tool; nothing of it is started or imported."""
    from backends.jobs.errors import QueueError
    from backends.jobs.llama_cpp import HINTS, find_tools

    try:
        tools = find_tools(home)
    except QueueError as error:
        yield {"check": "llama.cpp", "state": "warn", "detail": f"{error.where}: {error.message}", "hint": error.hint}
    else:
        for name, tool in tools.items():
            called = f"llama.cpp {name}"
            if tool.found:
                yield {"check": called, "state": "ok", "detail": tool.words(), "hint": None}
            else:
                detail = f"{tool.words()}: {_WITHOUT[name]}"
                yield {"check": called, "state": "missing", "detail": detail, "hint": HINTS[name]}
    from backends.jobs.launch_convert import PACKAGES

    for to, names in PACKAGES.items():
        yield _packages(to, names)


def _packages(to: str, names: Iterable[str]) -> Check:
    found, absent = [], []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            absent.append(name)
    check = f"packages for {to}"
    if absent:
        detail = f"without {', '.join(absent)} no {to.upper()} can be made"
        return {"check": check, "state": "missing", "detail": detail, "hint": f"pip install 'fada-tui[{to}]'"}
    return {"check": check, "state": "ok", "detail": ", ".join(found), "hint": None}
