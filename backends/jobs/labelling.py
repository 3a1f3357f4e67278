"""Changing what people write on runs: in the run's directory first, then in the index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace

from backends.jobs.errors import QueueError
from backends.jobs.ingest import ingest
from backends.jobs.labels import Labels, add_tags, read_labels, remove_tags, write_labels
from backends.jobs.submit import need
from db.connect import connect
from db.home import Home
from db.runs.due import changing


def tag(home: Home, run_id: int, tags: Sequence[str], remove: bool = False) -> list[str]:
    """Give a run tags, or take them away; what it has now."""
    labels = _change(home, run_id, lambda now: (remove_tags if remove else add_tags)(now, tags))
    return [f"#{run_id} " + (f"tagged {' '.join(labels.tags)}" if labels.tags else "has no tags")]


def describe(home: Home, run_id: int, text: str) -> list[str]:
    """Write the run's note; an empty text takes it away."""
    note = text.strip()
    _change(home, run_id, lambda now: replace(now, note=note))
    return [f"#{run_id} described" if note else f"#{run_id} has no note any more"]


def archive(home: Home, run_ids: Iterable[int], archived: bool = True) -> list[str]:
    """Put finished runs away, so that lists leave them out, or bring them back. Nothing of them is lost.

    Raises:
        QueueError: One of them is not over; none was changed then.
    """
    ids = list(dict.fromkeys(run_ids))
    with closing(connect(home.runs_db)) as conn:
        for run in [need(conn, run_id) for run_id in ids]:
            if archived and not run.is_over:
                raise QueueError(f"run #{run.id} is {run.state}", hint="only what is over can be archived")
    for run_id in ids:
        _change(home, run_id, lambda now: replace(now, archived=archived))
    return [f"#{run_id} {'archived' if archived else 'brought back'}" for run_id in ids]


def _change(home: Home, run_id: int, change: Callable[[Labels], Labels]) -> Labels:
    with closing(connect(home.runs_db)) as conn:
        need(conn, run_id)
        folder = home.run_dir(run_id)
        if not folder.is_dir():
            raise QueueError(f"run #{run_id} has no directory any more", where=str(folder))
        with changing(conn, run_id):
            labels = change(read_labels(folder))
            write_labels(folder, labels)
        ingest(conn, home, run_id)
    return labels
