"""What the worker threads tell the app. Each carries frozen data; of several in the queue only the newest counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from fada_tui.sources.views import RunList, RunView, TelemetryView

if TYPE_CHECKING:
    from db.tracker.rows import Proposal, Tracker
    from db.tracker.sync import SyncState


class _Newest(Message):
    """Data of which only the newest matters: one that was not handled yet is replaced."""

    def can_replace(self, message: Message) -> bool:
        return type(message) is type(self)


@dataclass
class TrackerLoaded(_Newest):
    tracker: Tracker


@dataclass
class ProposalsLoaded(_Newest):
    """What finished runs suggest, by the name of the tracked model."""

    proposals: dict[str, Proposal]


@dataclass
class NoteFileLoaded(_Newest):
    """How the note and its file stand to each other; None where it came from no file."""

    state: SyncState | None


@dataclass
class RunsLoaded(_Newest):
    runs: RunList


@dataclass
class RunLoaded(_Newest):
    """``view`` is None where no run is chosen."""

    view: RunView | None


@dataclass
class TelemetryLoaded(_Newest):
    telemetry: TelemetryView


@dataclass
class SourceFailed(_Newest):
    """The databases cannot be read now; ``text`` is None once they can again."""

    text: str | None


@dataclass
class TaskDone(Message):
    """Something that was asked for has been done; each line says what changed (none: nothing to do)."""

    title: str
    lines: tuple[str, ...]
    quiet: bool = False
    """What changed is in sight."""


@dataclass
class TaskFailed(Message):
    """Something that was asked for could not be done: what, where, and what to do about it."""

    title: str
    message: str
    hint: str | None = None
