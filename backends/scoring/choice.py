"""Which of several options a reply to a multiple-choice question takes: by its letter, or by its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ALONE = re.compile(r"[\s*(\[]*([A-Za-z])[\s*)\].:,]*")
_LEADING = re.compile(r"[\s*(\[]*([A-Z])\s*[*)\].:,]+\s")
_SAID = re.compile(r"\b(?:answer|option|choice)\b(?:\s+is)?\s*[:=]?\s*[*(\[]*([A-Z])\b(?![\w'])", re.IGNORECASE)
_BRACKETED = re.compile(r"[(\[]([A-Z])[)\]]")


def chosen(reply: str, options: Sequence[str]) -> int | None:
    """Index of the option that a reply takes; None where it takes none or more than one.

    In this order: the reply is a letter; it is an option's text; it begins with a letter and a mark ("B. …", "(B) …");
    it says "the answer is B", "option B"; it names the text of one option, whole words, one inside a longer one not
    counted; it has one letter in brackets. "A fetal head" takes no letter.
    """
    return _chosen(reply, tuple(options))


@lru_cache(maxsize=1 << 16)
def _chosen(reply: str, options: tuple[str, ...]) -> int | None:
    known = LETTERS[: len(options)]
    alone = _ALONE.fullmatch(reply)
    if alone:
        return _index(alone[1], known)
    folded = [_folded(option) for option in options]
    said = _folded(reply)
    if said in folded:
        return folded.index(said)
    leading = _LEADING.match(reply)
    if leading:
        return _index(leading[1], known)
    letters = {letter.upper() for letter in _SAID.findall(reply)} & set(known)
    if len(letters) == 1:
        return known.index(letters.pop())
    named = _named(said, folded)
    if named or letters:
        return named[0] if len(named) == 1 and not letters else None
    bracketed = set(_BRACKETED.findall(reply)) & set(known)
    return known.index(bracketed.pop()) if len(bracketed) == 1 else None


def _index(letter: str, known: str) -> int | None:
    at = known.find(letter.upper())
    return None if at < 0 else at


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .*'\"")


def _named(text: str, options: Sequence[str]) -> list[int]:
    found = []
    for at in sorted(range(len(options)), key=lambda at: -len(options[at])):
        pattern = rf"(?<!\w){re.escape(options[at])}(?!\w)"
        if options[at] and re.search(pattern, text):
            found.append(at)
            text = re.sub(pattern, "\0", text)
    return found
