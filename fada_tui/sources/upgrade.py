"""A panel that is open while the program is upgraded reads nothing of the new one: halves of two do not fit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backends.jobs.code import Code
from fada_tui.sources.trouble import OVERTAKEN

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

PACKAGES = ("fada_tui", "backends", "db")


class Overtaken(ImportError):
    """A part of the program that was not needed so far is that of another version by now."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.message = "fada-tui was replaced on disk while this panel was open"
        self.hint = OVERTAKEN


class Guard:
    """Stands before every module that is read for the first time, from :meth:`stand` until :meth:`go`."""

    def __init__(self) -> None:
        self._code = Code(*PACKAGES)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Nothing, so that the next finder is asked.

        Raises:
            Overtaken: The program was replaced.
        """
        if fullname.partition(".")[0] in PACKAGES and self._code.replaced():
            raise Overtaken(fullname)
        return None

    def stand(self) -> None:
        sys.meta_path.insert(0, self)

    def go(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
