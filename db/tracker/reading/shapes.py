"""What headings and table headers tell: the topic of a part of the note, and the names of columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from db.tracker.markdown.blocks import Block, Heading, Row, plain

PAPERS = re.compile(r"\b(papers?|literature|references|publications)\b", re.IGNORECASE)
# The first that fits a heading says its topic.
_TOPICS = (
    ("summary", re.compile(r"\b(summary|stats|statistics)\b", re.IGNORECASE)),
    ("export", re.compile(r"\bexport", re.IGNORECASE)),
    ("finetune", re.compile(r"fine[\s-]?tun(e|ing)\b", re.IGNORECASE)),
    ("benchmark", re.compile(r"\bbench(mark)?s?\b", re.IGNORECASE)),
    ("papers", PAPERS),
)


def topic_of(headings: tuple[Heading, ...], skipped_title: int | None) -> str | None:
    """What the outermost telling heading is about; the one title above everything does not count.

    Args:
        headings: The chain of headings above a block, outermost first.
        skipped_title: The line of that title, from :func:`document_title`.

    Returns:
        summary, export, finetune, benchmark or papers, or None.
    """
    for heading in headings:
        if heading.line == skipped_title:
            continue
        for topic, words in _TOPICS:
            if words.search(heading.title):
                return topic
    return None


def document_title(blocks: Sequence[Block]) -> int | None:
    """The line of the one heading that stands above all others, for instance ``# FADA fine-tuning tracker``."""
    headings = [block for block in blocks if isinstance(block, Heading)]
    if len(headings) > 1 and all(other.level > headings[0].level for other in headings[1:]):
        return headings[0].line
    return None


def title_of(headings: tuple[Heading, ...]) -> str:
    return headings[-1].title if headings else ""


class Titles:
    """Gives each part of a note a title by which it can be told from those before it."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._again: Counter[str] = Counter()

    def distinct(self, title: str, path: Sequence[str]) -> str:
        """The title; where another has it, with the heading above: a second `Models` is ``Round 2 › Models``."""
        if title in self._taken and path:
            title = f"{path[-1]} \u203a {title}"
        wanted = title
        while title in self._taken:
            self._again[wanted] += 1
            title = f"{wanted} ({self._again[wanted] + 1})"
        self._taken.add(title)
        return title


def column_names(header: Row) -> list[str]:
    """Each column's name, once: an empty one is ``Column 3``, a second ``Notes`` is ``Notes (2)``."""
    names: list[str] = []
    for index, text in enumerate(header.texts, start=1):
        name = wanted = plain(text) or f"Column {index}"
        again = 2
        while name in names:
            name = f"{wanted} ({again})"
            again += 1
        names.append(name)
    return names
