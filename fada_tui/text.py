"""User text is data: control characters and terminal escapes are shown, not obeyed."""

from __future__ import annotations

import re

_TAB = "    "
_UNSEEN = frozenset(
    map(
        chr,
        (
            *(0x00AD, 0x061C, 0x180E, 0x200B, 0x200E, 0x200F, 0xFEFF),
            *range(0x2028, 0x202F),
            *range(0x2060, 0x2070),
        ),
    )
)
"""Marks, overrides and isolates that turn the direction of what follows, line separators, spaces of no width.

The joiners are not among them: emoji are made with them.
"""

_OTHERWISE = re.compile(rf"[\x00-\x1f\x7f-\x9f\ud800-\udfff{''.join(_UNSEEN)}]")
"""What is not shown as it is."""


def printable(text: str) -> str:
    """One line of safe text: C0/C1 controls as ``^X`` or in hexadecimal, what turns the text as ``<U+202E>``."""
    if text.isascii() and text.isprintable():
        return text
    return _OTHERWISE.sub(lambda found: _visible(found[0]), text)


def as_meant(original: str, edited: str) -> str:
    """What was made of ``printable(original)`` by hand, as a text of its own.

    Before and behind what was written, the characters of the original stand as they are, not as they were shown.
    """
    shown = [_visible(char) for char in original]
    start, begin = 0, 0
    while start < len(shown) and edited.startswith(shown[start], begin):
        begin += len(shown[start])
        start += 1
    stop, end = len(shown), len(edited)
    while stop > start and end - len(shown[stop - 1]) >= begin and edited.endswith(shown[stop - 1], begin, end):
        end -= len(shown[stop - 1])
        stop -= 1
    return original[:start] + edited[begin:end] + original[stop:]


def _visible(char: str) -> str:
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return _TAB if char == "\t" else "^" + chr(code ^ 0x40)
    if 0x80 <= code < 0xA0 or 0xD800 <= code < 0xE000:
        return f"\\x{code:02x}"
    return f"<U+{code:04X}>" if char in _UNSEEN else char
