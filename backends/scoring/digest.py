"""A short name for what a run answered, so that equal runs are found without their answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from backends.scoring.answer import Answer
from backends.scoring.exact import normalise


def answer_hashes(answers: Sequence[Answer]) -> list[bytes]:
    """A hash of each answer: its question's id, and what was said, letter case and spacing aside."""
    return [
        hashlib.blake2b(f"{answer.id}\0{_said(answer)}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for answer in answers
    ]


def digest(hashes: Iterable[bytes]) -> str:
    """Of a set of answers in any order: 16 hexadecimal digits."""
    return hashlib.blake2b(b"".join(sorted(hashes)), digest_size=8).hexdigest()


def _said(answer: Answer) -> str:
    return "\0failed" if answer.failed else normalise(answer.prediction or "")
