"""Metrics of what an answer names: anatomical structures, a plane, an orientation, measurements; FADA's Q1 to Q4."""

from __future__ import annotations

from functools import lru_cache

from backends.scoring.exact import exact_match, normalise
from backends.scoring.vocabulary import content, negated, section, segments, words_of

Terms = frozenset[str]

_ITEM = 3
"""An item of a list that is no known term is taken as one up to so many words; what is longer is prose."""


def set_f2(prediction: str, reference: str) -> float:
    """F2 of the set of structures that an answer names, against the reference's (Q1).

    F-beta of van Rijsbergen (Information Retrieval, 1979) with beta 2, which weighs what was missed four times as much
    as what was made up: 5 TP / (5 TP + 4 FN + FP). A set holds the terms of the synonyms' ``structures`` that the text
    names without denying them, and its other short items in a list. Two texts without any are compared as a whole.
    """
    said, true = structures(prediction), structures(reference)
    if not true:
        return float(exact_match(prediction, reference))
    hits = len(said & true)
    return 5 * hits / (4 * len(true) + len(said))


@lru_cache(maxsize=1 << 16)
def structures(text: str) -> Terms:
    """The set that :func:`set_f2` compares."""
    known = section("structures")
    found: set[str] = set()
    for words in segments(text):
        if negated(words):
            continue
        terms = known.find(words)
        if terms:
            found.update(terms)
        elif 0 < len(rest := content(words)) <= _ITEM:
            found.add(" ".join(rest))
    return frozenset(found)


def relaxed_accuracy(section_name: str, prediction: str, reference: str) -> float:
    """1 for the same text normalised, 0.5 for the same key terms, else 0 (Q2, Q3).

    Half is given where the answer names every term of the synonyms' section that the reference names and none that
    excludes one of them, so that naming all earns nothing. A reference without a known term asks for all its content
    words instead.
    """
    if exact_match(prediction, reference):
        return 1.0
    known = section(section_name)
    true, said = _terms(section_name, reference), _terms(section_name, prediction)
    if not true:
        asked = set(content(words_of(reference)))
        return 0.5 if asked and asked <= set(words_of(prediction)) else 0.0
    decided = {known.groups[term] for term in true}
    rivals = any(known.groups[term] in decided for term in said - true)
    return 0.5 if true <= said and not rivals else 0.0


@lru_cache(maxsize=1 << 16)
def _terms(section_name: str, text: str) -> Terms:
    known = section(section_name)
    return frozenset(term for words in segments(text) if not negated(words) for term in known.find(words))


def keyword_f1(prediction: str, reference: str) -> float:
    """F1 of the keywords of an answer against the reference's (Q4): 2 TP / (said + true), each counted once.

    As SQuAD's token F1 (Rajpurkar and others, EMNLP 2016), on sets, with synonyms taken as one keyword.
    """
    said, true = keywords(prediction), keywords(reference)
    if not true:
        return float(exact_match(prediction, reference))
    return 2 * len(said & true) / (len(said) + len(true))


def keyword_recall(prediction: str, reference: str) -> float:
    """Share of the reference's keywords that the answer has: the metric ``keyword`` of a proxy run.

    A long answer is never punished, so it says less than any other metric and compares with none.
    """
    true = keywords(reference)
    if not true:
        return float(exact_match(prediction, reference))
    return len(keywords(prediction) & true) / len(true)


@lru_cache(maxsize=1 << 16)
def keywords(text: str) -> Terms:
    """Known measurements by one name, and every other content word and number. Empty for a text without words."""
    terms, rest = section("biometry").split(words_of(text))
    return frozenset((*terms, *content(rest))) or frozenset(filter(None, [normalise(text)]))
