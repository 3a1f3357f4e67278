"""The collapse alarm's rule: what makes it ring, and what it is said to ring at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.data.spread import TOP_SHARE, Spread, collapsed, ringing_share, spread, spread_of


def test_texts_that_were_counted_are_spread_as_the_texts_are() -> None:
    texts = ["Femur", "femur.", "Abdomen", " femur "]
    assert spread(texts) == spread_of({"Femur": 1, "femur.": 1, "Abdomen": 1, " femur ": 1})
    assert spread(texts).top == "femur" and spread(texts).top_share == 0.75 and spread(texts).distinct == 2
    assert spread([]) == Spread(0, 0, "", 0.0, 0.0)


def test_few_answers_and_references_all_alike_never_ring() -> None:
    varied = Spread(9, 3, "a", 0.4, 1.5)
    assert ringing_share(9, varied) is None
    assert ringing_share(600, Spread(600, 1, "a", 1.0, 0.0)) is None
    assert ringing_share(600, Spread(600, 3, "a", 0.4, 1.5)) == TOP_SHARE


def test_references_that_are_nearly_alike_raise_the_share() -> None:
    share = ringing_share(600, Spread(600, 3, "a", 0.93, 0.4))
    assert share is not None and TOP_SHARE < share < 1


@given(n=st.integers(10, 2000), true=st.floats(0.05, 0.99), said=st.floats(0.05, 1.0))
def test_at_and_past_the_share_it_rings_and_under_it_only_for_entropy(n: int, true: float, said: float) -> None:
    references = Spread(n, 5, "a", true, 1.0)
    threshold = ringing_share(n, references)
    varied = Spread(n, 5, "a", said, 2.0)
    if threshold is None:
        assert not collapsed(varied, references)
    elif said == pytest.approx(threshold, abs=1e-6):
        pass
    else:
        assert collapsed(varied, references) == (said > threshold)
