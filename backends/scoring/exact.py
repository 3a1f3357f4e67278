"""Exact match after normalising what is not content: letter case, white space, Unicode form, a final full stop."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=1 << 16)
def normalise(text: str) -> str:
    """NFC, casefolded, white space collapsed, full stops at the end removed."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split()).rstrip(". ")


def exact_match(prediction: str | None, reference: str) -> bool:
    """True where both say the same. Nothing never matches, not even nothing."""
    if prediction is None:
        return False
    said = normalise(prediction)
    return bool(said) and said == normalise(reference)
