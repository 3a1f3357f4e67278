"""What is shown in place of what a terminal would obey, and back again after it was edited."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fada_tui.text import as_meant, printable

ANYTHING = st.text(st.sampled_from("ab^[<\\ \t\x1b\x00\x9b\u200f\u202e\u2028é日👩\u200d⚕"), max_size=12)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31m", "a^[[31m"),
        ("a\tb", "a    b"),
        ("\x9b", "\\x9b"),
        ("\u202eabc\u202c", "<U+202E>abc<U+202C>"),
        ("\u200fשלום", "<U+200F>שלום"),
        ("zero\u200bwidth\ufeff", "zero<U+200B>width<U+FEFF>"),
        ("one\u2028line", "one<U+2028>line"),
        ("👩\u200d⚕\ufe0f 🇩🇪 e\u0301 日本", "👩\u200d⚕\ufe0f 🇩🇪 e\u0301 日本"),
    ],
)
def test_what_would_be_obeyed_or_unseen_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("original", "edited", "meant"),
    [
        ("\u200fשלום", "<U+200F>שלום!", "\u200fשלום!"),
        ("a\tb\x1b[0m", "a    b, c^[[0m", "a\tb, c\x1b[0m"),
        ("\x1b[1m", "plain", "plain"),
        ("\x1b\x1b", "^[", "\x1b"),
        ("", "^[", "^["),
    ],
)
def test_what_was_edited_keeps_the_characters_around_it(original: str, edited: str, meant: str) -> None:
    assert as_meant(original, edited) == meant


@given(ANYTHING, ANYTHING)
def test_what_is_meant_is_shown_as_it_was_written(original: str, edited: str) -> None:
    assert as_meant(original, printable(original)) == original
    assert as_meant(original, printable(original) + "x") == original + "x"
    assert printable(as_meant(original, printable(edited))) == printable(edited)
