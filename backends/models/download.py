"""Fetch a model from the hub into huggingface_hub's own cache: with progress, and from where a killed fetch stopped.

huggingface_hub itself throws a part of a file away when its process ends. Large files are therefore fetched here into
a part file that stays, with the library's own request (its retries, its headers); the rest is the library's work.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from huggingface_hub import constants, hf_hub_download, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from backends.catalog.hub import cache_folder, endpoint, is_offline, repo_folder, snapshot_folder
from backends.catalog.remote import HubError, HubFile, HubModel, ask_hub, commit_of, explained
from backends.jobs.downloads import (
    PART,
    is_commit,
    loadable_snapshot,
    missing_files,
    room_for,
    whole_snapshot,
    write_list,
)
from backends.jobs.errors import QueueError
from backends.jobs.job import Job, JobError
from backends.jobs.keys import hub_token
from db.atomic import replace_file

TOLD_S = 0.5
AT_ONCE = 4
"""Files that are fetched at the same time."""
PIECE = 256 << 10
"""Bytes of a large file that a kill can lose."""
_KEPT = "what has come is kept: `fada resume` goes on from there"


def fetch(job: Job, repo: str, revision: str | None, *, allow_pickle: bool = False, branch: str | None = None) -> Path:
    """The folder of a hub model at one commit, with what of it is not on this machine fetched first.

    Args:
        revision: A branch, tag or commit; None is what this machine has, or else the hub's newest.
        branch: What ``revision``, a commit, was asked for as: known by that name on this machine from now on.

    Raises:
        JobError: The hub cannot or will not give it, it does not fit the disk, or what came is not what the hub has.
    """
    here = whole_snapshot(repo, revision)
    if here is None or not (revision is None or is_commit(revision) or is_offline()):
        here = _from_hub(job, repo, revision, allow_pickle, here)
    name = branch or (None if revision and is_commit(revision) else revision or "main")
    if name and snapshot_folder(repo, name) != here:
        _name(repo, name, here.name)
    elif revision and not snapshot_folder(repo).is_dir() and commit_of(repo, "main") == here.name:
        _name(repo, "main", here.name)
    if revision != here.name:
        job.events.message("info", f"{repo}: commit {here.name}")
    return here


def _from_hub(job: Job, repo: str, revision: str | None, allow_pickle: bool, here: Path | None) -> Path:
    try:
        if token := hub_token(job.home):
            os.environ["HF_TOKEN"] = token
        model = ask_hub(repo, revision, allow_pickle=allow_pickle)
    except QueueError as error:
        raise JobError(error.message, error.hint) from error
    except HubError as error:
        here = here or loadable_snapshot(repo, revision)
        if here is not None and (is_offline() or not error.final):
            job.events.message("warning", f"{error.message}: the copy on this machine is used")
            return here
        raise JobError(error.message, error.hint) from error
    return Download(job, model).run()


def _name(repo: str, branch: str, commit: str) -> None:
    """Write down which commit a branch or tag is, as the library does."""
    path = repo_folder(repo) / "refs" / branch
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, commit.encode())
    except OSError:
        pass  # a cache that is only read: the commit alone finds it


class Download:
    """One fetch of one model."""

    def __init__(self, job: Job, model: HubModel) -> None:
        self.job = job
        self.model = model
        self.blobs = repo_folder(model.repo) / "blobs"
        self._lock = threading.Lock()
        self._done = 0
        self._told = 0.0
        self._broken = threading.Event()

    def run(self) -> Path:
        model, missing = self.model, missing_files(self.model)
        room = room_for(model)
        if not room.fits:
            raise JobError(*room.refusal(model.repo))
        if missing:
            self._done = model.bytes - room.needed
            self.job.events.message(
                "info",
                f"{model.repo} at {model.commit[:12]}: {len(missing)} of {len(model.files)} files, "
                f"{_amount(room.needed)}, are fetched from the hub",
            )
            self._tell()
            try:
                self._large([file for file in missing if file.sha256])
                self._link(missing)
            except OSError as error:
                raise _written(error, model) from error
            self._done = model.bytes
            self._tell()
        folder = snapshot_folder(model.repo, model.commit)
        write_list(model)
        return folder

    def _large(self, files: list[HubFile]) -> None:
        """The first that goes wrong ends the others at their next piece."""
        self.blobs.mkdir(parents=True, exist_ok=True)
        constants.DOWNLOAD_CHUNK_SIZE = PIECE
        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting: list[Future[None]] = [pool.submit(self._fetch, file) for file in files]
            try:
                for fetched in as_completed(waiting):
                    fetched.result()
            except BaseException:
                self._broken.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _link(self, missing: list[HubFile]) -> None:
        """The small files, and links to all; to the weights last, so that a kill leaves nothing that looks whole."""
        for file in sorted(missing, key=lambda file: (bool(file.sha256), file.bytes)):
            try:
                hf_hub_download(
                    self.model.repo,
                    file.name,
                    revision=self.model.commit,
                    cache_dir=cache_folder(),
                    endpoint=endpoint(),
                )
            except Exception as error:
                raise _job_error(error, self.model) from error
            if not file.sha256:
                self._count(file.bytes)

    def _fetch(self, file: HubFile) -> None:
        """One large file into the cache, its bytes checked against what the hub says they are."""
        assert file.sha256 is not None
        whole, part = self.blobs / file.sha256, self.blobs / (file.sha256 + PART)
        with self._alone(file, part):
            if whole.is_file():
                return
            self._fill(file, part)
            if _sha256(part) != file.sha256:
                part.unlink()
                raise JobError(
                    f"{self.model.repo}: {file.name} came with other bytes than the hub says it has",
                    "try again; if it stays so, something between here and the hub changes files",
                )
            part.rename(whole)

    @contextmanager
    def _alone(self, file: HubFile, part: Path) -> Iterator[None]:
        """The lock of the library for this file: any other program that wants it waits too. It ends with its process.

        What another job fetches meanwhile is this job's progress.
        """
        lock = cache_folder() / ".locks" / self.blobs.parent.name / f"{file.sha256}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        seen = _bytes_of(part, file)
        while True:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                flock(descriptor, LOCK_EX | LOCK_NB)
                if _is_there(descriptor, lock):
                    break
            except BlockingIOError:
                pass
            os.close(descriptor)
            self._stop_if_broken()
            time.sleep(TOLD_S)
            now = _bytes_of(part, file)
            self._count(now - seen)
            seen = now
        try:
            self._count(_bytes_of(part, file) - seen)
            yield
        finally:
            os.close(descriptor)

    def _fill(self, file: HubFile, part: Path) -> None:
        """From where an earlier attempt stopped."""
        if part.exists() and part.stat().st_size > file.bytes:
            part.unlink()
            self._count(-file.bytes)
        with part.open("ab") as target:
            try:
                http_get(
                    hf_hub_url(self.model.repo, file.name, revision=self.model.commit, endpoint=endpoint()),
                    target,
                    resume_size=target.tell(),
                    headers=build_hf_headers(),
                    expected_size=file.bytes,
                    displayed_filename=file.name,
                    _tqdm_bar=_Counter(self),
                )
            except JobError:
                raise
            except Exception as error:
                target.flush()
                raise self._cut(error, file, part) from error

    def _cut(self, error: Exception, file: HubFile, part: Path) -> Exception:
        size = part.stat().st_size
        if isinstance(error, OSError) and error.errno is not None:
            return error
        if "Consistency check" not in str(error):
            return _job_error(error, self.model)
        if size > file.bytes:
            part.unlink()
        said = f"{self.model.repo}: {file.name} came with {size:,} bytes, the hub says that it has {file.bytes:,}"
        return JobError(said, "try again" if size > file.bytes else _KEPT)

    def count(self, more: int) -> None:
        """Bytes that came, from several threads."""
        self._stop_if_broken()
        self._count(more)

    def _count(self, more: int) -> None:
        with self._lock:
            self._done += more
            if time.monotonic() >= self._told + TOLD_S:
                self._tell()

    def _stop_if_broken(self) -> None:
        if self._broken.is_set():
            raise JobError(f"{self.model.repo}: another file of it could not be fetched", _KEPT)

    def _tell(self) -> None:
        self._told = time.monotonic()
        done = max(0, min(self._done, self.model.bytes))
        self.job.events.progress(done, self.model.bytes, "bytes", "download")


class _Counter:
    """What ``http_get`` takes for a progress bar: it only counts."""

    def __init__(self, download: Download) -> None:
        self._download = download

    def __enter__(self) -> _Counter:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, more: float | None = 1) -> None:
        self._download.count(int(more or 0))


def _amount(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 10**8 else f"{size / 1e6:.2f} MB"


def _written(error: OSError, model: HubModel) -> JobError:
    said = error.strerror or str(error)
    return JobError(f"{model.repo} cannot be written to {cache_folder()}: {said}", f"make room there; {_KEPT}")


def _job_error(error: Exception, model: HubModel) -> Exception:
    if isinstance(error, OSError) and error.errno is not None:
        return error
    found = explained(error, model.repo, model.commit)
    return JobError(found.message, f"{found.hint}; {_KEPT}")


def _is_there(descriptor: int, path: Path) -> bool:
    """A lock file may be removed by whoever held it last."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _bytes_of(part: Path, file: HubFile) -> int:
    """Of a large file, whole or not."""
    for path in (part.with_name(str(file.sha256)), part):
        try:
            return min(path.stat().st_size, file.bytes)
        except OSError:
            continue
    return 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
