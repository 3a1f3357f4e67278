"""The event file: one JSON object a line, appended and flushed. Standard library only."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class EventWriter:
    """Appends events to a file. Each line is one ``write`` on an O_APPEND descriptor, so writers never interleave."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._torn = False

    def write(self, kind: str, **fields: Any) -> None:
        """Append one event. NaN and infinity are written as null: they are not JSON.

        Raises:
            OSError: The disk is full; the next event begins on a line of its own all the same.
        """
        line = _dumps({"t": time.time(), "kind": kind, **fields})
        data = (("\n" if self._torn else "") + line + "\n").encode()
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            self._torn = True
            raise
        self._torn = False

    def started(
        self, *, device: str, versions: Mapping[str, str], total: int | None, unit: str, **how: Mapping[str, str]
    ) -> None:
        self.write("started", pid=os.getpid(), device=device, versions=dict(versions), total=total, unit=unit, **how)

    def progress(self, done: int, total: int | None, unit: str, phase: str) -> None:
        self.write("progress", done=done, total=total, unit=unit, phase=phase)

    def metric(self, name: str, value: float, step: int) -> None:
        self.write("metric", name=name, value=value, step=step)

    def score(self, **score: Any) -> None:
        """A growing score: the fields of one entry of `fada scores --json`, without run and model."""
        self.write("score", **score)

    def message(self, level: str, text: str) -> None:
        self.write("message", level=level, text=text)

    def checkpoint(self, path: str, step: int) -> None:
        self.write("checkpoint", path=path, step=step)

    def finished(self, **summary: Any) -> None:
        self.write("finished", summary=summary)

    def failed(self, error: str, message: str, hint: str | None = None) -> None:
        self.write("failed", error=error, message=message, hint=hint)

    def close(self) -> None:
        os.close(self._fd)


def _dumps(record: dict[str, Any]) -> str:
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(record), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def log(step: int | None = None, **values: float) -> None:
    """``log(step=3, loss=0.4)`` from any Python script under ``fada run``; nothing happens outside one."""
    path = os.environ.get("FADA_EVENTS")
    if not path:
        return
    writer = EventWriter(path)
    try:
        for name, value in values.items():
            writer.metric(name, float(value), step if step is not None else int(time.time()))
    finally:
        writer.close()
