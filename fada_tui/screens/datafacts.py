"""How many questions data hold and how large their images are, for what a form estimates. It reads files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Facts(NamedTuple):
    """``samples`` is None where nothing can be read."""

    samples: int | None = None
    image_sizes: tuple[tuple[int, int, int], ...] = ()


@dataclass
class DataFacts:
    """Reads a file again only where the file or its name has changed."""

    _key: tuple[str, str, int | None, int] | None = None
    _found: Facts = field(default_factory=Facts)

    def of(self, data: str, image_root: str, limit: int | None) -> Facts:
        """Of the questions that a limit takes; nothing where the data cannot be read (enter says why)."""
        from backends.data.errors import DataError

        try:
            key = data, image_root, limit, Path(data).stat().st_mtime_ns
            if not data or key == self._key:
                return self._found if data else Facts()
            found = _read(Path(data), Path(image_root) if image_root else None, limit)
        except (DataError, OSError, ValueError):
            return Facts()
        self._key, self._found = key, found
        return found


def _read(path: Path, given: Path | None, limit: int | None) -> Facts:
    from backends.data.door import open_data
    from backends.data.validate import measured_sizes, resolved_root

    samples = list(open_data(path, "gt", resolved_root(path, given, "gt"), limit or None))
    return Facts(len(samples), measured_sizes(samples))
