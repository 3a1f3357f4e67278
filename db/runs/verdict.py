"""What an answer can be told at once, before anything heavy has scored it. Standard library only."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_ORDINAL = re.compile(r"#\d+$")
_LONGEST_TOPIC = 200


def verdict(prediction: object, reference: object, error: object) -> int | None:
    """1 for the same words (capitals, white space and a final full stop aside), 0 for a wrong or failed answer.

    None where there is no reference to compare with. The scorer's own `exact` replaces it once there is one.
    """
    if error is not None:
        return 0
    if not isinstance(reference, str) or not reference.strip():
        return None
    said = _plain(prediction) if isinstance(prediction, str) else ""
    return int(bool(said) and said == _plain(reference))


def topic_in(identity: str, image_path: object, question: object, given: object = None) -> str:
    """The topic of an answer: as it was ``given``, else what its id has behind the image path, else its question's."""
    if isinstance(given, str) and given:
        return given[:_LONGEST_TOPIC]
    if isinstance(image_path, str) and identity.startswith(f"{image_path}#"):
        return _ORDINAL.sub("", identity[len(image_path) + 1 :])[:_LONGEST_TOPIC]
    return (question if isinstance(question, str) else "").partition(":")[0].strip()[:_LONGEST_TOPIC]


@lru_cache(maxsize=1 << 12)
def _plain(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.casefold().split()).rstrip(". ")
