"""Exact match after normalising what is not content: letter case, white space, Unicode form, a final full stop."""

from __future__ import annotations

from backends.data.normal import normalise

__all__ = ["exact_match", "normalise"]


def exact_match(prediction: str | None, reference: str) -> bool:
    """True where both say the same. Nothing never matches, not even nothing."""
    if prediction is None:
        return False
    said = normalise(prediction)
    return bool(said) and said == normalise(reference)
