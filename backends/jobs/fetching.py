"""Queue the download of a model, so that it is there when a job wants it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backends.catalog.errors import ModelError
from backends.catalog.hub import is_offline
from backends.catalog.reader import USER_FILE, load_catalog
from backends.catalog.remote import AGREE_TO_PICKLE, HubError, HubFile, HubModel, ask_hub
from backends.catalog.resolve import ResolvedModel, resolve_model
from backends.jobs.asked import Asked
from backends.jobs.downloads import Room, is_commit, missing_files, room_for, whole_snapshot
from backends.jobs.errors import QueueError
from backends.jobs.keys import hub_token
from backends.jobs.launch import common_parts
from backends.jobs.submit import submit
from db.connect import connect
from db.home import Home
from db.runs.states import ACTIVE_STATES, WAITING_STATES

TASK = "download"


@dataclass(frozen=True)
class Wanted:
    """A model as the hub has it now, and what of it is still to come.

    ``branch``: what the commit was asked for as; None where a commit was asked for.
    """

    name: str
    found: HubModel
    room: Room
    branch: str | None

    @property
    def missing_bytes(self) -> int:
        return self.room.needed

    @property
    def is_here(self) -> bool:
        return not missing_files(self.found)


def sizes_of(home: Home, model: str) -> tuple[str, ...]:
    """The names of a tracker row's checkpoints where it stands for several, and ``model`` names none of them."""
    try:
        catalog = load_catalog(home.root / USER_FILE)
    except ModelError as error:
        raise QueueError(error.message, error.where, error.hint) from error
    entry, variant = catalog.lookup(model) or (None, None)
    if entry is None or variant is not None or not entry.needs_variant:
        return ()
    return tuple(f"{entry.name}:{variant.name}" for variant in entry.variants)


def look_up(home: Home, model: str, revision: str | None = None, *, allow_pickle: bool = False) -> Wanted:
    """What a download would fetch; asks the hub.

    Args:
        revision: A branch, tag or commit; default: what the name says, else the newest.

    Raises:
        QueueError: It is no model of the hub, or the hub will not give it.
    """
    resolved = _resolve(home, model)
    if Path(resolved.source).is_absolute():
        raise QueueError(
            f"{model} is a folder of this machine", where=resolved.source, hint="there is nothing to fetch"
        )
    revision = revision or resolved.revision
    try:
        found = ask_hub(resolved.source, revision, allow_pickle=allow_pickle, token=hub_token(home))
    except HubError as error:
        here = whole_snapshot(resolved.source, revision)
        if here is None or (error.final and not is_offline()):
            raise QueueError(error.message, hint=error.hint) from error
        files = tuple(HubFile(path.name, path.stat().st_size) for path in here.iterdir() if path.is_file())
        found = HubModel(resolved.source, here.name, files)
    name = resolved.tracker_name or resolved.name
    return Wanted(name, found, room_for(found), None if is_commit(revision) else revision or "main")


def enqueue_download(home: Home, wanted: Wanted, *, allow_pickle: bool = False) -> int | None:
    """Queue it at the commit that was looked up; None where everything of it is here.

    Raises:
        QueueError: The disk has no room, nobody agreed to its pickles, or it is being downloaded already.
    """
    found = wanted.found
    if wanted.is_here:
        return None
    if found.pickled and not allow_pickle:
        raise QueueError(
            f"{found.repo}: the weights are only there as {found.pickled}, a pickle, which can carry code",
            hint=AGREE_TO_PICKLE,
        )
    if not wanted.room.fits:
        message, hint = wanted.room.refusal(found.repo)
        raise QueueError(message, hint=hint)
    if (run := _queued_already(home, found)) is not None:
        raise QueueError(f"#{run} downloads {found.repo} already", hint=f"`fada job {run}` tells how far it is")
    arguments = {"repo": found.repo, "revision": found.commit, "branch": wanted.branch, "allow_pickle": allow_pickle}
    return submit(
        home,
        {
            "kind": "tool",
            "task": TASK,
            "title": wanted.name,
            "tool": {"name": TASK, "args": arguments},
            **common_parts(Asked()),
        },
    )


def _queued_already(home: Home, found: HubModel) -> int | None:
    states = (*WAITING_STATES, *ACTIVE_STATES)
    with closing(connect(home.runs_db, read_only=True)) as conn:
        row = conn.execute(
            f"SELECT id FROM runs WHERE kind = 'tool' AND task = ? AND state IN ({','.join('?' * len(states))}) "
            "AND json_extract(spec, '$.tool.args.repo') = ? AND json_extract(spec, '$.tool.args.revision') = ?",
            (TASK, *states, found.repo, found.commit),
        ).fetchone()
    return row[0] if row else None


def _resolve(home: Home, model: str) -> ResolvedModel:
    try:
        with closing(connect(home.fada_db, read_only=True)) as conn:
            return resolve_model(model, conn)
    except ModelError as error:
        raise QueueError(error.message, error.where, error.hint) from error
