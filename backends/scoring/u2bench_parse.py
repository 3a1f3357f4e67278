"""What an answer to a U2-BENCH question says, by the two ways of reading that its official tools have.

``strict`` takes the reply as it is, as the instructions ask for (U2-BENCH's evalkit); ``lenient`` looks for an option,
a place or a number inside it (Dolphin-ai-bench). Where the lenient tool takes whichever of several options its list has
first ("lower center" as "center"), this one takes the longest, and reads none where two different ones are named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

PARSERS = ("strict", "lenient")
NOT_VISIBLE = "not visible"
SECTORS = (
    *("upper left", "upper center", "upper right"),
    *("middle left", "center", "middle right"),
    *("lower left", "lower center", "lower right"),
)
PLACES = (*SECTORS, NOT_VISIBLE)
LOW, HIGH = 0.45, 0.55
"""Where the middle third begins and ends, as shares of width and height."""
_SYNONYMS = {"top": "upper", "bottom": "lower", "centre": "center", "central": "center", "centered": "center"}
_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "center", "right")
_QUOTES = "'\"`“”‘’"
_LISTED = re.compile(r"options?\b[^\n]*?[:：]\s*(?P<list>[^\n]+)", re.IGNORECASE)


# ------------------------------------------------------------------ labels
def clean_label(label: str) -> str:
    """A label as it is compared: lower case, without the brackets and quotes of a written list."""
    return label.replace("[", "").replace("]", "").strip().strip(_QUOTES).strip().lower()


def read_label(parser: str, reply: str, options: Sequence[str]) -> str | None:
    """The label that a reply gives, as :func:`clean_label` writes it; None where it gives none.

    Strict: the reply itself, which any text can be; whole numbers are compared as numbers.
    """
    said = reply.strip().lower()
    if parser == "strict":
        return _number_word(said) or None
    said = said.strip(_QUOTES).strip()
    known = tuple(clean_label(option) for option in options)
    if said in known or not known:
        return said or None
    found = named_in(said, known)
    return found[0] if len(found) == 1 else None


def _number_word(text: str) -> str:
    try:
        return str(int(text))
    except ValueError:
        return text


def named_in(text: str, options: Sequence[str]) -> list[str]:
    """Which of the options (lower case) a text names as whole words; one inside a longer one does not count."""
    found: list[str] = []
    for option in sorted(set(options), key=len, reverse=True):
        pattern = rf"(?<!\w){re.escape(option)}(?!\w)"
        if option and re.search(pattern, text):
            found.append(option)
            text = re.sub(pattern, "\0", text)
    return found


@lru_cache(maxsize=4096)
def options_in(prompt: str) -> tuple[str, ...]:
    """The options that a prompt lists after "options:", between commas; empty where it lists none."""
    match = _LISTED.search(prompt)
    if match is None:
        return ()
    parts = re.split(r"[,;|]", match["list"].strip().strip("[](){}. "))
    options = [part.strip().strip(_QUOTES).strip() for part in parts]
    return tuple(dict.fromkeys(option for option in options if option)) if len(options) > 1 else ()


# ------------------------------------------------------------------ places
def sector(place: Any, size: tuple[int, int] | None = None) -> str | None:
    """In which of the nine sectors the first box or keypoint has its centre; "not visible" where there is none.

    As the official scorer reads it: of a list or mapping the first entry, of that the first two numbers, the centre's x
    and y as shares of width and height. Numbers above 1 are taken as pixels of an image of ``size``.

    Returns:
        None where they are pixels and there is no size.
    """
    centre = _centre(place)
    if centre is None:
        return NOT_VISIBLE
    x, y = centre
    if max(x, y) > 1:
        if size is None:
            return None
        x, y = x / size[0], y / size[1]
    row, column = _ROWS[(y >= LOW) + (y >= HIGH)], _COLUMNS[(x >= LOW) + (x >= HIGH)]
    return "center" if (row, column) == ("middle", "center") else f"{row} {column}"


def in_pixels(place: Any) -> bool:
    """True where :func:`sector` needs the image's size."""
    centre = _centre(place)
    return centre is not None and max(centre) > 1


def _centre(place: Any) -> tuple[float, float] | None:
    while isinstance(place, Mapping) or (isinstance(place, list | tuple) and place and not _is_number(place[0])):
        place = next(iter(place.values()), None) if isinstance(place, Mapping) else place[0]
    if not isinstance(place, list | tuple) or len(place) < 2 or not all(map(_is_number, place[:2])):
        return None
    x, y = float(place[0]), float(place[1])
    return None if math.isnan(x) or math.isnan(y) else (x, y)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_place(parser: str, reply: str) -> str | None:
    """The sector, or "not visible", that a reply names; None where it names none or, read leniently, two."""
    said = reply.strip().lower()
    if parser == "strict":
        return said or None
    words = [_SYNONYMS.get(word, word) for word in re.findall(r"\w+", said)]
    found = named_in(" ".join(words), PLACES)
    if len(found) == 1:
        return found[0]
    rows, columns = ([word for word in kind if word in words] for kind in (_ROWS, _COLUMNS))
    if not found and len(rows) == len(columns) == 1:
        place = f"{rows[0]} {columns[0]}"
        return "center" if place == "middle center" else place
    return None


# ------------------------------------------------------------------ numbers
def read_number(parser: str, reply: str) -> float | None:
    """The number that a reply is (strict), or the first decimal one in it, else the first whole one (lenient)."""
    said = reply.strip()
    try:
        value = float(said)
    except ValueError:
        match = None if parser == "strict" else re.search(r"\d+\.\d+", said) or re.search(r"\d+", said)
        if match is None:
            return None
        value = float(match[0])
    return value if math.isfinite(value) else None


def measured(value: Any, keys: Sequence[str] = ()) -> float | None:
    """The number of a ``measurement`` cell: of a mapping one of ``keys``, else its first entry; of a list the first."""
    while isinstance(value, Mapping | list | tuple) and value:
        if isinstance(value, Mapping):
            value = next((value[key] for key in keys if key in value), next(iter(value.values())))
        else:
            value = value[0]
    if isinstance(value, str):
        return read_number("strict", value)
    return float(value) if _is_number(value) and math.isfinite(value) else None
