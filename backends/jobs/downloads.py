"""What of a hub model is on this machine, which commit a job is pinned to, whether the rest fits the disk. Light."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from backends.catalog.errors import ModelError
from backends.catalog.hub import cache_folder, cached_snapshot, is_offline, list_of_files, repo_folder, snapshot_folder
from backends.catalog.local import has_processor, weight_files
from backends.catalog.remote import AGREE_TO_PICKLE, COMMIT, PICKLED, HubError, HubFile, HubModel, ask_hub
from backends.catalog.resolve import ResolvedModel
from backends.jobs.errors import QueueError
from backends.jobs.keys import hub_token
from db.atomic import replace_file
from db.home import Home

KEPT_FREE = 1 << 30
"""Bytes that a download leaves free."""
PATIENCE_S = 5.0
"""So long whoever queues a job waits for the hub."""
FETCHED = ("transformers", "environment", "open_clip")
"""Loaders of models that come from the hub."""
PART = ".fada-part"
"""Ends the name of a file that is not whole yet, in the cache's ``blobs``."""


@dataclass(frozen=True)
class Room:
    """Bytes that are still to come, and those that are free where they go."""

    needed: int
    free: int
    folder: Path

    @property
    def fits(self) -> bool:
        return self.needed == 0 or self.needed <= self.free - KEPT_FREE

    def refusal(self, repo: str) -> tuple[str, str]:
        """A sentence with both numbers, and what to do."""
        return (
            f"{repo} needs {self.needed / 1e9:.2f} GB more in {self.folder}, {self.free / 1e9:.2f} GB are free there "
            f"and {KEPT_FREE / 1e9:.1f} of them stay free",
            "make room (`fada disk`, `hf cache`), or set HF_HUB_CACHE to a folder on another disk",
        )


def whole_snapshot(repo: str, revision: str | None = None) -> Path | None:
    """The folder of a model in the cache of which nothing is missing.

    What was fetched here has a list of its files; what another program fetched is looked at.
    """
    folder = snapshot_folder(repo, revision)
    try:
        listed = json.loads(list_of_files(repo, folder.name).read_text(encoding="utf-8"))
        return folder if all(_size(folder / name) == size for name, size in listed.items()) else None
    except FileNotFoundError:
        found = loadable_snapshot(repo, revision)
        return found if found is not None and has_processor(found) else None
    except (OSError, ValueError, AttributeError):
        return None


def loadable_snapshot(repo: str, revision: str | None = None) -> Path | None:
    """The folder of a model in the cache that has a configuration and all its weights, whatever else is missing."""
    folder = cached_snapshot(repo, revision)
    if folder is None:
        return None
    try:
        weight_files(folder)
    except ModelError:
        return None
    return folder


def write_list(model: HubModel) -> None:
    """Keep what a whole download of it consists of: whoever loads it can tell, and whoever asks what it will take."""
    path = list_of_files(model.repo, model.commit)
    if path.exists():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps({file.name: file.bytes for file in model.files}).encode())
    except OSError:
        pass  # looked at instead, the next time


def missing_files(model: HubModel) -> list[HubFile]:
    """What of a model is not in the cache yet."""
    folder = repo_folder(model.repo) / "snapshots" / model.commit
    return [file for file in model.files if not _is_whole(folder / file.name, file)]


def _is_whole(path: Path, file: HubFile) -> bool:
    """One of another size was cut short, by a full disk for instance."""
    return path.is_file() and (not file.sha256 or _size(path) == file.bytes)


def room_for(model: HubModel) -> Room:
    """What fetching it still takes; parts of files that an earlier attempt left count as there."""
    missing = missing_files(model)
    blobs = repo_folder(model.repo) / "blobs"
    here = sum(
        min(file.bytes, _size(blobs / file.sha256) or _size(blobs / (file.sha256 + PART)))
        for file in missing
        if file.sha256
    )
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    needed = max(0, sum(file.bytes for file in missing) - here)
    return Room(needed, shutil.disk_usage(folder).free, cache_folder())


def _size(path: Path) -> int:
    """0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def pinned(model: ResolvedModel, *, allow_pickle: bool = False, home: Home | None = None) -> ResolvedModel:
    """The model at the commit that the job will load: what is on this machine, else what the hub has now.

    Where the hub does not answer, the model stays as it is: the job asks again when it starts.

    Args:
        home: Whose secrets.env may hold a token for the hub.

    Raises:
        QueueError: The hub will not give it, its weights are pickles that nobody agreed to, or the disk has no room.
    """
    if model.loader not in FETCHED:
        return model
    if Path(model.source).is_absolute():
        if model.loader == "transformers":
            _refuse_pickles(Path(model.source), allow_pickle)
        return model
    here = whole_snapshot(model.source, model.revision) or (is_offline() and _offline(model)) or None
    if here is not None:
        _refuse_pickles(here, allow_pickle)
        return replace(model, revision=here.name)
    try:
        token = hub_token(home) if home is not None else None
        found = ask_hub(model.source, model.revision, allow_pickle=allow_pickle, timeout=PATIENCE_S, token=token)
    except HubError as error:
        if error.final:
            raise QueueError(error.message, hint=error.hint) from error
        return model
    room = room_for(found)
    if not room.fits:
        message, hint = room.refusal(model.source)
        raise QueueError(message, hint=hint)
    write_list(found)
    return replace(model, revision=found.commit)


def _offline(model: ResolvedModel) -> Path | None:
    """What there is when nothing more can be had: loading it says what it lacks."""
    return loadable_snapshot(model.source, model.revision)


def is_commit(revision: str | None) -> bool:
    return revision is not None and COMMIT.fullmatch(revision) is not None


def _refuse_pickles(folder: Path, allow_pickle: bool) -> None:
    if allow_pickle or any(folder.glob("*.safetensors")):
        return
    pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
    if pickled:
        raise QueueError(
            f"the weights are only there as {pickled[0]}, a pickle, which can carry code",
            where=str(folder),
            hint=AGREE_TO_PICKLE,
        )


@dataclass(frozen=True)
class Kept:
    """What of one model is in the cache: ``commit`` where all of it is; ``bytes`` also of a part that came."""

    repo: str
    commit: str | None
    bytes: int


def kept(repo: str) -> Kept:
    """Looks at names and sizes only."""
    here = whole_snapshot(repo)
    if here is not None:
        return Kept(repo, here.name, sum(_size(path) for path in here.iterdir() if path.is_file()))
    try:
        blobs = sum(_size(path) for path in (repo_folder(repo) / "blobs").iterdir())
    except OSError:
        blobs = 0
    return Kept(repo, None, blobs)
