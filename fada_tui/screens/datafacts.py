"""How many questions data hold, how large their images are and what is wrong with them, for a form. It reads files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Facts(NamedTuple):
    """``samples`` is None where nothing can be read. ``told`` are lines for a person; those of ``⚠`` fail questions,
    those of ``✗`` the whole job.
    """

    samples: int | None = None
    image_sizes: tuple[tuple[int, int, int], ...] = ()
    told: tuple[str, ...] = ()


@dataclass
class DataFacts:
    """Reads a file again only where the file or what is asked of it has changed."""

    _key: tuple[str, str, int | None, str, int] | None = None
    _found: Facts = field(default_factory=Facts)

    def of(self, data: str, image_root: str, limit: int | None, kind: str = "gt") -> Facts:
        """Of the questions that a limit takes; nothing where there is no such file (enter says so)."""
        try:
            key = data, image_root, limit, kind, Path(data).stat().st_mtime_ns
        except (OSError, ValueError):
            return Facts()
        if not data:
            return Facts()
        if key != self._key:
            self._found = _read(Path(data), Path(image_root) if image_root else None, limit, kind)
            self._key = key
        return self._found


def _read(path: Path, given: Path | None, limit: int | None, kind: str) -> Facts:
    from backends.data.errors import DataError
    from backends.data.told import faults, held, problems
    from backends.data.validate import inspect

    try:
        report = inspect(path, given, limit or None, kind=kind)
    except (DataError, OSError) as error:
        return Facts(told=(f"✗ {error}",))
    told = [f"✗ {line}" for line in faults(report)] + [f"⚠ {line}" for line in problems(report)]
    return Facts(report.samples, report.image_sizes, (held(report), *told))
