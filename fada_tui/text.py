"""User text is data: control characters and terminal escapes are shown, not obeyed."""

from __future__ import annotations

import unicodedata

_KEEP = {"\t": "    "}


def printable(text: str) -> str:
    """One line of safe text: C0/C1 controls as ``^X`` or in hexadecimal, bidirectional overrides as ``<U+202E>``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if char in _KEEP:
        return _KEEP[char]
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return "^" + chr(code ^ 0x40)
    if 0x80 <= code < 0xA0 or 0xD800 <= code < 0xE000:
        return f"\\x{code:02x}"
    if unicodedata.bidirectional(char) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}:
        return f"<U+{code:04X}>"
    return char
