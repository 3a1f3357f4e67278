"""One line of what `fada doctor` reports."""

from __future__ import annotations

from typing import Literal, TypedDict

State = Literal["ok", "warn", "missing"]


class Check(TypedDict):
    """The hint is None where nothing is to be done."""

    check: str
    state: State
    detail: str
    hint: str | None


def made(name: str, state: State, detail: str, hint: str | None = None) -> Check:
    return {"check": name, "state": state, "detail": detail, "hint": hint}
