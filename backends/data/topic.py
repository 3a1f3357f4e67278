"""What a question is about, whatever its wording: the key that joins files and groups scores."""

from __future__ import annotations

import re
from functools import lru_cache

TOPICS = {
    "Q1": "Anatomical Structures",
    "Q2": "Fetal Orientation",
    "Q3": "Imaging Plane",
    "Q4": "Biometric Measurements",
    "Q5": "Gestational Age",
    "Q6": "Image Quality",
    "Q7": "Normality",
    "Q8": "Clinical Recommendations",
}
"""FADA's eight topics: label to name."""

_LABEL = re.compile(r"\s*Q([1-8])(?![0-9])\s*[:.)\-]?\s*", re.IGNORECASE)
_KNOWN = {
    **{name.casefold(): label for label, name in TOPICS.items()},
    "anatomical structures identification": "Q1",
    "imaging plane identification": "Q3",
    "plane evaluation": "Q3",
    "gestational age estimation": "Q5",
    "image quality assessment": "Q6",
    "normality assessment": "Q7",
    "normality / abnormality": "Q7",
}


@lru_cache(maxsize=4096)
def topic_of(question: str) -> str:
    """``Q1``…``Q8`` where the question is one of FADA's eight, else the text before its first colon, else all of it.

    The name of a topic wins over a ``Qn:`` label before it, as names are what the files of FADA share.
    """
    label = _LABEL.match(question)
    rest = question[label.end() :] if label else question
    known = _KNOWN.get(_plain(rest.split(":", 1)[0]))
    if known:
        return known
    if label:
        return f"Q{label[1]}"
    head = question.split(":", 1)[0].strip()
    return head or question.strip()


def _plain(text: str) -> str:
    text = re.sub(r"\s*/\s*", " / ", text.replace("(", " ").replace(")", " "))
    return " ".join(text.split()).casefold()
