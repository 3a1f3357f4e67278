"""Every metric beside an independent computation, to 1e-9: scikit-learn's, scipy's, or a plain transcription of a formula."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]

from backends.scoring import normality
from backends.scoring.answer import Answer
from backends.scoring.bins import bin_of
from backends.scoring.bleu import bleu_terms, corpus_bleu, rouge_l
from backends.scoring.intervals import Column
from backends.scoring.resampling import bca
from backends.scoring.score import score_answers
from backends.scoring.u2bench import score_u2bench
from backends.scoring.u2bench_tasks import Question
from backends.scoring.wording import keyword_f1, keyword_recall, set_f2, structures
from backends.scoring.zeroshot import score_zero_shot

metrics = pytest.importorskip("sklearn.metrics")

CLOSE = 1e-9
CLASSES = ("Abdomen", "Femur", "Thorax", "Brain")


def classified(seed: int, n: int = 137) -> tuple[list[str], list[str]]:
    """Said and true, one class never said."""
    rng = np.random.default_rng(seed)
    true = [str(one) for one in rng.choice(CLASSES, n, p=[0.4, 0.3, 0.2, 0.1])]
    said = [one if rng.random() < 0.6 else str(rng.choice(CLASSES[:3])) for one in true]
    return said, true


@pytest.mark.parametrize("seed", range(5))
def test_zero_shot(seed: int) -> None:
    said, true = classified(seed)
    answers = [
        Answer(f"{at}#x", f"{at}", one, "x", one, text) for at, (text, one) in enumerate(zip(said, true, strict=True))
    ]
    rows = {(row["metric"], row["category"]): row for row in score_zero_shot(answers, CLASSES, resamples=0)}
    assert rows["accuracy", None]["value"] == pytest.approx(metrics.accuracy_score(true, said), abs=CLOSE)
    assert rows["accuracy", None]["macro"]["category"]["value"] == pytest.approx(
        metrics.balanced_accuracy_score(true, said), abs=CLOSE
    )
    assert rows["macro_f1", None]["value"] == pytest.approx(metrics.f1_score(true, said, average="macro"), abs=CLOSE)
    each = metrics.f1_score(true, said, average=None, labels=list(CLASSES))
    assert rows["macro_f1", None]["f1"] == pytest.approx(dict(zip(CLASSES, each, strict=True)), abs=CLOSE)
    for name, recall in zip(CLASSES, metrics.recall_score(true, said, average=None, labels=list(CLASSES)), strict=True):
        assert rows["accuracy", name]["value"] == pytest.approx(recall, abs=CLOSE)


@pytest.mark.parametrize("seed", range(5))
def test_normality(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = [str(one) for one in rng.choice(["Normal", "Abnormal"], 90, p=[0.7, 0.3])]
    said = [one if rng.random() < 0.8 else {"Normal": "Abnormal", "Abnormal": "Normal"}[one] for one in true]
    totals = normality.counts(said, true).sum(0)
    assert float(normality.mcc(totals)) == pytest.approx(metrics.matthews_corrcoef(true, said), abs=CLOSE)
    assert float(normality.balanced_accuracy(totals)) == pytest.approx(
        metrics.balanced_accuracy_score(true, said), abs=CLOSE
    )
    rows = score_answers(
        [
            Answer(f"{at}#Q7", f"{at}", None, "Q7", one, text)
            for at, (text, one) in enumerate(zip(said, true, strict=True))
        ],
        resamples=0,
    )
    [row] = [row for row in rows if row["metric"] == "balanced_accuracy"]
    assert row["sensitivity"] == pytest.approx(metrics.recall_score(true, said, pos_label="Abnormal"), abs=CLOSE)
    assert row["specificity"] == pytest.approx(metrics.recall_score(true, said, pos_label="Normal"), abs=CLOSE)


def test_set_f2_is_f_beta_of_the_structures() -> None:
    said, true = "Skull, thalami and the heart", "Skull, thalami, CSP, falx"
    named = sorted({*structures(said), *structures(true)})
    there, found = ([int(name in structures(text)) for name in named] for text in (true, said))
    assert set_f2(said, true) == pytest.approx(metrics.fbeta_score(there, found, beta=2), abs=CLOSE)


@pytest.mark.parametrize("seed", range(3))
def test_u2bench_tasks(seed: int) -> None:
    said, true = classified(seed, 60)
    key = Question(CLASSES)
    answers = [
        Answer(f"80/{at}#DD", f"80/{at}", "80", "DD", one, text)
        for at, (text, one) in enumerate(zip(said, true, strict=True))
    ]
    rows = {row["metric"]: row for row in score_u2bench(answers, {one.id: key for one in answers}, resamples=0)}
    assert rows["accuracy"]["value"] == pytest.approx(metrics.accuracy_score(true, said), abs=CLOSE)
    assert rows["accuracy"]["f1"] == pytest.approx(metrics.f1_score(true, said, average="macro"), abs=CLOSE)

    rng = np.random.default_rng(seed)
    values, guesses = rng.uniform(10, 75, 30), rng.uniform(10, 75, 30)
    answers = [
        Answer(f"18/{at}#CVE", f"18/{at}", "18", "CVE", repr({"EF": float(value)}), repr(float(guess)))
        for at, (value, guess) in enumerate(zip(values, guesses, strict=True))
    ]
    row = next(row for row in score_u2bench(answers, {}, resamples=0) if row["metric"] == "one_minus_rmse")
    scaled = [(one - 10) / 65 for one in (values, guesses)]  # ejection fractions go from 10 to 75
    assert row["rmse"] == pytest.approx(metrics.root_mean_squared_error(*scaled), abs=CLOSE)


def test_bleu_is_papineni_s() -> None:
    """With the constants of pycocoevalcap that U2-BENCH's figures were made with, transcribed from its code."""
    pairs = [
        ("the liver is normal in size and shape", "the liver is normal in shape and size"),
        ("a nodule is seen in the left lobe", "a nodule with irregular margins is seen in the right lobe"),
        ("no", "no focal lesion"),
    ]
    tiny, small = 1e-15, 1e-9
    hits, all_said, length, wanted = [0] * 4, [0] * 4, 0, 0
    for said, reference in pairs:
        ours, theirs = said.split(), reference.split()
        length, wanted = length + len(ours), wanted + len(theirs)
        for n in range(4):
            grams = [tuple(ours[at : at + n + 1]) for at in range(max(0, len(ours) - n))]
            known = Counter(tuple(theirs[at : at + n + 1]) for at in range(max(0, len(theirs) - n)))
            all_said[n] += len(grams)
            hits[n] += sum(min(count, known[gram]) for gram, count in Counter(grams).items())
    bleu = 1.0
    for n in range(4):
        bleu *= (hits[n] + tiny) / (all_said[n] + small)
    bleu **= 0.25
    ratio = (length + tiny) / (wanted + small)
    bleu *= math.exp(1 - 1 / ratio) if ratio < 1 else 1
    assert float(corpus_bleu(np.array([bleu_terms(*pair) for pair in pairs]).sum(0))) == pytest.approx(bleu, abs=CLOSE)


