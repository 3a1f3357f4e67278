"""Texts compared by what they say: what is not content is taken off."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=1 << 16)
def normalise(text: str) -> str:
    """NFC, casefolded, white space collapsed, full stops at the end removed."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split()).rstrip(". ")
