"""Tags, a note and "archived": what people write on a run. The truth is runs/ID/labels.json. Standard library only."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from backends.jobs.errors import QueueError
from backends.jobs.files import read_json, write_json

TAG_LENGTH = 64


@dataclass(frozen=True)
class Labels:
    tags: tuple[str, ...] = ()
    note: str = ""
    archived: bool = False


def read_labels(folder: Path) -> Labels:
    """What stands in labels.json; what is damaged in it counts as not said."""
    record = read_json(folder / "labels.json") or {}
    tags, note = record.get("tags"), record.get("note")
    words = tags if isinstance(tags, list) else []
    return Labels(
        tuple(dict.fromkeys(word for word in words if isinstance(word, str) and word)),
        note if isinstance(note, str) else "",
        record.get("archived") is True,
    )


def write_labels(folder: Path, labels: Labels) -> None:
    write_json(folder / "labels.json", asdict(labels))


def add_tags(labels: Labels, tags: Iterable[str]) -> Labels:
    """With ``tags``; a tag that differs from one that is there in its case alone is that one.

    Raises:
        QueueError: A tag is empty, too long, or more than one word.
    """
    found = list(labels.tags)
    for tag in map(clean_tag, tags):
        if tag.casefold() not in {one.casefold() for one in found}:
            found.append(tag)
    return replace(labels, tags=tuple(found))


def remove_tags(labels: Labels, tags: Iterable[str]) -> Labels:
    unwanted = {clean_tag(tag).casefold() for tag in tags}
    return replace(labels, tags=tuple(tag for tag in labels.tags if tag.casefold() not in unwanted))


def clean_tag(tag: str) -> str:
    """A tag as it is kept: one word without control characters.

    Raises:
        QueueError: It is none.
    """
    word = unicodedata.normalize("NFC", tag.strip())
    if not word:
        raise QueueError("a tag needs at least one character")
    if len(word) > TAG_LENGTH:
        raise QueueError(f"a tag has at most {TAG_LENGTH} characters: {word[:20]!r}…")
    if any(letter.isspace() or unicodedata.category(letter)[0] == "C" for letter in word):
        raise QueueError(f"a tag is one word without spaces: {word!r}", hint="join words with a hyphen")
    return word