def test_the_interval_s_acceleration_and_widening_by_hand() -> None:
    """Of a symmetric sample the bias and acceleration vanish: the bounds are plain quantiles at the widened levels."""
    values = np.repeat([0.0, 1.0], 40)
    column = Column(values, np.arange(80))
    [bounds] = bca([column.statistic], 200_000, 0)
    assert bounds is not None
    level = stats.norm.cdf(stats.t.ppf(0.975, 79) * math.sqrt(80 / 79))
    expected = stats.binom.ppf([1 - level, level], 80, 0.5) / 80
    assert bounds == pytest.approx(expected, abs=1 / 80 + CLOSE)


@pytest.mark.parametrize("seed", range(20))
def test_keywords_are_sets_of_words(seed: int) -> None:
    """F1 and recall as fractions of set sizes, on words that have no synonyms and stand for themselves."""
    rng = np.random.default_rng(seed)
    said, true = ({str(one) for one in rng.choice(("alpha", "beta", "gamma", "delta", "12"), 3)} for _ in range(2))
    both = len(said & true)
    text, reference = (" ".join(sorted(words)) for words in (said, true))
    assert keyword_f1(text, reference) == pytest.approx(float(Fraction(2 * both, len(said) + len(true))), abs=CLOSE)
    assert keyword_recall(text, reference) == pytest.approx(float(Fraction(both, len(true))), abs=CLOSE)


@pytest.mark.parametrize("seed", range(5))
def test_bins_and_relaxed_accuracy_are_means_of_whole_and_half_credit(seed: int) -> None:
    """A transcription for texts that are one word: the bins' numbers, and the planes' names with and without more."""
    rng = np.random.default_rng(seed)
    quality = ("poor", "fair", "good")
    credit = {0: Fraction(1), 1: Fraction(1, 2), 2: Fraction(0)}
    at, to = rng.integers(3, size=(2, 60))
    where = {word: bin_of("Q6", word) for word in quality}
    assert None not in where.values() and len(set(where.values())) == 3
    ranks = sorted(quality, key=lambda word: where[word] or 0)
    answers = [
        Answer(f"i{n}#Q6", f"i{n}", None, "Q6", ranks[b], ranks[a]) for n, (a, b) in enumerate(zip(at, to, strict=True))
    ]
    apart = [abs((where[ranks[a]] or 0) - (where[ranks[b]] or 0)) for a, b in zip(at, to, strict=True)]
    wanted = sum((credit[min(2, one)] for one in apart), Fraction(0)) / 60
    row = next(row for row in score_answers(answers) if row["metric"] == "bin_accuracy")
    assert row["value"] == pytest.approx(float(wanted), abs=CLOSE)
    planes = ("Femur", "Abdomen")
    answers = [
        Answer(f"i{n}#Q3", f"i{n}", None, "Q3", planes[b], planes[a] if n % 2 else f"I see the {planes[a]} here")
        for n, (a, b) in enumerate(zip(at % 2, to % 2, strict=True))
    ]
    points = [
        Fraction(int(a == b)) * (1 if n % 2 else Fraction(1, 2))
        for n, (a, b) in enumerate(zip(at % 2, to % 2, strict=True))
    ]
    row = next(row for row in score_answers(answers) if row["metric"] == "relaxed_accuracy")
    assert row["value"] == pytest.approx(float(sum(points, Fraction(0)) / 60), abs=CLOSE)


@pytest.mark.parametrize("seed", range(10))
def test_rouge_is_the_longest_common_subsequence(seed: int) -> None:
    """By the recursion as it is defined, and F with beta 1.2."""
    rng = np.random.default_rng(seed)
    first, second = ([str(one) for one in rng.choice(("a", "b", "c", "d"), size)] for size in rng.integers(1, 9, 2))

    def longest(i: int, j: int) -> int:
        if i == len(first) or j == len(second):
            return 0
        if first[i] == second[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    common = longest(0, 0)
    precision, recall = common / len(first), common / len(second)
    wanted = (1 + 1.44) * precision * recall / (recall + 1.44 * precision) if common else 0.0
    assert rouge_l(" ".join(first), " ".join(second)) == pytest.approx(wanted, abs=CLOSE)
