"""The filter: what it finds, how well it fits, and which letters it stands for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fada_tui.listing.fuzzy import ELSEWHERE, INSIDE, LOOSE, PREFIX, Query, fold, item_text, model_text
from tests.fada_tui import panel

TEXT = st.text(max_size=30)
TERM = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("qwn3", "Qwen3-VL-8B"),
        ("unslth", "works with Unsloth"),
        ("QWEN", "qwen2-vl"),
        ("3vl", "Qwen3-VL-8B"),
        ("8b qwen", "Qwen3-VL-8B"),
        ("", "anything"),
        ("[bo", "Mobile [bold]"),
        ("a]^-\\", "a]x^y-\\"),
    ],
)
def test_found(typed: str, text: str) -> None:
    assert Query(typed).matches(fold(text))


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("wn3", "Qwen3-VL-8B"),
        ("qwnpr", "Qwen3 proxy"),
        ("gt", "google test"),
        ("qwen llama", "Qwen3-VL-8B"),
        ("nwq", "Qwen3-VL-8B"),
        ("2vl", "Qwen12-VL"),
    ],
)
def test_not_found(typed: str, text: str) -> None:
    assert not Query(typed).matches(fold(text))


@pytest.mark.parametrize(
    ("typed", "rank"), [("qwen", PREFIX), ("vl", INSIDE), ("qwn3", LOOSE), ("proxy", ELSEWHERE), ("qwen vl", INSIDE)]
)
def test_rank(typed: str, rank: int) -> None:
    assert Query(typed).rank(fold("Qwen3-VL-8B")) == rank


@pytest.mark.parametrize(
    ("typed", "places"),
    [("vl", (6, 7)), ("qwn3", (0, 1, 3, 4)), ("8b qw", (0, 1, 9, 10)), ("proxy", ()), ("3v8", (4, 6, 9))],
)
def test_positions(typed: str, places: tuple[int, ...]) -> None:
    assert Query(typed).positions("Qwen3-VL-8B") == places


@given(TEXT)
def test_folding_keeps_every_place(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


@given(TEXT, st.lists(TERM, max_size=3))
def test_every_way_to_ask_agrees(name: str, terms: list[str]) -> None:
    query = Query(" ".join(terms))
    assert query.matching([fold(name)]) == ([0] if query.matches(fold(name)) else [])
    places = query.positions(name)
    assert all(0 <= place < len(name) for place in places)
    if query.matches(fold(name)):
        stood_for = {fold(name)[place] for place in places}
        assert stood_for == {letter for term in query.terms for letter in term}


@given(TEXT, TERM, TEXT)
def test_what_stands_there_is_found(before: str, term: str, after: str) -> None:
    assert Query(term).matches(fold(before) + fold(term) + fold(after))


def test_what_is_looked_through() -> None:
    model = panel.model("Qwen3-VL-8B", "Proxy tested", notes="88.9% proxy")
    for typed in ("qwen3", "proxy tested", "8b", "88.9", "tier"):
        assert Query(typed).matches(model_text(model)), typed
    item = panel.TRACKER.items[1]
    for typed in ("qwen2", "1,494", "phase ground"):
        assert Query(typed).matches(item_text(item)), typed
