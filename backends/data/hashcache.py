"""Perceptual hashes of a data set's images, kept on disk: an image is decoded again only where its file changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from backends.data.contamination import Hashes, ImageHash, dhash
from backends.data.images import ImageError, open_image
from backends.data.sample import Sample

FORMAT = 1
THREADS = 4
CHUNK = 64
Stamp = tuple[int, int]
"""Size and modification time of a file."""
Entry = tuple[Stamp, ImageHash, str]
"""What is kept of an image: its stamp, its hashes, and the hash of its bytes."""


def cache_file(folder: Path, data: str | os.PathLike[str], image_root: str | os.PathLike[str] | None) -> Path:
    """Where the hashes of a data set are kept, below ``folder``."""
    named = f"{Path(data).absolute()}\0{Path(image_root).absolute() if image_root else ''}"
    return folder / f"{hashlib.blake2b(named.encode('utf-8', 'surrogateescape'), digest_size=10).hexdigest()}.json"


def cached_hashes(
    samples: Iterable[Sample],
    kept: Path,
    *,
    stop: Callable[[], bool] = lambda: False,
    threads: int = THREADS,
) -> Hashes:
    """As :func:`backends.data.contamination.hashes`, of images that ``kept`` knows without opening them.

    Args:
        kept: The file of :func:`cache_file`; it is written anew where there was something to hash. One that cannot be
            read or written costs time, nothing else.
        stop: Asked now and then; True leaves off, and what was hashed so far is kept.
    """
    distinct = {sample.image_path: sample for sample in samples}
    before = _read(kept)
    entries: dict[str, Entry] = {}
    failed: list[str] = []
    missing: list[Sample] = []
    for name, sample in distinct.items():
        stamp, old = _stamp(sample), before.get(name)
        if stamp is None:
            failed.append(name)
        elif old is not None and old[0] == stamp:
            entries[name] = old
        else:
            missing.append(sample)
    whole = True
    with ThreadPoolExecutor(max(1, min(threads, os.cpu_count() or 1)), thread_name_prefix="hashes") as pool:
        for chunk in _chunks(missing):
            if stop():
                whole = False
                break
            for sample, entry in zip(chunk, pool.map(_hash, chunk), strict=True):
                if entry is None:
                    failed.append(sample.image_path)
                else:
                    entries[sample.image_path] = entry
    if missing:
        _write(kept, {**before, **entries})
    found = {name: entries[name] for name in distinct if name in entries}
    return Hashes(
        {name: entry[1] for name, entry in found.items()},
        tuple(failed),
        {name: entry[2] for name, entry in found.items()},
        whole,
    )


def _chunks(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    left = iter(samples)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def _in_table(sample: Sample) -> bool:
    """The name of an image inside a table has the hash of its bytes."""
    return bool((sample.kind_data or {}).get("cell"))


def _stamp(sample: Sample) -> Stamp | None:
    if sample.problem:
        return None
    if _in_table(sample):
        return 0, 0
    try:
        status = sample.image_file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _hash(sample: Sample) -> Entry | None:
    """Called in threads; None for what cannot be decoded."""
    stamp = _stamp(sample)
    try:
        image = open_image(sample)
        content = sample.image_path.rpartition("/")[2] if _in_table(sample) else _content(sample.image_file)
    except (ImageError, OSError, MemoryError):
        return None
    return None if stamp is None else (stamp, ImageHash(dhash(image, 8), dhash(image, 16)), content)


def _content(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def as_document(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """In a form for JSON."""
    return {
        name: [*stamp, f"{value.coarse:016x}", f"{value.fine:064x}", content]
        for name, (stamp, value, content) in entries.items()
    }


def from_document(document: Any) -> dict[str, Entry]:
    """The entries of :func:`as_document`.

    Raises:
        ValueError, TypeError, AttributeError: it is none.
    """
    found = {}
    for name, (size, time, coarse, fine, content) in document.items():
        found[str(name)] = ((int(size), int(time)), ImageHash(int(coarse, 16), int(fine, 16)), str(content))
    return found


def _read(path: Path) -> dict[str, Entry]:
    try:
        document = json.loads(path.read_bytes())
        return from_document(document["images"]) if document["format"] == FORMAT else {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write(path: Path, entries: Mapping[str, Entry]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps({"format": FORMAT, "images": as_document(entries)}), encoding="utf-8")
        temporary.replace(path)
    except (OSError, UnicodeEncodeError):
        temporary.unlink(missing_ok=True)
